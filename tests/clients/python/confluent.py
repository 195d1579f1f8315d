"""The scenario of tests/clients/README.md with confluent-kafka, and so with librdkafka."""

import time

from confluent_kafka import (
    OFFSET_INVALID, Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource, NewPartitions, NewTopic, OffsetSpec,
    ResourceType,
)
from scenario import (
    BASE_TIME, BOOTSTRAP, CODECS, DURAMEN, PARTITIONS, POLL_S, PREFIX, SHARED, WAIT_S, Corpus, Record, Steps,
    await_until, check, check_shared, same, shared_keys, shared_value,
)

TOPIC = f"{PREFIX}-confluent"
GROUP = f"{TOPIC}-group"
corpus = Corpus()
steps = Steps()
admin = AdminClient({"bootstrap.servers": BOOTSTRAP, "socket.timeout.ms": 10000})


def main():
    topics()
    producing()
    steps.run("read back", read_back)
    steps.run("read back, tiny fetches, read_committed", read_back, {
        "fetch.message.max.bytes": 1, "fetch.max.bytes": 1000, "message.max.bytes": 1000, "isolation.level": "read_committed",
    })
    steps.run("read what the clients wrote", read_shared)
    steps.run("offsets and seek by time", seek_by_time)
    groups()
    static_members()
    steps.run("alter config", alter_config)
    steps.run("create partitions", create_partitions)
    steps.run("delete records", delete_records)
    steps.run("unknown topic", unknown_topic)
    steps.run("record too large", record_too_large)
    steps.run("transactions are refused at once" if DURAMEN else "transactions begin", transactions)
    steps.run("delete group", delete_group)
    steps.run("delete topic", delete_topic)
    steps.end()


# Topics


def topics():
    steps.run("describe cluster", describe_cluster)
    steps.run("create topic", create_topic)
    steps.run("create topic: refusals", create_refusals)
    steps.run("describe topic", describe_topic)
    steps.run("describe topic config", describe_topic_config)


def describe_cluster():
    cluster = admin.describe_cluster(request_timeout=10).result(WAIT_S)
    check(cluster.cluster_id, "no cluster id")
    check(cluster.controller.id in [node.id for node in cluster.nodes], "the controller is not a listed node")


def create_topic():
    done(admin.create_topics([NewTopic(TOPIC, PARTITIONS, config={"retention.ms": "86400000"})]))
    done(admin.create_topics([NewTopic(f"{TOPIC}-dry", 1)], validate_only=True))
    names = admin.list_topics(timeout=10).topics
    await_until("the topic", lambda: TOPIC in admin.list_topics(timeout=10).topics)
    check(f"{TOPIC}-dry" not in names, "validate_only made it")


def create_refusals():
    refused(KafkaError.TOPIC_ALREADY_EXISTS, admin.create_topics([NewTopic(TOPIC, 1)]))
    refused(KafkaError.TOPIC_EXCEPTION, admin.create_topics([NewTopic("a b", 1)]))
    refused(KafkaError.INVALID_REPLICATION_FACTOR, admin.create_topics([NewTopic(f"{TOPIC}-9", 1, 9)]))
    refused(KafkaError.INVALID_CONFIG, admin.create_topics([NewTopic(f"{TOPIC}-c", 1, config={"no.such": "1"})]))


def describe_topic():
    metadata = admin.list_topics(TOPIC, timeout=10)
    topic = metadata.topics[TOPIC]
    same(list(range(PARTITIONS)), sorted(topic.partitions), "partitions")
    for partition in topic.partitions.values():
        check(partition.leader in metadata.brokers, "the leader is not a listed broker")
        same([partition.leader], partition.replicas, "replicas")
        same([partition.leader], partition.isrs, "in-sync replicas")


def describe_topic_config():
    settings = describe_config()
    same("86400000", settings["retention.ms"].value, "retention.ms")
    same(ConfigSource.DYNAMIC_TOPIC_CONFIG.value, settings["retention.ms"].source, "its source")
    same("delete", settings["cleanup.policy"].value, "cleanup.policy")
    check(settings["cleanup.policy"].is_default, "cleanup.policy is not a default")


# Producing


def producing():
    for codec in CODECS:
        steps.run(f"produce {codec}", produce, {"compression.type": codec})
    steps.run("produce idempotent", produce, {"enable.idempotence": True})
    steps.run("produce idempotent, small batches", produce, {"enable.idempotence": True, "batch.num.messages": 1})
    for acks in ["0", "1", "all"]:
        steps.run(f"produce acks={acks}", produce, {"acks": acks})
    steps.run("produce for the other clients", produce_shared)


