"""The scenario of tests/clients/README.md with kafka-python."""

import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, OffsetSpec, TopicPartition, errors
from kafka.admin import ConfigResource, MemberToRemove
from scenario import (
    BASE_TIME, BOOTSTRAP, CODECS, DURAMEN, PARTITIONS, POLL_S, PREFIX, SHARED, WAIT_S, Corpus, Record, Steps,
    await_until, check, check_shared, same, shared_keys, shared_value,
)

TOPIC = f"{PREFIX}-kafka-python"
GROUP = f"{TOPIC}-group"
POLL_MS = int(POLL_S * 1000)
corpus = Corpus(null_header=b"this client has no null headers")
steps = Steps()
admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP, request_timeout_ms=10000)


def main():
    steps.run("describe cluster", describe_cluster)
    steps.run("create topic", create_topic)
    steps.run("create topic: refusals", create_refusals)
    steps.run("describe topic", describe_topic)
    steps.run("describe topic config", describe_topic_config)
    steps.run("made on first use", made_on_first_use)
    for codec in CODECS:
        compression = None if codec == "none" else codec
        steps.run(f"produce {codec}", produce, {"compression_type": compression, "enable_idempotence": False})
    steps.run("produce idempotent", produce, {"enable_idempotence": True})
    steps.run("produce idempotent, small batches", produce, {"enable_idempotence": True, "batch_size": 0})
    for acks in [0, 1, "all"]:
        steps.run(f"produce acks={acks}", produce, {"acks": acks, "enable_idempotence": False})
    steps.run("produce for the other clients", produce_shared)
    steps.run("read back", read_back, {})
    steps.run("read back, tiny fetches, read_committed", read_back, {
        "max_partition_fetch_bytes": 1, "fetch_max_bytes": 1, "isolation_level": "read_committed"})
    steps.run("read back without fetch sessions", read_back, {"enable_incremental_fetch_sessions": False})
    steps.run("read what the clients wrote", read_shared)
    steps.run("offsets and seek by time", seek_by_time)
    groups()
    static_members()
    steps.run("alter config", alter_config)
    steps.run("create partitions", create_partitions)
    steps.run("delete records", delete_records)
    steps.run("log dirs", log_dirs)
    steps.run("unknown topic", unknown_topic)
    steps.run("record too large", record_too_large)
    steps.run("transactions are refused at once" if DURAMEN else "transactions begin", transactions)
    steps.run("delete group", delete_group)
    steps.run("delete topic", delete_topic)
    steps.end()


# Topics


def describe_cluster():
    cluster = admin.describe_cluster()
    check(cluster["cluster_id"], "no cluster id")
    check(cluster["controller_id"] in [b["broker_id"] for b in cluster["brokers"]], "the controller is not a listed broker")


def create_topic():
    admin.create_topics({TOPIC: {"num_partitions": PARTITIONS, "configs": {"retention.ms": "86400000"}}},
                        wait_for_metadata=True)
    admin.create_topics([f"{TOPIC}-dry"], validate_only=True)
    names = admin.list_topics()
    check(TOPIC in names, "it is not listed")
    check(f"{TOPIC}-dry" not in names, "validate_only made it")


def create_refusals():
    refused(errors.TopicAlreadyExistsError, admin.create_topics, [TOPIC])
    refused(errors.InvalidTopicError, admin.create_topics, ["a b"])
    refused(errors.InvalidReplicationFactorError, admin.create_topics, {f"{TOPIC}-9": {"replication_factor": 9}})
    refused(errors.InvalidConfigurationError, admin.create_topics, {f"{TOPIC}-c": {"configs": {"no.such": "1"}}})


def describe_topic():
    topic = admin.describe_topics([TOPIC])[0]
    same((0, TOPIC, False), (topic["error_code"], topic["name"], topic["is_internal"]), "error, name, internal")
    same(list(range(PARTITIONS)), sorted(p["partition_index"] for p in topic["partitions"]), "partitions")
    for p in topic["partitions"]:
        same(([p["leader_id"]], [p["leader_id"]], []), (p["replica_nodes"], p["isr_nodes"], p["offline_replicas"]),
             "replicas, in-sync, offline")


def describe_topic_config():
    settings = describe_config("all")
    same(("86400000", "DYNAMIC_TOPIC_CONFIG", "LONG"), config_facts(settings["retention.ms"]), "retention.ms")
    same(("delete", "DEFAULT_CONFIG", "LIST"), config_facts(settings["cleanup.policy"]), "cleanup.policy")
    check("retention.ms" in describe_config("modified"), "retention.ms is not among the changed settings")


