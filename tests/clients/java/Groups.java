package clients;

import static clients.Kit.*;

import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

/** Consumer groups: rebalances, commits, static members, and what an operator does to them. */
final class Groups {
    static final String GROUP = TOPIC + "-group";

    static void run() {
        groups();
        staticMembers();
    }

    static void groups() {
        List<KafkaConsumer<byte[], byte[]>> open = new ArrayList<>();
        step("group: one member has all", () -> {
            open.add(member(GROUP));
            await("four partitions", () -> sizes(open).equals(List.of(4)));
        });
        step("group: a second member shares", () -> {
            open.add(member(GROUP));
            await("two partitions each", () -> sizes(open).equals(List.of(2, 2)));
            Set<TopicPartition> all = new HashSet<>(open.get(0).assignment());
            all.addAll(open.get(1).assignment());
            same(4, all.size(), "partitions together");
        });
        step("list groups", () -> {
            GroupListing group = get(admin.listGroups().all()).stream().filter(g -> g.groupId().equals(GROUP))
                .findFirst().orElseThrow();
            same("consumer", group.protocol(), "protocol type");
            same(Optional.of(GroupState.STABLE), group.groupState(), "state");
            same(Optional.of(GroupType.CLASSIC), group.type(), "type");
        });
        step("describe group", () -> {
            ConsumerGroupDescription group = get(admin.describeConsumerGroups(List.of(GROUP)).all()).get(GROUP);
            same(GroupState.STABLE, group.groupState(), "state");
            same("range", group.partitionAssignor(), "assignor");
            same(2, group.members().size(), "members");
            check(group.coordinator() != null && !group.coordinator().isEmpty(), "no coordinator");
            for (MemberDescription member : group.members()) {
                same(2, member.assignment().topicPartitions().size(), "partitions of " + member);
                check(member.host().startsWith("/"), "host of " + member);
            }
        });
        step("delete group: not empty", () ->
            refused(GroupNotEmptyException.class, admin.deleteConsumerGroups(List.of(GROUP)).all()));
        step("group: the other member leaves", () -> {
            open.remove(1).close();
            await("four partitions again", () -> sizes(open).equals(List.of(4)));
        });
        step("commit", () -> {
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            for (TopicPartition p : Scenario.partitions(PARTITIONS)) {
                offsets.put(p, new OffsetAndMetadata(10 + p.partition(), "note " + p.partition()));
            }
            open.get(0).commitSync(offsets);
            open.remove(0).close();
            Map<TopicPartition, OffsetAndMetadata> stored =
                get(admin.listConsumerGroupOffsets(GROUP).partitionsToOffsetAndMetadata());
            for (TopicPartition p : Scenario.partitions(PARTITIONS)) {
                same(10L + p.partition(), stored.get(p).offset(), "offset of " + p);
                same("note " + p.partition(), stored.get(p).metadata(), "metadata of " + p);
            }
        });
        step("resume from the commit", () -> {
            Map<Integer, Long> first = new TreeMap<>();
            try (KafkaConsumer<byte[], byte[]> consumer = member(GROUP)) {
                await("a record of each partition", () -> {
                    for (var record : consumer.poll(POLL)) first.putIfAbsent(record.partition(), record.offset());
                    return first.size() == PARTITIONS;
                });
            }
            same(Map.of(0, 10L, 1, 11L, 2, 12L, 3, 13L), first, "first offsets");
        });
        step("reset and delete offsets of an empty group", () -> {
            TopicPartition zero = new TopicPartition(TOPIC, 0), one = new TopicPartition(TOPIC, 1);
            await("an empty group", () -> state(GROUP) == GroupState.EMPTY);
            get(admin.alterConsumerGroupOffsets(GROUP, Map.of(zero, new OffsetAndMetadata(3))).all());
            get(admin.deleteConsumerGroupOffsets(GROUP, Set.of(one)).all());
            Map<TopicPartition, OffsetAndMetadata> stored =
                get(admin.listConsumerGroupOffsets(GROUP).partitionsToOffsetAndMetadata());
            same(3L, stored.get(zero).offset(), "offset that was reset");
            check(stored.get(one) == null, "an offset that was deleted is there");
        });
        open.forEach(consumer -> consumer.close(CloseOptions.timeout(Duration.ofSeconds(5))));
    }