def produce(settings):
    records = corpus.next()
    errors = []
    client = producer(settings)
    for r in records:
        client.produce(TOPIC, r.value, r.key, r.partition, timestamp=r.timestamp, headers=r.headers,
                       on_delivery=lambda error, message: error and errors.append(error))
    same(0, client.flush(WAIT_S), "records left")
    same([], errors, "errors")
    corpus.sent(records)
    await_until("the log ends behind the last record", lambda: end_offsets() == corpus.ends())


def produce_shared():
    for codec in CODECS:
        errors = []
        client = producer({"compression.type": codec})
        for key in shared_keys("confluent", codec):
            client.produce(SHARED, shared_value(key), key,
                           on_delivery=lambda error, message: error and errors.append(error))
        same(0, client.flush(WAIT_S), "records left")
        same([], errors, "errors")


# Reading


def read_back(settings=None):
    read = [[] for _ in range(PARTITIONS)]
    for m in read_all(TOPIC, settings):
        got = Record(m.partition(), m.timestamp()[1], m.key(), m.value(), m.headers() or [])
        read[m.partition()].append((m.offset(), got))
    corpus.compare(read)


def read_shared():
    check_shared("confluent", [(m.key(), m.value()) for m in read_all(SHARED)])


def read_all(topic, settings=None):
    reader = consumer(settings)
    partitions = [TopicPartition(topic, p, 0) for p in reader.list_topics(topic, timeout=10).topics[topic].partitions]
    left = {p.partition for p in partitions}
    reader.assign(partitions)
    messages = []

    def read():
        message = reader.poll(POLL_S)  # a message without a value is false, so ask for None
        if message is None:
            return not left
        if message.error() and message.error().code() == KafkaError._PARTITION_EOF:
            left.discard(message.partition())
        else:
            check(not message.error(), f"error: {message.error()}")
            messages.append(message)
        return not left

    deadline = time.monotonic() + WAIT_S
    while not read():
        check(time.monotonic() < deadline, f"not at the end of partitions {sorted(left)} in {WAIT_S} s")
    reader.close()
    return messages


def seek_by_time():
    """The times in one gzip batch are out of order, so that an answer must come from the records."""
    topic = f"{TOPIC}-times"
    done(admin.create_topics([NewTopic(topic, 1)]))
    client = producer({"compression.type": "gzip", "linger.ms": 500})
    for after in [0, 5000, 2000, 9000, 3000]:
        client.produce(topic, str(after), partition=0, timestamp=BASE_TIME + after)
    same(0, client.flush(WAIT_S), "records left")
    reader = consumer()
    for time_ms, offset in [(0, 0), (BASE_TIME + 2500, 1), (BASE_TIME + 5001, 3), (BASE_TIME + 9001, -1)]:
        found = reader.offsets_for_times([TopicPartition(topic, 0, time_ms)], timeout=10)[0]
        same(offset, found.offset, f"offset for the time {time_ms - BASE_TIME} ms after the first")
    reader.assign([TopicPartition(topic, 0, 1)])
    await_until("the record sought", lambda: (m := reader.poll(POLL_S)) is not None and m.value() == b"5000")
    reader.close()
    for spec, offset in [(OffsetSpec.earliest(), 0), (OffsetSpec.latest(), 5), (OffsetSpec.max_timestamp(), 3)]:
        same(offset, list_offset(TopicPartition(topic, 0), spec), str(spec))


# Groups


def groups():
    members = []
    steps.run("group: one member has all", join, members, GROUP, {}, [4])
    steps.run("group: a second member shares", join, members, GROUP, {}, [2, 2])
    steps.run("list groups", list_groups)
    steps.run("describe group", describe_group)
    steps.run("delete group: not empty", lambda: refused(KafkaError.NON_EMPTY_GROUP, admin.delete_consumer_groups([GROUP])))
    steps.run("group: the other member leaves", leave, members)
    steps.run("commit", commit, members)
    steps.run("resume from the commit", resume)
    steps.run("reset offsets of an empty group", reset_offsets)


def join(members, group, settings, shares):
    member = consumer({"group.id": group, "session.timeout.ms": 6000, "heartbeat.interval.ms": 500, **settings})
    member.subscribe([TOPIC])
    members.append(member)
    await_until(f"shares of {shares}", lambda: sizes(members) == shares)
    owned = [p.partition for m in members for p in m.assignment()]
    same(list(range(PARTITIONS)), sorted(owned), "partitions together")


def leave(members):
    members.pop().close()
    await_until("four partitions again", lambda: sizes(members) == [4])


