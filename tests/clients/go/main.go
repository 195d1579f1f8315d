// The scenario of tests/clients/README.md with franz-go.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	topics()
	producing()
	step("read back", func() { readBack() })
	step("read back, tiny fetches, read_committed", func() {
		readBack(kgo.FetchMaxBytes(1), kgo.FetchMaxPartitionBytes(1), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	})
	step("read back without fetch sessions", func() { readBack(kgo.DisableFetchSessions()) })
	step("read what the clients wrote", readShared)
	step("offsets and seek by time", seekByTime)
	groups()
	staticMembers()
	step("alter config", alterConfig)
	step("create partitions", createPartitions)
	step("delete records", deleteRecords)
	step("log dirs", logDirs)
	step("unknown topic", unknownTopic)
	step("record too large", recordTooLarge)
	if duramen {
		step("transactions are refused at once", transactions)
	} else {
		step("transactions begin", transactions)
	}
	step("delete group", deleteGroup)
	step("delete topic", deleteTopic)
	if failed > 0 {
		os.Exit(1)
	}
}

// Topics

func topics() {
	step("describe cluster", func() {
		cluster := must(admin.BrokerMetadata(ctx()))
		check(cluster.Cluster != "", "no cluster id")
		check(slices.Contains(cluster.Brokers.NodeIDs(), cluster.Controller), "the controller is not a listed broker")
	})
	step("create topic", func() {
		retention := "86400000"
		made := must(admin.CreateTopic(ctx(), partitions, -1, map[string]*string{"retention.ms": &retention}, topic))
		same(int32(partitions), made.NumPartitions, "partitions in the answer")
		same(retention, *made.Configs["retention.ms"].Value, "setting in the answer")
		await("the topic", func() bool { return must(admin.ListTopics(ctx())).Has(topic) })
		must(admin.ValidateCreateTopics(ctx(), 1, -1, nil, topic+"-dry"))
		check(!must(admin.ListTopics(ctx())).Has(topic+"-dry"), "validate only made it")
	})
	step("create topic: refusals", func() {
		refuse := func(expected error, partitions int32, replicas int16, name string) {
			_, err := admin.CreateTopic(ctx(), partitions, replicas, nil, name)
			refused(expected, err)
		}
		refuse(kerr.TopicAlreadyExists, 1, 1, topic)
		refuse(kerr.InvalidTopicException, 1, 1, "a b")
		refuse(kerr.InvalidPartitions, 0, 1, topic+"-0")
		refuse(kerr.InvalidReplicationFactor, 1, 9, topic+"-9")
	})
	step("describe topic", func() {
		details := must(admin.ListTopics(ctx(), topic))[topic]
		check(details.Err == nil && !details.IsInternal && details.ID != kadm.TopicID{}, "error, internal or without an id")
		same(partitions, len(details.Partitions), "partitions")
		for _, p := range details.Partitions {
			check(p.Leader >= 0 && p.Err == nil, fmt.Sprintf("no leader, or an error: %+v", p))
			check(slices.Equal(p.Replicas, []int32{p.Leader}) && slices.Equal(p.ISR, p.Replicas), fmt.Sprintf("replicas: %+v", p))
		}
	})
	step("describe topic config", func() {
		same("86400000 DYNAMIC_TOPIC_CONFIG", setting("retention.ms"), "retention.ms")
		same("delete DEFAULT_CONFIG", setting("cleanup.policy"), "cleanup.policy")
	})
	step("made on first use", func() {
		producer := connect(kgo.AllowAutoTopicCreation())
		defer producer.Close()
		check(producer.ProduceSync(ctx(), &kgo.Record{Topic: topic + "-auto", Value: []byte("x")}).FirstErr() == nil, "not produced")
		// The client answers from what it remembers of the topics for a while.
		await("the topic is listed", func() bool { return must(admin.ListTopics(ctx())).Has(topic + "-auto") })
	})
}

// Producing

func producing() {
	for _, codec := range codecs {
		step("produce "+codec, func() { produce(true, kgo.ProducerBatchCompression(codecOf[codec]), kgo.DisableIdempotentWrite()) })
	}
	step("produce idempotent", func() { produce(true) })
	step("produce idempotent, small batches", func() { produce(true, kgo.ProducerBatchMaxBytes(2048), kgo.ProducerLinger(0)) })
	step("produce acks=0", func() { produce(false, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite()) })
	step("produce acks=1", func() { produce(true, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()) })
	step("produce acks=all", func() { produce(true, kgo.RequiredAcks(kgo.AllISRAcks()), kgo.DisableIdempotentWrite()) })
	step("produce for the other clients", func() {
		for _, codec := range codecs {
			producer := connect(kgo.ProducerBatchCompression(codecOf[codec]), kgo.AllowAutoTopicCreation())
			for i := range sharedRecords {
				key := fmt.Sprintf("franz-go/%s/%d", codec, i)
				producer.Produce(ctx(), &kgo.Record{Topic: shared, Key: []byte(key), Value: sharedValue(key)}, nil)
			}
			check(producer.Flush(ctx()) == nil, "not flushed")
			producer.Close()
		}
	})
}

