package clients;

import static clients.Kit.*;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

/** The scenario of tests/clients/README.md with Apache Kafka's own Java client: producer, consumer and admin. */
public final class Scenario {
    /** What was produced to each partition of TOPIC, in order. */
    static final List<List<ProducerRecord<byte[], byte[]>>> expected =
        List.of(new ArrayList<>(), new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    static int produced = 0;

    public static void main(String[] args) {
        Kit.admin = Admin.create(config("default.api.timeout.ms", "15000", "request.timeout.ms", "10000"));
        topics();
        producing();
        reading();
        Groups.run();
        changes();
        refusals();
        step("delete group", Groups::delete);
        step("delete topic", Scenario::deleteTopic);
        admin.close(Duration.ofSeconds(5));
        System.exit(failed == 0 ? 0 : 1);
    }

    // Topics

    static void topics() {
        step("describe cluster", () -> {
            DescribeClusterResult cluster = admin.describeCluster();
            check(!get(cluster.nodes()).isEmpty(), "no nodes");
            check(get(cluster.nodes()).contains(get(cluster.controller())), "the controller is not a listed node");
            check(!get(cluster.clusterId()).isEmpty(), "no cluster id");
        });
        step("create topic", () -> {
            NewTopic topic = new NewTopic(TOPIC, Optional.of(PARTITIONS), Optional.empty())
                .configs(Map.of("retention.ms", "86400000"));
            CreateTopicsResult result = admin.createTopics(List.of(topic));
            get(result.all());
            same(PARTITIONS, get(result.numPartitions(TOPIC)), "partitions in the answer");
            same("86400000", get(result.config(TOPIC)).get("retention.ms").value(), "setting in the answer");
        });
        step("create topic: validate only", () -> {
            NewTopic topic = new NewTopic(TOPIC + "-dry", 1, (short) -1);
            get(admin.createTopics(List.of(topic), new CreateTopicsOptions().validateOnly(true)).all());
            check(!get(admin.listTopics().names()).contains(TOPIC + "-dry"), "it was made");
        });
        step("create topic: refusals", () -> {
            refused(TopicExistsException.class, admin.createTopics(List.of(new NewTopic(TOPIC, 1, (short) 1))).all());
            refused(InvalidTopicException.class, admin.createTopics(List.of(new NewTopic("a b", 1, (short) 1))).all());
            refused(InvalidPartitionsException.class,
                admin.createTopics(List.of(new NewTopic(TOPIC + "-0", 0, (short) 1))).all());
            refused(InvalidReplicationFactorException.class,
                admin.createTopics(List.of(new NewTopic(TOPIC + "-9", 1, (short) 9))).all());
            refused(InvalidConfigurationException.class, admin.createTopics(
                List.of(new NewTopic(TOPIC + "-c", 1, (short) 1).configs(Map.of("no.such.setting", "1")))).all());
            refused(InvalidConfigurationException.class, admin.createTopics(
                List.of(new NewTopic(TOPIC + "-c", 1, (short) 1).configs(Map.of("retention.ms", "soon")))).all());
        });
        step("list topics", () -> await("the topic", () -> get(admin.listTopics().names()).contains(TOPIC)));
        step("describe topic", () -> {
            TopicDescription topic = get(admin.describeTopics(List.of(TOPIC)).allTopicNames()).get(TOPIC);
            same(PARTITIONS, topic.partitions().size(), "partitions");
            check(!topic.isInternal(), "it is internal");
            for (TopicPartitionInfo partition : topic.partitions()) {
                check(partition.leader() != null && !partition.leader().isEmpty(), "no leader of " + partition);
                same(1, partition.replicas().size(), "replicas of " + partition);
                same(partition.replicas(), partition.isr(), "in-sync replicas of " + partition);
            }
            Uuid id = topic.topicId();
            check(!id.equals(Uuid.ZERO_UUID), "no topic id");
            TopicDescription byId = get(admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds()).get(id);
            same(TOPIC, byId.name(), "name found by id");
        });
        step("describe topic config", () -> {
            Config settings = describe(topicResource());
            same("86400000", settings.get("retention.ms").value(), "retention.ms");
            same(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, settings.get("retention.ms").source(), "its source");
            same(ConfigEntry.ConfigType.LONG, settings.get("retention.ms").type(), "its type");
            same("delete", settings.get("cleanup.policy").value(), "cleanup.policy");
            same(ConfigEntry.ConfigSource.DEFAULT_CONFIG, settings.get("cleanup.policy").source(), "its source");
            same(ConfigEntry.ConfigType.LIST, settings.get("cleanup.policy").type(), "its type");
        });
        step("describe broker config", () -> {
            Node node = get(admin.describeCluster().nodes()).iterator().next();
            Config settings = describe(new ConfigResource(ConfigResource.Type.BROKER, node.idString()));
            ConfigEntry advertised = settings.get("advertised.listeners");
            check(advertised == null || advertised.isReadOnly(), "advertised.listeners can be changed");
            same("0", settings.get("group.initial.rebalance.delay.ms").value(), "group.initial.rebalance.delay.ms");
            same(ConfigEntry.ConfigSource.STATIC_BROKER_CONFIG,
                settings.get("group.initial.rebalance.delay.ms").source(), "its source");
        });
        step("made on first use", () -> {
            try (KafkaProducer<byte[], byte[]> producer = producer()) {
                get(producer.send(new ProducerRecord<>(TOPIC + "-auto", bytes("x"))));
            }
            check(get(admin.listTopics().names()).contains(TOPIC + "-auto"), "it is not listed");
        });
    }

    // Producing

    static void producing() {
        for (String codec : CODECS) {
            step("produce " + codec, () -> produce("compression.type", codec, "enable.idempotence", "false"));
        }
        step("produce idempotent", () -> produce("enable.idempotence", "true"));
        step("produce idempotent, small batches",
            () -> produce("enable.idempotence", "true", "batch.size", "1", "linger.ms", "0"));
        step("produce acks=0", () -> produce("acks", "0", "enable.idempotence", "false"));
        step("produce acks=1", () -> produce("acks", "1", "enable.idempotence", "false"));
        step("produce acks=all", () -> produce("acks", "all", "enable.idempotence", "false"));
        step("produce for the other clients", () -> {
            for (String codec : CODECS) {
                try (KafkaProducer<byte[], byte[]> producer = producer("compression.type", codec)) {
                    for (int i = 0; i < 20; i++) {
                        String key = "java/" + codec + "/" + i;
                        producer.send(new ProducerRecord<>(SHARED, bytes(key), sharedValue(key)));
                    }
                }
            }
        });
    }

    static void produce(String... settings) throws Exception {
        List<ProducerRecord<byte[], byte[]>> batch = new ArrayList<>();
        for (int i = 0; i < RECORDS; i++) batch.add(record(produced++));
        List<RecordMetadata> answers = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = producer(settings)) {
            List<java.util.concurrent.Future<RecordMetadata>> sent = batch.stream().map(producer::send).toList();
            producer.flush();
            for (var future : sent) answers.add(get(future));
        }
        for (int i = 0; i < RECORDS; i++) {
            ProducerRecord<byte[], byte[]> record = batch.get(i);
            List<ProducerRecord<byte[], byte[]>> log = expected.get(record.partition());
            if (answers.get(i).hasOffset()) same((long) log.size(), answers.get(i).offset(), "offset of " + record);
            log.add(record);
        }
        await("the log ends behind the last record", () -> endOffsets().equals(expectedEnds()));
    }