def made_on_first_use():
    client = producer({})
    same(0, client.send(f"{TOPIC}-auto", b"x").get(WAIT_S).offset, "offset")
    client.close()
    check(f"{TOPIC}-auto" in admin.list_topics(), "it is not listed")


# Producing


def produce(settings):
    records = corpus.next()
    client = producer(settings)
    futures = [client.send(TOPIC, r.value, r.key, r.headers, r.partition, r.timestamp) for r in records]
    client.flush(WAIT_S)
    ends = corpus.ends()
    for r, future in zip(records, futures):
        answer = future.get(WAIT_S)
        if settings.get("acks") != 0:
            same((r.partition, ends[r.partition]), (answer.partition, answer.offset), "partition and offset")
        ends[r.partition] += 1
    client.close()
    corpus.sent(records)
    await_until("the log ends behind the last record", lambda: end_offsets() == corpus.ends())


def produce_shared():
    for codec in CODECS:
        client = producer({"compression_type": None if codec == "none" else codec})
        futures = [client.send(SHARED, shared_value(k), k.encode()) for k in shared_keys("kafka-python", codec)]
        for future in futures:
            future.get(WAIT_S)
        client.close()


# Reading


def read_back(settings):
    read = [[] for _ in range(PARTITIONS)]
    for m in read_all(TOPIC, settings):
        read[m.partition].append((m.offset, Record(m.partition, m.timestamp, m.key, m.value, list(m.headers))))
    corpus.compare(read)


def read_shared():
    check_shared("kafka-python", [(m.key, m.value) for m in read_all(SHARED, {})])


def read_all(topic, settings):
    reader = consumer(settings)
    partitions = [TopicPartition(topic, p) for p in sorted(reader.partitions_for_topic(topic))]
    ends = reader.end_offsets(partitions)
    reader.assign(partitions)
    reader.seek_to_beginning()
    records = []

    def read():
        records.extend(poll(reader))
        return all(reader.position(p) >= ends[p] for p in partitions)

    await_until("every partition read to its end", read)
    reader.close()
    return records


def seek_by_time():
    """The times in one gzip batch are out of order, so that an answer must come from the records."""
    topic, partition = f"{TOPIC}-times", TopicPartition(f"{TOPIC}-times", 0)
    admin.create_topics({topic: {"num_partitions": 1}}, wait_for_metadata=True)
    client = producer({"compression_type": "gzip", "linger_ms": 500})
    for after in [0, 5000, 2000, 9000, 3000]:
        client.send(topic, b"%d" % after, partition=0, timestamp_ms=BASE_TIME + after)
    client.close()
    reader = consumer({})
    for time_ms, offset in [(0, 0), (BASE_TIME + 2500, 1), (BASE_TIME + 5001, 3), (BASE_TIME + 9001, None)]:
        found = reader.offsets_for_times({partition: time_ms})[partition]
        same(offset, found and found.offset, f"offset for the time {time_ms - BASE_TIME} ms after the first")
    reader.assign([partition])
    reader.seek(partition, 1)
    await_until("the record sought", lambda: any(m.value == b"5000" for m in poll(reader)[:1]))
    reader.close()
    for spec, offset in [(OffsetSpec.EARLIEST, 0), (OffsetSpec.LATEST, 5), (OffsetSpec.MAX_TIMESTAMP, 3)]:
        same(offset, list_offset(partition, spec), str(spec))


# Groups


def groups():
    members = []
    steps.run("group: one member has all", join, members, GROUP, {}, [4])
    steps.run("group: a second member shares", join, members, GROUP, {}, [2, 2])
    steps.run("list groups", list_groups)
    steps.run("describe group", describe_group)
    steps.run("delete group: not empty", lambda: same("NonEmptyGroupError", admin.delete_groups([GROUP])[GROUP], "answer"))
    steps.run("group: the other member leaves", leave, members)
    steps.run("commit", commit, members)
    steps.run("resume from the commit", resume)
    steps.run("reset and delete offsets of an empty group", reset_offsets)


def join(members, group, settings, shares):
    member = consumer({"group_id": group, "session_timeout_ms": 6000, "heartbeat_interval_ms": 500, **settings})
    member.subscribe([TOPIC])
    members.append(member)
    await_until(f"shares of {shares}", lambda: sizes(members) == shares)
    owned = [p.partition for m in members for p in m.assignment()]
    same(list(range(PARTITIONS)), sorted(owned), "partitions together")