func produce(answered bool, options ...kgo.Opt) {
	producer := connect(append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	defer producer.Close()
	var batch []*kgo.Record
	for range records {
		batch = append(batch, record(produced))
		produced++
	}
	for _, result := range producer.ProduceSync(ctx(), batch...) {
		check(result.Err == nil, fmt.Sprint(result.Err))
	}
	for _, r := range batch {
		if answered {
			same(int64(len(expected[r.Partition])), r.Offset, "offset of a record")
		}
		expected[r.Partition] = append(expected[r.Partition], r)
	}
	await("the log ends behind the last record", func() bool {
		ends := must(admin.ListEndOffsets(ctx(), topic))
		for p := range partitions {
			if end, _ := ends.Lookup(topic, int32(p)); end.Offset != int64(len(expected[p])) {
				return false
			}
		}
		return true
	})
}

// Reading

func readBack(options ...kgo.Opt) {
	var read [partitions][]*kgo.Record
	for _, r := range readAll(topic, options...) {
		read[r.Partition] = append(read[r.Partition], r)
	}
	for p := range partitions {
		same(len(expected[p]), len(read[p]), fmt.Sprintf("records in partition %d", p))
		for i, sent := range expected[p] {
			compare(int64(i), sent, read[p][i])
		}
	}
}

func compare(offset int64, sent, read *kgo.Record) {
	at := fmt.Sprintf("partition %d offset %d: ", read.Partition, offset)
	same(offset, read.Offset, at+"offset")
	check(equal(sent.Key, read.Key), at+"the key differs")
	check(equal(sent.Value, read.Value), at+"the value differs")
	same(sent.Timestamp.UnixMilli(), read.Timestamp.UnixMilli(), at+"timestamp")
	check(slices.EqualFunc(sent.Headers, read.Headers, func(a, b kgo.RecordHeader) bool {
		return a.Key == b.Key && equal(a.Value, b.Value)
	}), at+"the headers differ")
}

// An absent value is not an empty one.
func equal(a, b []byte) bool {
	return (a == nil) == (b == nil) && bytes.Equal(a, b)
}

func readShared() {
	counts := map[string]int{}
	for _, r := range readAll(shared) {
		key := string(r.Key)
		check(bytes.Equal(sharedValue(key), r.Value), "the value of "+key+" differs")
		counts[key[:strings.LastIndex(key, "/")]]++
	}
	for _, codec := range codecs {
		check(counts["franz-go/"+codec] > 0, "nothing of franz-go/"+codec)
	}
	for writer, count := range counts {
		same(sharedRecords, count, "records of "+writer)
	}
}

func readAll(topic string, options ...kgo.Opt) []*kgo.Record {
	left := map[int32]int64{}
	for _, end := range must(admin.ListEndOffsets(ctx(), topic))[topic] {
		if end.Offset > 0 {
			left[end.Partition] = end.Offset
		}
	}
	consumer := connect(append(options, kgo.ConsumeTopics(topic))...)
	defer consumer.Close()
	var read []*kgo.Record
	await("every partition read to its end", func() bool {
		for _, r := range poll(consumer) {
			read = append(read, r)
			if r.Offset >= left[r.Partition]-1 {
				delete(left, r.Partition)
			}
		}
		return len(left) == 0
	})
	return read
}

// The times in one gzip batch are out of order, so that an answer must come from the records.
func seekByTime() {
	topic := topic + "-times"
	must(admin.CreateTopic(ctx(), 1, 1, nil, topic))
	producer := connect(kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerLinger(500*time.Millisecond))
	defer producer.Close()
	for _, after := range []int{0, 5000, 2000, 9000, 3000} {
		at := baseTime.Add(time.Duration(after) * time.Millisecond)
		producer.Produce(ctx(), &kgo.Record{Topic: topic, Timestamp: at, Value: []byte(strconv.Itoa(after))}, nil)
	}
	check(producer.Flush(ctx()) == nil, "not flushed")
	for after, offset := range map[int64]int64{-1000: 0, 2500: 1, 5001: 3, 9001: 5} { // kadm answers the end where there is none
		found, _ := must(admin.ListOffsetsAfterMilli(ctx(), baseTime.UnixMilli()+after, topic)).Lookup(topic, 0)
		same(offset, found.Offset, fmt.Sprintf("offset for the time %d ms after the first", after))
	}
	greatest, _ := must(admin.ListMaxTimestampOffsets(ctx(), topic)).Lookup(topic, 0)
	same(int64(3), greatest.Offset, "offset of the greatest time")
	at := kgo.NewOffset().AfterMilli(baseTime.UnixMilli() + 2500)
	consumer := connect(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: at}}))
	defer consumer.Close()
	await("the record sought", func() bool {
		read := poll(consumer)
		return len(read) > 0 && string(read[0].Value) == "5000"
	})
}

// Changes