def list_groups():
    listing = admin.list_consumer_groups(request_timeout=10).result(WAIT_S)
    same([], listing.errors, "errors")
    group = next(g for g in listing.valid if g.group_id == GROUP)
    same("STABLE", group.state.name, "state")
    same("CLASSIC", group.type.name, "type")


def describe_group():
    group = admin.describe_consumer_groups([GROUP], request_timeout=10)[GROUP].result(WAIT_S)
    same("STABLE", group.state.name, "state")
    same("range", group.partition_assignor, "assignor")
    same([2, 2], [len(m.assignment.topic_partitions) for m in group.members], "partitions of the members")
    check(all(m.host.startswith("/") and m.client_id == "rdkafka" for m in group.members), "host or client id")


def commit(members):
    offsets = [TopicPartition(TOPIC, p, 10 + p, metadata=f"note {p}") for p in range(PARTITIONS)]
    members[0].commit(offsets=offsets, asynchronous=False)
    members.pop().close()
    stored = {p.partition: (p.offset, p.metadata) for p in group_offsets(GROUP)}
    same({p: (10 + p, f"note {p}") for p in range(PARTITIONS)}, stored, "offsets and metadata")


def resume():
    first = {}
    member = consumer({"group.id": GROUP, "session.timeout.ms": 6000, "enable.partition.eof": False})
    member.subscribe([TOPIC])

    def read():
        for message in member.consume(500, POLL_S):
            check(not message.error(), f"error: {message.error()}")
            first.setdefault(message.partition(), message.offset())
        return len(first) == PARTITIONS

    await_until("a record of each partition", read)
    member.close()
    same({0: 10, 1: 11, 2: 12, 3: 13}, dict(sorted(first.items())), "first offsets")


def reset_offsets():
    await_until("an empty group", lambda: group_state(GROUP) == "EMPTY")
    change = ConsumerGroupTopicPartitions(GROUP, [TopicPartition(TOPIC, 0, 3)])
    done(admin.alter_consumer_group_offsets([change]))
    same(3, next(p.offset for p in group_offsets(GROUP) if p.partition == 0), "offset that was reset")


def static_members():
    group = f"{GROUP}-static"
    cooperative = {"partition.assignment.strategy": "cooperative-sticky"}
    members = []

    def return_without_rebalance():
        before = assigned(members[0])
        others = members[1].memberid(), assigned(members[1])
        members[0].close()
        # A new process with the old name: the name alone must bring its partitions back.
        members[0] = consumer({"group.id": group, "session.timeout.ms": 6000, "group.instance.id": "a", **cooperative})
        members[0].subscribe([TOPIC])
        await_until("the same partitions", lambda: sizes(members) == [2, 2])
        same(before, assigned(members[0]), "assignment of the one that returned")
        same(others, (members[1].memberid(), assigned(members[1])), "member id and assignment of the other")

    for name, shares in [("a", [4]), ("b", [2, 2])]:
        steps.run(f"static members: {name} joins", join, members, group, {"group.instance.id": name, **cooperative}, shares)
    steps.run("static members: return without a rebalance", return_without_rebalance)
    for member in members:
        member.close()


def delete_group():
    done(admin.delete_consumer_groups([GROUP]))
    refused(KafkaError.GROUP_ID_NOT_FOUND, admin.delete_consumer_groups([GROUP]))


# Changes


def alter_config():
    incremental("retention.ms", "3600000", AlterConfigOpType.SET)
    same("3600000", describe_config()["retention.ms"].value, "retention.ms")
    incremental("retention.ms", None, AlterConfigOpType.DELETE)
    same("604800000", describe_config()["retention.ms"].value, "retention.ms without the change")
    try:
        incremental("no.such.setting", "1", AlterConfigOpType.SET)
    except KafkaException as error:
        same(KafkaError.INVALID_CONFIG, error.args[0].code(), "error")
    else:
        raise AssertionError("an unknown setting was taken")


def incremental(name, value, operation):
    entry = ConfigEntry(name, value, incremental_operation=operation)
    done(admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, TOPIC, incremental_configs=[entry])]))


def create_partitions():
    done(admin.create_partitions([NewPartitions(TOPIC, 6)]))
    await_until("six partitions", lambda: len(admin.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions) == 6)
    refused(KafkaError.INVALID_PARTITIONS, admin.create_partitions([NewPartitions(TOPIC, 5)]))