def leave(members):
    members.pop().close()
    await_until("four partitions again", lambda: sizes(members) == [4])


def list_groups():
    group = next(g for g in admin.list_groups() if g["group_id"] == GROUP)
    same(("consumer", "Stable", "classic"), (group["protocol_type"], group["group_state"], group["group_type"]), "facts")


def describe_group():
    group = admin.describe_groups([GROUP])[GROUP]
    same(("Stable", "consumer", "range"), (group["group_state"], group["protocol_type"], group["protocol_data"]), "facts")
    same(2, len(group["members"]), "members")
    check(all(m["client_host"].startswith("/") for m in group["members"]), "host of a member")


def commit(members):
    members[0].commit({TopicPartition(TOPIC, p): OffsetAndMetadata(10 + p, f"note {p}", -1) for p in range(PARTITIONS)})
    members.pop().close()
    stored = {p.partition: (o.offset, o.metadata) for p, o in admin.list_group_offsets(GROUP)[GROUP].items()}
    same({p: (10 + p, f"note {p}") for p in range(PARTITIONS)}, dict(sorted(stored.items())), "offsets and metadata")


def resume():
    first = {}
    member = consumer({"group_id": GROUP, "session_timeout_ms": 6000})
    member.subscribe([TOPIC])

    def read():
        for m in poll(member):
            first.setdefault(m.partition, m.offset)
        return len(first) == PARTITIONS

    await_until("a record of each partition", read)
    member.close()
    same({0: 10, 1: 11, 2: 12, 3: 13}, dict(sorted(first.items())), "first offsets")


def reset_offsets():
    await_until("an empty group", lambda: admin.describe_groups([GROUP])[GROUP]["group_state"] == "Empty")
    zero, one = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)
    same({zero: errors.NoError}, admin.alter_group_offsets(GROUP, {zero: OffsetAndMetadata(3, "", -1)}), "answer")
    same({one: errors.NoError}, admin.delete_group_offsets(GROUP, [one]), "answer")
    stored = admin.list_group_offsets(GROUP)[GROUP]
    same(3, stored[zero].offset, "offset that was reset")
    check(one not in stored, "an offset that was deleted is there")


def static_members():
    group = f"{GROUP}-static"
    members = []

    def return_without_rebalance():
        before, generation = members[0].assignment(), members[1].group_metadata().generation_id
        members[0].close()
        members[0] = consumer({"group_id": group, "session_timeout_ms": 6000, "group_instance_id": "a"})
        members[0].subscribe([TOPIC])
        await_until("the same partitions", lambda: sizes(members) == [2, 2])
        same(before, members[0].assignment(), "assignment of the one that returned")
        same(generation, members[1].group_metadata().generation_id, "generation")

    def removed():
        for member in members:
            member.close()
        names = [MemberToRemove(group_instance_id=name) for name in "ab"]
        same([errors.NoError] * 2, list(admin.remove_group_members(group, names).values()), "answers")
        await_until("an empty group", lambda: admin.describe_groups([group])[group]["group_state"] == "Empty")

    for name, shares in [("a", [4]), ("b", [2, 2])]:
        steps.run(f"static members: {name} joins", join, members, group, {"group_instance_id": name}, shares)
    steps.run("static members: return without a rebalance", return_without_rebalance)
    steps.run("static members: removed by the operator", removed)


def delete_group():
    same("OK", admin.delete_groups([GROUP])[GROUP], "answer")
    same("GroupIdNotFoundError", admin.delete_groups([GROUP])[GROUP], "answer for an absent group")


# Changes


def alter_config():
    for incremental in [True, False]:
        change = ConfigResource("TOPIC", TOPIC, {"retention.ms": "3600000"})
        same("OK", admin.alter_configs([change], incremental=incremental)["topic"][TOPIC], "answer")
        same("3600000", describe_config("all")["retention.ms"]["value"], "retention.ms")
        admin.reset_configs([ConfigResource("TOPIC", TOPIC, ["retention.ms"])])
        same("604800000", describe_config("all")["retention.ms"]["value"], "retention.ms without the change")
    wrong = ConfigResource("TOPIC", TOPIC, {"no.such.setting": "1"})
    answer = admin.alter_configs([wrong], raise_on_unknown=False)["topic"][TOPIC]
    check("InvalidConfigurationError" in answer, f"answer to an unknown setting: {answer}")