    static void staticMembers() {
        String group = GROUP + "-static";
        List<KafkaConsumer<byte[], byte[]>> open = new ArrayList<>();
        String[] cooperative = {"partition.assignment.strategy", CooperativeStickyAssignor.class.getName()};
        step("static members: join", () -> {
            open.add(member(group, "group.instance.id", "a", cooperative[0], cooperative[1]));
            open.add(member(group, "group.instance.id", "b", cooperative[0], cooperative[1]));
            await("two partitions each", () -> sizes(open).equals(List.of(2, 2)));
        });
        step("static members: return without a rebalance", () -> {
            Set<TopicPartition> before = open.get(0).assignment();
            int generation = open.get(1).groupMetadata().generationId();
            open.get(0).close();
            open.set(0, member(group, "group.instance.id", "a", cooperative[0], cooperative[1]));
            await("two partitions each", () -> sizes(open).equals(List.of(2, 2)));
            same(before, open.get(0).assignment(), "assignment");
            same(generation, open.get(1).groupMetadata().generationId(), "generation");
        });
        step("static members: the older of two is fenced", () -> {
            try (KafkaConsumer<byte[], byte[]> twin = member(group, "group.instance.id", "a", cooperative[0], cooperative[1])) {
                await("the twin's partitions", () -> sizes(List.of(twin, open.get(1))).equals(List.of(2, 2)));
                try {
                    await("the error", () -> { open.get(0).poll(POLL); open.get(0).commitSync(); return false; });
                } catch (FencedInstanceIdException fenced) {
                    return;
                }
            }
        });
        step("static members: removed by the operator", () -> {
            open.forEach(consumer -> consumer.close(CloseOptions.timeout(Duration.ofSeconds(5))));
            open.clear();
            get(admin.removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions(
                List.of(new MemberToRemove("a"), new MemberToRemove("b")))).all());
            await("an empty group", () -> state(group) == GroupState.EMPTY);
            get(admin.deleteConsumerGroups(List.of(group)).all());
        });
        open.forEach(consumer -> consumer.close(CloseOptions.timeout(Duration.ofSeconds(5))));
    }

    static void delete() throws Exception {
        get(admin.deleteConsumerGroups(List.of(GROUP)).all());
        check(get(admin.listGroups().all()).stream().noneMatch(g -> g.groupId().equals(GROUP)), "it is still listed");
        refused(GroupIdNotFoundException.class, admin.deleteConsumerGroups(List.of(GROUP)).all());
        refused(GroupIdNotFoundException.class, admin.describeConsumerGroups(List.of(GROUP)).all());
    }

    static KafkaConsumer<byte[], byte[]> member(String group, String... settings) {
        List<String> all = new ArrayList<>(List.of("group.id", group, "session.timeout.ms", "6000",
            "heartbeat.interval.ms", "500"));
        all.addAll(List.of(settings));
        KafkaConsumer<byte[], byte[]> consumer = consumer(all.toArray(String[]::new));
        consumer.subscribe(List.of(TOPIC));
        return consumer;
    }

    /** Polls every member and says how many partitions each has. */
    static List<Integer> sizes(List<KafkaConsumer<byte[], byte[]>> members) {
        members.forEach(member -> member.poll(POLL));
        return members.stream().map(member -> member.assignment().size()).toList();
    }

    static GroupState state(String group) throws Exception {
        return get(admin.describeConsumerGroups(List.of(group)).all()).get(group).groupState();
    }
}