def delete_records():
    answer = done(admin.delete_records([TopicPartition(TOPIC, 0, 7)]))
    same([7], [deleted.low_watermark for deleted in answer], "low watermark")
    same(7, list_offset(TopicPartition(TOPIC, 0), OffsetSpec.earliest()), "earliest")
    reader = consumer({"auto.offset.reset": "error", "enable.partition.eof": False})
    reader.assign([TopicPartition(TOPIC, 0, 0)])
    await_until("the error", lambda: (m := reader.poll(POLL_S)) is not None and m.error())
    reader.assign([TopicPartition(TOPIC, 0, 7)])
    await_until("the first record left", lambda: (m := reader.poll(POLL_S)) is not None and not m.error() and m.offset() == 7)
    reader.close()


# Refusals


def unknown_topic():
    absent = f"{TOPIC}-absent"
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, admin.delete_topics([absent]))
    reader = consumer({"allow.auto.create.topics": False, "enable.partition.eof": False})
    reader.subscribe([absent])
    await_until("the error", lambda: (m := reader.poll(POLL_S)) is not None and m.error()
                and m.error().code() == KafkaError.UNKNOWN_TOPIC_OR_PART)
    reader.close()
    check(absent not in admin.list_topics(timeout=10).topics, "looking made it")


def record_too_large():
    errors = []
    client = producer({"message.max.bytes": 10_000_000})
    client.produce(TOPIC, bytes(2_000_000), partition=0, on_delivery=lambda error, message: errors.append(error))
    same(0, client.flush(WAIT_S), "records left")
    same([KafkaError.MSG_SIZE_TOO_LARGE], [error and error.code() for error in errors], "errors")
    errors.clear()
    client.produce(TOPIC, b"the connection lives", partition=0, on_delivery=lambda error, message: errors.append(error))
    same(0, client.flush(WAIT_S), "records left")
    same([None], errors, "errors of a small record")


def transactions():
    client = producer({"transactional.id": f"{TOPIC}-txn"})
    start = time.monotonic()
    try:
        client.init_transactions(15)
        check(not DURAMEN, "init_transactions succeeded")
    except KafkaException as failure:
        error, seconds = failure.args[0], time.monotonic() - start
        check(DURAMEN, f"init_transactions failed: {error}")
        check(seconds < 5, f"it took {seconds:.1f} s: {error}")
        check(error.fatal() and not error.retriable(), f"not fatal, or it may be retried: {error}")


def delete_topic():
    done(admin.delete_topics([TOPIC, f"{TOPIC}-times"]))
    await_until("the topic is gone", lambda: TOPIC not in admin.list_topics(timeout=10).topics)
    done(admin.create_topics([NewTopic(TOPIC, 1)]))
    await_until("an empty topic of the same name", lambda: TOPIC in admin.list_topics(timeout=10).topics)
    same(0, list_offset(TopicPartition(TOPIC, 0), OffsetSpec.latest()), "its end")
    done(admin.delete_topics([TOPIC]))


# Clients


def producer(settings):
    return Producer({"bootstrap.servers": BOOTSTRAP, "linger.ms": 5, "delivery.timeout.ms": 15000,
                     "socket.timeout.ms": 10000, **settings})


def consumer(settings=None):
    return Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": f"{TOPIC}-none", "auto.offset.reset": "earliest",
                     "enable.auto.commit": False, "enable.partition.eof": True, "fetch.wait.max.ms": 100,
                     **(settings or {})})


def sizes(members):
    """Polls every member and says how many partitions each has."""
    for member in members:
        message = member.poll(POLL_S)
        error = None if message is None else message.error()
        check(not error or error.code() == KafkaError._PARTITION_EOF, f"error: {error}")
    return [len(member.assignment()) for member in members]


def assigned(member):
    return sorted(p.partition for p in member.assignment())


def describe_config():
    return done(admin.describe_configs([ConfigResource(ResourceType.TOPIC, TOPIC)]))[0]


def group_state(group):
    return admin.describe_consumer_groups([group], request_timeout=10)[group].result(WAIT_S).state.name


def group_offsets(group):
    answer = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(WAIT_S)
    return [p for p in answer.topic_partitions if p.offset != OFFSET_INVALID]


def end_offsets():
    answers = admin.list_offsets({TopicPartition(TOPIC, p): OffsetSpec.latest() for p in range(PARTITIONS)})
    return [answers[p].result(WAIT_S).offset for p in sorted(answers, key=lambda p: p.partition)]


def list_offset(partition, spec):
    return list(admin.list_offsets({partition: spec}).values())[0].result(WAIT_S).offset


def done(futures):
    return [future.result(WAIT_S) for future in futures.values()]


def refused(code, futures):
    try:
        done(futures)
    except KafkaException as error:
        same(code, error.args[0].code(), f"error code ({error.args[0].str()})")
    else:
        raise AssertionError(f"expected the error {code}, got an answer")


main()