def create_partitions():
    admin.create_partitions({TOPIC: 6})
    await_until("six partitions", lambda: len(admin.describe_topics([TOPIC])[0]["partitions"]) == 6)
    refused(errors.InvalidPartitionsError, admin.create_partitions, {TOPIC: 5})


def delete_records():
    partition = TopicPartition(TOPIC, 0)
    same(7, admin.delete_records({partition: 7})[partition]["low_watermark"], "low watermark")
    same(7, list_offset(partition, OffsetSpec.EARLIEST), "earliest")
    reader = consumer({"auto_offset_reset": "none"})
    reader.assign([partition])
    reader.seek(partition, 0)

    def out_of_range():
        try:
            poll(reader)
        except errors.OffsetOutOfRangeError:
            return True

    await_until("the error", out_of_range)
    reader.seek(partition, 7)
    await_until("the first record left", lambda: any(m.offset == 7 for m in poll(reader)))
    reader.close()


def log_dirs():
    partitions = [p for broker in admin.describe_log_dirs([TOPIC]) for log_dir in broker["log_dirs"]
                  for topic in log_dir["topics"] for p in topic["partitions"]]
    same(6, len(partitions), "partitions")
    check(all(p["offset_lag"] == 0 for p in partitions), "lag")
    check(any(p["partition_size"] > 0 for p in partitions), "every size is zero")


# Refusals


def unknown_topic():
    absent = f"{TOPIC}-absent"
    refused(errors.UnknownTopicOrPartitionError, admin.delete_topics, [absent])
    reader = consumer({"allow_auto_create_topics": False})
    check(not reader.partitions_for_topic(absent), "it has partitions")
    reader.close()
    check(absent not in admin.list_topics(), "looking made it")


def record_too_large():
    client = producer({"max_request_size": 10_000_000, "enable_idempotence": False})
    refused(errors.MessageSizeTooLargeError, client.send(TOPIC, bytes(2_000_000), partition=0).get, WAIT_S)
    client.send(TOPIC, b"the connection lives", partition=0).get(WAIT_S)
    client.close()


def transactions():
    client = producer({"transactional_id": f"{TOPIC}-txn", "max_block_ms": 15000})
    start = time.monotonic()
    try:
        client.init_transactions()
        check(not DURAMEN, "init_transactions succeeded")
    except errors.KafkaError as error:
        seconds = time.monotonic() - start
        check(DURAMEN, f"init_transactions failed: {error!r}")
        check(seconds < 5, f"it took {seconds:.1f} s: {error!r}")
        check(not getattr(error, "retriable", False), f"it may be retried: {error!r}")


def delete_topic():
    admin.delete_topics([TOPIC, f"{TOPIC}-times", f"{TOPIC}-auto"])
    await_until("the topic is gone", lambda: TOPIC not in admin.list_topics())
    admin.create_topics({TOPIC: {"num_partitions": 1}}, wait_for_metadata=True)
    same(0, list_offset(TopicPartition(TOPIC, 0), OffsetSpec.LATEST), "end of the topic made again")
    admin.delete_topics([TOPIC])


# Clients


def producer(settings):
    return KafkaProducer(bootstrap_servers=BOOTSTRAP, **{"linger_ms": 5, "request_timeout_ms": 10000, "max_block_ms": 15000,
                         "delivery_timeout_ms": 15000, **settings})


def consumer(settings):
    return KafkaConsumer(bootstrap_servers=BOOTSTRAP, **{"auto_offset_reset": "earliest", "enable_auto_commit": False,
                         "fetch_max_wait_ms": 100, **settings})


def poll(reader):
    return [m for messages in reader.poll(POLL_MS).values() for m in messages]


def sizes(members):
    """Polls every member and says how many partitions each has."""
    for member in members:
        member.poll(POLL_MS)
    return [len(member.assignment()) for member in members]


def describe_config(which):
    return admin.describe_configs([ConfigResource("TOPIC", TOPIC)], config_filter=which)["topic"][TOPIC]


def config_facts(entry):
    return entry["value"], entry["config_source"], entry["config_type"]


def list_offset(partition, spec):
    return admin.list_partition_offsets({partition: spec})[partition].offset


def end_offsets():
    return [list_offset(TopicPartition(TOPIC, p), OffsetSpec.LATEST) for p in range(PARTITIONS)]


def refused(kind, call, *args):
    try:
        answer = call(*args)
    except kind:
        return
    raise AssertionError(f"expected {kind.__name__}, got {answer!r}")


main()
