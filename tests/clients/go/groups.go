package main

// Consumer groups: rebalances, commits, static members, and what an operator does to them.

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A member of a group, and what its callbacks said of its partitions.
type member struct {
	client *kgo.Client
	mutex  sync.Mutex
	owned  map[int32]bool
}

func join(group string, options ...kgo.Opt) *member {
	m := &member{owned: map[int32]bool{}}
	change := func(owns bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, changed map[string][]int32) {
			m.mutex.Lock()
			defer m.mutex.Unlock()
			for _, p := range changed[topic] {
				if delete(m.owned, p); owns {
					m.owned[p] = true
				}
			}
		}
	}
	m.client = connect(append(options, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)))...)
	return m
}

func (m *member) partitions() []int32 {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	var owned []int32
	for p := range m.owned {
		owned = append(owned, p)
	}
	slices.Sort(owned)
	return owned
}

// Whether the members hold these numbers of partitions, and together each partition once.
func shares(members []*member, counts ...int) bool {
	var all []int32
	for i, m := range members {
		poll(m.client)
		owned := m.partitions()
		if len(owned) != counts[i] {
			return false
		}
		all = append(all, owned...)
	}
	slices.Sort(all)
	return slices.Equal(all, []int32{0, 1, 2, 3})
}

func groups() {
	var members []*member
	eager := kgo.Balancers(kgo.RangeBalancer())
	step("group: one member has all", func() {
		members = append(members, join(group, eager))
		await("four partitions", func() bool { return shares(members, 4) })
	})
	step("group: a second member shares", func() {
		members = append(members, join(group, eager))
		await("two partitions each", func() bool { return shares(members, 2, 2) })
	})
	step("list groups", func() {
		listed := must(admin.ListGroups(ctx()))[group]
		same("consumer Stable", listed.ProtocolType+" "+listed.State, "type, state")
		classic := must(admin.ListGroupsByType(ctx(), []string{"classic"}, "Stable"))
		check(classic[group].Group == group, "it is not listed among the stable classic groups")
		check(len(must(admin.ListGroups(ctx(), "Dead"))) == 0, "there are dead groups")
	})
	step("describe group", func() {
		described := must(admin.DescribeGroups(ctx(), group))[group]
		same("consumer Stable range", described.ProtocolType+" "+described.State+" "+described.Protocol, "type, state, assignor")
		same(2, len(described.Members), "members")
		for _, m := range described.Members {
			check(strings.HasPrefix(m.ClientHost, "/") && m.ClientID == "kgo", fmt.Sprintf("host or client id: %+v", m))
		}
	})
	step("delete group: not empty", func() {
		_, err := admin.DeleteGroup(ctx(), group)
		refused(kerr.NonEmptyGroup, err)
	})
	step("group: the other member leaves", func() {
		members[1].client.Close()
		members = members[:1]
		await("four partitions again", func() bool { return shares(members, 4) })
	})
	step("commit", func() {
		commit := map[string]map[int32]kgo.EpochOffset{topic: {}}
		for p := range int32(partitions) {
			commit[topic][p] = kgo.EpochOffset{Epoch: -1, Offset: int64(10 + p)}
		}
		var failed error
		members[0].client.CommitOffsetsSync(ctx(), commit,
			func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, _ *kmsg.OffsetCommitResponse, err error) {
				failed = err
			})
		check(failed == nil, fmt.Sprint(failed))
		stranger := kadm.Offsets{}
		stranger.Add(kadm.Offset{Topic: topic, Partition: 0, At: 99, LeaderEpoch: -1})
		refused(kerr.UnknownMemberID, admin.CommitAllOffsets(ctx(), group, stranger))
		members[0].client.Close()
		members = nil
		for p := range int32(partitions) {
			stored, _ := must(admin.FetchOffsets(ctx(), group)).Lookup(topic, p)
			same(int64(10+p), stored.At, "offset")
		}
	})
	step("resume from the commit", func() {
		consumer := connect(kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), eager,
			kgo.SessionTimeout(6*time.Second))
		defer consumer.Close()
		first := map[int32]int64{}
		await("a record of each partition", func() bool {
			for _, r := range poll(consumer) {
				if _, seen := first[r.Partition]; !seen {
					first[r.Partition] = r.Offset
				}
			}
			return len(first) == partitions
		})
		same(fmt.Sprint(map[int32]int64{0: 10, 1: 11, 2: 12, 3: 13}), fmt.Sprint(first), "first offsets")
	})
	step("reset and delete offsets of an empty group", func() {
		await("an empty group", func() bool { return must(admin.DescribeGroups(ctx(), group))[group].State == "Empty" })
		offsets := kadm.Offsets{}
		offsets.Add(kadm.Offset{Topic: topic, Partition: 0, At: 3, LeaderEpoch: -1, Metadata: "by hand"})
		check(admin.CommitAllOffsets(ctx(), group, offsets) == nil, "not reset")
		set := kadm.TopicsSet{}
		set.Add(topic, 1)
		check(must(admin.DeleteOffsets(ctx(), group, set)).Error() == nil, "not deleted")
		stored := must(admin.FetchOffsets(ctx(), group))
		zero, _ := stored.Lookup(topic, 0)
		same("3 by hand", fmt.Sprint(zero.At, " ", zero.Metadata), "offset and metadata")
		_, there := stored.Lookup(topic, 1)
		check(!there, "an offset that was deleted is there")
	})
	for _, m := range members {
		m.client.Close()
	}
}

func staticMembers() {
	group := group + "-static"
	var members []*member
	cooperative := kgo.Balancers(kgo.CooperativeStickyBalancer())
	step("static members: join", func() {
		members = append(members, join(group, kgo.InstanceID("a"), cooperative), join(group, kgo.InstanceID("b"), cooperative))
		await("two partitions each", func() bool { return shares(members, 2, 2) })
	})
	step("static members: return without a rebalance", func() {
		before := members[0].partitions()
		_, generation := members[1].client.GroupMetadata()
		members[0].client.Close()
		members[0] = join(group, kgo.InstanceID("a"), cooperative)
		await("two partitions each", func() bool { return shares(members, 2, 2) })
		check(slices.Equal(before, members[0].partitions()), "it has other partitions")
		_, after := members[1].client.GroupMetadata()
		same(generation, after, "generation")
	})
	for _, m := range members {
		m.client.Close()
	}
	step("static members: removed by the operator", func() {
		leave := kadm.LeaveGroup(group).InstanceIDs("a", "b").Reason("test")
		check(must(admin.LeaveGroup(ctx(), leave)).Error() == nil, "not removed")
		await("an empty group", func() bool { return must(admin.DescribeGroups(ctx(), group))[group].State == "Empty" })
		must(admin.DeleteGroup(ctx(), group))
	})
}

func deleteGroup() {
	must(admin.DeleteGroup(ctx(), group))
	_, err := admin.DeleteGroup(ctx(), group)
	refused(kerr.GroupIDNotFound, err)
}