func alterConfig() {
	alter := func(op kadm.IncrementalOp, name, value string) error {
		return must(admin.AlterTopicConfigs(ctx(), []kadm.AlterConfig{{Op: op, Name: name, Value: &value}}, topic))[0].Err
	}
	check(alter(kadm.SetConfig, "retention.ms", "3600000") == nil, "not set")
	same("3600000 DYNAMIC_TOPIC_CONFIG", setting("retention.ms"), "retention.ms")
	check(alter(kadm.DeleteConfig, "retention.ms", "") == nil, "not deleted")
	same("604800000 DEFAULT_CONFIG", setting("retention.ms"), "retention.ms without the change")
	refused(kerr.InvalidConfig, alter(kadm.SetConfig, "no.such.setting", "1"))
}

func createPartitions() {
	check(must(admin.UpdatePartitions(ctx(), 6, topic)).Error() == nil, "not made")
	await("six partitions", func() bool { return len(must(admin.ListTopics(ctx(), topic))[topic].Partitions) == 6 })
	refused(kerr.InvalidPartitions, must(admin.UpdatePartitions(ctx(), 5, topic)).Error())
}

func deleteRecords() {
	before := kadm.Offsets{}
	before.Add(kadm.Offset{Topic: topic, Partition: 0, At: 7})
	deleted, _ := must(admin.DeleteRecords(ctx(), before)).Lookup(topic, 0)
	check(deleted.Err == nil, fmt.Sprint(deleted.Err))
	same(int64(7), deleted.LowWatermark, "low watermark")
	start, _ := must(admin.ListStartOffsets(ctx(), topic)).Lookup(topic, 0)
	same(int64(7), start.Offset, "start")
	from := kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(0)}})
	strict := connect(from, kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	defer strict.Close()
	await("the error", func() bool {
		short, cancel := context.WithTimeout(ctx(), 200*time.Millisecond)
		defer cancel()
		fetched := strict.PollFetches(short)
		return slices.ContainsFunc(fetched.Errors(), func(e kgo.FetchError) bool { return errors.Is(e.Err, kerr.OffsetOutOfRange) })
	})
	lenient := connect(from, kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer lenient.Close()
	await("the first record left", func() bool {
		read := poll(lenient)
		return len(read) > 0 && read[0].Offset == 7
	})
}

func logDirs() {
	set := kadm.TopicsSet{}
	set.Add(topic, 0, 1, 2, 3, 4, 5)
	count := 0
	must(admin.DescribeAllLogDirs(ctx(), set)).Each(func(d kadm.DescribedLogDir) {
		check(d.Err == nil, fmt.Sprint(d.Err))
		count += len(d.Topics[topic])
	})
	same(6, count, "partitions")
}

// Refusals

func unknownTopic() {
	absent := topic + "-absent"
	_, err := admin.DeleteTopic(ctx(), absent)
	refused(kerr.UnknownTopicOrPartition, err)
	producer := connect(kgo.UnknownTopicRetries(0))
	defer producer.Close()
	refused(kerr.UnknownTopicOrPartition, producer.ProduceSync(ctx(), &kgo.Record{Topic: absent, Value: []byte("x")}).FirstErr())
	check(!must(admin.ListTopics(ctx())).Has(absent), "looking made it")
}

func recordTooLarge() {
	producer := connect(kgo.ProducerBatchMaxBytes(10_000_000), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer producer.Close()
	refused(kerr.MessageTooLarge, producer.ProduceSync(ctx(), &kgo.Record{Topic: topic, Value: make([]byte, 2_000_000)}).FirstErr())
	err := producer.ProduceSync(ctx(), &kgo.Record{Topic: topic, Value: []byte("the connection lives")}).FirstErr()
	check(err == nil, fmt.Sprint(err))
}

// franz-go asks for the producer id when the first record of a transaction is to be sent.
func transactions() {
	producer := connect(kgo.TransactionalID(topic+"-txn"), kgo.DefaultProduceTopic(topic))
	defer producer.Close()
	start := time.Now()
	_, _, err := producer.ProducerID(ctx())
	took := time.Since(start)
	if !duramen {
		check(err == nil, fmt.Sprint(err))
		return
	}
	check(err != nil, "a producer id was given")
	check(took < 5*time.Second, fmt.Sprintf("it took %s: %s", took, err))
	check(!kerr.IsRetriable(err), "it may be retried: "+err.Error())
	check(producer.BeginTransaction() != nil || producer.ProduceSync(ctx(), &kgo.Record{Value: []byte("x")}).FirstErr() != nil,
		"the producer goes on after "+err.Error())
}

func deleteTopic() {
	old := must(admin.ListTopics(ctx(), topic))[topic].ID
	check(must(admin.DeleteTopics(ctx(), topic, topic+"-times", topic+"-auto")).Error() == nil, "not deleted")
	await("the topic is gone", func() bool { return !must(admin.ListTopics(ctx())).Has(topic) })
	again := must(admin.CreateTopic(ctx(), 1, 1, nil, topic))
	check(again.ID != old, "made again, it has its old id")
	await("an empty topic of the same name", func() bool {
		end, _ := must(admin.ListEndOffsets(ctx(), topic)).Lookup(topic, 0)
		return end.Err == nil && end.Offset == 0
	})
	must(admin.DeleteTopic(ctx(), topic))
}