    // Reading

    static void reading() {
        step("read back", () -> readBack());
        step("read back, tiny fetches, read_committed", () -> readBack("max.partition.fetch.bytes", "1", "fetch.max.bytes", "1",
            "isolation.level", "read_committed"));
        step("read what the clients wrote", () -> {
            Map<String, Integer> counts = new TreeMap<>();
            try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
                List<TopicPartition> partitions = consumer.partitionsFor(SHARED).stream()
                    .map(p -> new TopicPartition(SHARED, p.partition())).toList();
                for (ConsumerRecord<byte[], byte[]> record : readAll(consumer, partitions)) {
                    String key = new String(record.key(), StandardCharsets.UTF_8);
                    check(Arrays.equals(sharedValue(key), record.value()), "the value of " + key + " differs");
                    counts.merge(key.substring(0, key.lastIndexOf('/')), 1, Integer::sum);
                }
            }
            for (String codec : CODECS) check(counts.containsKey("java/" + codec), "nothing of java/" + codec);
            for (var entry : counts.entrySet()) same(20, entry.getValue(), "records of " + entry.getKey());
        });
        step("offsets and seek by time", Scenario::seekByTime);
    }

    static void readBack(String... settings) throws Exception {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings)) {
            Map<Integer, List<ConsumerRecord<byte[], byte[]>>> read = readAll(consumer, partitions(PARTITIONS)).stream()
                .collect(Collectors.groupingBy(ConsumerRecord::partition, TreeMap::new, Collectors.toList()));
            for (int p = 0; p < PARTITIONS; p++) {
                same(expected.get(p).size(), read.get(p).size(), "records in partition " + p);
                for (int i = 0; i < read.get(p).size(); i++) compare(i, expected.get(p).get(i), read.get(p).get(i));
            }
        }
    }

    static void compare(long offset, ProducerRecord<byte[], byte[]> sent, ConsumerRecord<byte[], byte[]> read) {
        String at = "partition " + read.partition() + " offset " + offset + ": ";
        same(offset, read.offset(), at + "offset");
        check(Arrays.equals(sent.key(), read.key()), at + "the key differs");
        check(Arrays.equals(sent.value(), read.value()), at + "the value differs");
        check(Arrays.equals(sent.headers().toArray(), read.headers().toArray()), at + "the headers differ");
        same(sent.timestamp(), read.timestamp(), at + "timestamp");
    }

    static List<ConsumerRecord<byte[], byte[]>> readAll(KafkaConsumer<byte[], byte[]> consumer,
        List<TopicPartition> partitions) {
        List<ConsumerRecord<byte[], byte[]>> read = new ArrayList<>();
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        await("every partition read to its end", () -> {
            consumer.poll(POLL).forEach(read::add);
            return partitions.stream().allMatch(p -> consumer.position(p) >= ends.get(p));
        });
        return read;
    }

    /** The times in one gzip batch are out of order, so that an answer must come from the records. */
    static void seekByTime() throws Exception {
        String topic = TOPIC + "-times";
        TopicPartition partition = new TopicPartition(topic, 0);
        get(admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all());
        await("the topic", () -> get(admin.listTopics().names()).contains(topic));
        long[] times = {0, 5000, 2000, 9000, 3000};
        try (KafkaProducer<byte[], byte[]> producer = producer("compression.type", "gzip", "linger.ms", "500")) {
            for (long time : times) producer.send(new ProducerRecord<>(topic, 0, BASE_TIME + time, null, bytes("" + time)));
        }
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, BASE_TIME + 2500)).get(partition);
            same(1L, found.offset(), "offset for a time inside the batch");
            same(BASE_TIME + 5000, found.timestamp(), "its timestamp");
            same(3L, consumer.offsetsForTimes(Map.of(partition, BASE_TIME + 5001)).get(partition).offset(),
                "offset for a later time");
            same(0L, consumer.offsetsForTimes(Map.of(partition, 0L)).get(partition).offset(), "offset for an early time");
            check(consumer.offsetsForTimes(Map.of(partition, BASE_TIME + 9001)).get(partition) == null,
                "offset behind the last time");
            consumer.assign(List.of(partition));
            consumer.seek(partition, found.offset());
            await("a record after the seek", () -> {
                for (var record : consumer.poll(POLL)) {
                    same("5000", new String(record.value(), StandardCharsets.UTF_8), "first record after the seek");
                    return true;
                }
                return false;
            });
        }
        same(0L, listOffset(partition, OffsetSpec.earliest()), "earliest");
        same(5L, listOffset(partition, OffsetSpec.latest()), "latest");
        same(3L, listOffset(partition, OffsetSpec.maxTimestamp()), "offset of the greatest time");
    }

    // Changes

    static void changes() {
        step("alter config", () -> {
            alter("retention.ms", "3600000", AlterConfigOp.OpType.SET);
            same("3600000", describe(topicResource()).get("retention.ms").value(), "retention.ms");
            alter("retention.ms", "", AlterConfigOp.OpType.DELETE);
            ConfigEntry entry = describe(topicResource()).get("retention.ms");
            same("604800000", entry.value(), "retention.ms without the change");
            same(ConfigEntry.ConfigSource.DEFAULT_CONFIG, entry.source(), "its source");
            refused(InvalidConfigurationException.class, alterLater("no.such.setting", "1", AlterConfigOp.OpType.SET));
            refused(InvalidConfigurationException.class, alterLater("retention.ms", "soon", AlterConfigOp.OpType.SET));
        });
        step("create partitions", () -> {
            get(admin.createPartitions(Map.of(TOPIC, NewPartitions.increaseTo(6))).all());
            await("six partitions",
                () -> get(admin.describeTopics(List.of(TOPIC)).allTopicNames()).get(TOPIC).partitions().size() == 6);
            refused(InvalidPartitionsException.class, admin.createPartitions(Map.of(TOPIC, NewPartitions.increaseTo(5))).all());
            try (KafkaProducer<byte[], byte[]> producer = producer()) {
                same(0L, get(producer.send(new ProducerRecord<>(TOPIC, 5, null, bytes("x")))).offset(),
                    "offset in a new partition");
            }
        });
        step("delete records", () -> {
            TopicPartition partition = new TopicPartition(TOPIC, 0);
            var result = admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(7)));
            same(7L, get(result.lowWatermarks().get(partition)).lowWatermark(), "low watermark");
            same(7L, listOffset(partition, OffsetSpec.earliest()), "earliest");
            try (KafkaConsumer<byte[], byte[]> consumer = consumer("auto.offset.reset", "none")) {
                consumer.assign(List.of(partition));
                consumer.seek(partition, 0);
                await("the error", () -> { consumer.poll(POLL); return false; });
            } catch (OffsetOutOfRangeException outOfRange) {
                same(Set.of(partition), outOfRange.offsetOutOfRangePartitions().keySet(), "partitions out of range");
            }
            try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
                same(7L, readAll(consumer, List.of(partition)).get(0).offset(), "first offset that is left");
            }
            refused(org.apache.kafka.common.errors.OffsetOutOfRangeException.class,
                admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(1_000_000))).all());
        });
        step("log dirs", () -> {
            int node = get(admin.describeCluster().nodes()).iterator().next().id();
            var dirs = get(admin.describeLogDirs(List.of(node)).allDescriptions()).get(node).values();
            long replicas = dirs.stream().flatMap(d -> d.replicaInfos().keySet().stream())
                .filter(p -> p.topic().equals(TOPIC)).count();
            same(6L, replicas, "replicas of the topic");
        });
        step("quorum, reassignments, ACLs", () -> {
            same(1, get(admin.describeMetadataQuorum().quorumInfo()).voters().size(), "voters");
            same(Map.of(), get(admin.listPartitionReassignments().reassignments()), "reassignments");
            refused(SecurityDisabledException.class, admin.describeAcls(AclBindingFilter.ANY).values());
        });
    }

    // Refusals

    static void refusals() {
        step("unknown topic", () -> {
            refused(UnknownTopicOrPartitionException.class, admin.describeTopics(List.of(TOPIC + "-absent")).allTopicNames());
            refused(UnknownTopicOrPartitionException.class, admin.deleteTopics(List.of(TOPIC + "-absent")).all());
            try (KafkaConsumer<byte[], byte[]> consumer = consumer("allow.auto.create.topics", "false")) {
                same(List.of(), consumer.partitionsFor(TOPIC + "-absent"), "partitions");
            }
            check(!get(admin.listTopics().names()).contains(TOPIC + "-absent"), "looking made it");
        });
        step("record too large", () -> {
            try (KafkaProducer<byte[], byte[]> producer = producer("max.request.size", "10000000")) {
                refused(RecordTooLargeException.class,
                    producer.send(new ProducerRecord<>(TOPIC, 0, null, new byte[2_000_000])));
                get(producer.send(new ProducerRecord<>(TOPIC, 0, null, bytes("the connection lives"))));
            }
        });
        step("record in the future", () -> {
            try (KafkaProducer<byte[], byte[]> producer = producer()) {
                long tomorrow = System.currentTimeMillis() + 86_400_000;
                refused(InvalidTimestampException.class,
                    producer.send(new ProducerRecord<>(TOPIC, 0, tomorrow, null, bytes("x"))));
            }
        });
        step(DURAMEN ? "transactions are refused at once" : "transactions begin", Scenario::transactions);
    }

    static void transactions() {
        long start = System.nanoTime();
        try (KafkaProducer<byte[], byte[]> producer = producer("transactional.id", TOPIC + "-txn", "max.block.ms", "15000")) {
            try {
                producer.initTransactions();
                check(!DURAMEN, "initTransactions succeeded");
            } catch (KafkaException error) {
                long millis = (System.nanoTime() - start) / 1_000_000;
                check(DURAMEN, "initTransactions failed: " + error);
                check(millis < 5000, "it took " + millis + " ms: " + error);
                check(!(error instanceof RetriableException), "the error may be retried: " + error);
                try {
                    producer.beginTransaction();
                } catch (KafkaException fatal) {
                    return;
                }
                throw new AssertionError("the producer goes on after " + error);
            }
        }
    }

    static void deleteTopic() throws Exception {
        Uuid old = get(admin.describeTopics(List.of(TOPIC)).allTopicNames()).get(TOPIC).topicId();
        get(admin.deleteTopics(List.of(TOPIC, TOPIC + "-times", TOPIC + "-auto")).all());
        await("the topic is gone", () -> !get(admin.listTopics().names()).contains(TOPIC));
        CreateTopicsResult again = admin.createTopics(List.of(new NewTopic(TOPIC, 1, (short) 1)));
        check(!get(again.topicId(TOPIC)).equals(old), "made again, it has its old id");
        await("the new topic", () -> get(admin.listTopics().names()).contains(TOPIC));
        same(0L, listOffset(new TopicPartition(TOPIC, 0), OffsetSpec.latest()), "end of the new topic");
        get(admin.deleteTopics(List.of(TOPIC)).all());
    }

    // Questions

    static ConfigResource topicResource() {
        return new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);
    }

    static Config describe(ConfigResource resource) throws Exception {
        return get(admin.describeConfigs(List.of(resource)).all()).get(resource);
    }

    static void alter(String name, String value, AlterConfigOp.OpType op) throws Exception {
        get(alterLater(name, value, op));
    }

    static KafkaFuture<Void> alterLater(String name, String value, AlterConfigOp.OpType op) {
        AlterConfigOp change = new AlterConfigOp(new ConfigEntry(name, value), op);
        return admin.incrementalAlterConfigs(Map.of(topicResource(), List.of(change))).all();
    }

    static long listOffset(TopicPartition partition, OffsetSpec spec) throws Exception {
        return get(admin.listOffsets(Map.of(partition, spec)).partitionResult(partition)).offset();
    }

    static Map<TopicPartition, Long> endOffsets() throws Exception {
        Map<TopicPartition, OffsetSpec> specs =
            partitions(PARTITIONS).stream().collect(Collectors.toMap(p -> p, p -> OffsetSpec.latest()));
        return get(admin.listOffsets(specs).all()).entrySet().stream()
            .collect(Collectors.toMap(Map.Entry::getKey, e -> e.getValue().offset()));
    }

    static Map<TopicPartition, Long> expectedEnds() {
        return partitions(PARTITIONS).stream()
            .collect(Collectors.toMap(p -> p, p -> (long) expected.get(p.partition()).size()));
    }

    static List<TopicPartition> partitions(int count) {
        return IntStream.range(0, count).mapToObj(p -> new TopicPartition(TOPIC, p)).toList();
    }
}
