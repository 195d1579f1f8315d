"""The scenario of tests/clients/README.md with aiokafka."""

import asyncio
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition, errors
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.structs import OffsetAndMetadata
from scenario import (
    BASE_TIME, BOOTSTRAP, CODECS, DURAMEN, PARTITIONS, POLL_S, PREFIX, SHARED, Corpus, Record, Steps,
    await_until_async, check, check_shared, same, shared_keys, shared_value,
)

TOPIC = f"{PREFIX}-aiokafka"
GROUP = f"{TOPIC}-group"
PARTITION = [TopicPartition(TOPIC, p) for p in range(PARTITIONS)]
corpus = Corpus()
steps = Steps()


async def main():
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP, request_timeout_ms=10000)
    await admin.start()
    await steps.run_async("create topic", create_topic, admin)
    await steps.run_async("describe topic", describe_topic, admin)
    for codec in CODECS:
        await steps.run_async(f"produce {codec}", produce, {"compression_type": None if codec == "none" else codec})
    await steps.run_async("produce idempotent", produce, {"enable_idempotence": True})
    for acks in [0, 1, "all"]:
        await steps.run_async(f"produce acks={acks}", produce, {"acks": acks})
    await steps.run_async("produce for the other clients", produce_shared)
    await steps.run_async("read back", read_back)
    await steps.run_async("read what the clients wrote", read_shared)
    await steps.run_async("offsets and seek by time", seek_by_time, admin)
    await groups(admin)
    await steps.run_async("create partitions", create_partitions, admin)
    await steps.run_async("delete records", delete_records, admin)
    await steps.run_async("record too large", record_too_large)
    await steps.run_async("transactions are refused at once" if DURAMEN else "transactions begin", transactions)
    await steps.run_async("delete topic", delete_topic, admin)
    steps.end()


# Topics


async def create_topic(admin):
    topic = NewTopic(TOPIC, PARTITIONS, 1, topic_configs={"retention.ms": "86400000"})
    same(0, (await admin.create_topics([topic])).topic_errors[0][1], "error code")
    same(errors.TopicAlreadyExistsError.errno, (await admin.create_topics([topic])).topic_errors[0][1], "error code, again")

    async def listed():
        return TOPIC in await admin.list_topics()

    await await_until_async("the topic", listed)


async def describe_topic(admin):
    topic = (await admin.describe_topics([TOPIC]))[0]
    same(list(range(PARTITIONS)), sorted(p["partition"] for p in topic["partitions"]), "partitions")
    check(all(p["replicas"] == p["isr"] == [p["leader"]] for p in topic["partitions"]), "replicas and in-sync replicas")


# Producing


async def produce(settings):
    records = corpus.next()
    ends = corpus.ends()
    async with producer(settings) as client:
        futures = [await client.send(TOPIC, r.value, r.key, r.partition, r.timestamp, r.headers) for r in records]
        for r, future in zip(records, futures):
            answer = await future
            if settings.get("acks") != 0:
                same((r.partition, ends[r.partition]), (answer.partition, answer.offset), "partition and offset")
            ends[r.partition] += 1
    corpus.sent(records)
    async with consumer({}) as reader:
        async def complete():
            return list((await reader.end_offsets(PARTITION)).values()) == corpus.ends()

        await await_until_async("the log ends behind the last record", complete)


async def produce_shared():
    for codec in CODECS:
        async with producer({"compression_type": None if codec == "none" else codec}) as client:
            for key in shared_keys("aiokafka", codec):
                await client.send(SHARED, shared_value(key), key.encode())


# Reading


async def read_back():
    read = [[] for _ in range(PARTITIONS)]
    for m in await read_all(TOPIC):
        read[m.partition].append((m.offset, Record(m.partition, m.timestamp, m.key, m.value, list(m.headers))))
    corpus.compare(read)


async def read_shared():
    check_shared("aiokafka", [(m.key, m.value) for m in await read_all(SHARED)])


async def read_all(topic):
    records = []
    async with consumer({}) as reader:
        reader.subscribe([topic])

        async def complete():
            records.extend(await poll(reader))
            partitions = sorted(reader.assignment())
            if not partitions:
                return False
            ends = await reader.end_offsets(partitions)
            return all([await reader.position(p) >= ends[p] for p in partitions])

        await await_until_async("every partition read to its end", complete)
    return records


async def seek_by_time(admin):
    """The times in one gzip batch are out of order, so that an answer must come from the records."""
    partition = TopicPartition(f"{TOPIC}-times", 0)
    await admin.create_topics([NewTopic(partition.topic, 1, 1)])
    async with producer({"compression_type": "gzip", "linger_ms": 500}) as client:
        for after in [0, 5000, 2000, 9000, 3000]:
            await client.send(partition.topic, b"%d" % after, partition=0, timestamp_ms=BASE_TIME + after)
    async with consumer({}) as reader:
        reader.assign([partition])
        for time_ms, offset in [(0, 0), (BASE_TIME + 2500, 1), (BASE_TIME + 5001, 3), (BASE_TIME + 9001, None)]:
            found = (await reader.offsets_for_times({partition: time_ms}))[partition]
            same(offset, found and found.offset, f"offset for the time {time_ms - BASE_TIME} ms after the first")
        reader.seek(partition, 1)

        async def sought():
            return [m.value for m in await poll(reader)][:1] == [b"5000"]

        await await_until_async("the record sought", sought)


# Groups


async def groups(admin):
    members = []

    async def join(*shares):
        member = consumer({"group_id": GROUP, "session_timeout_ms": 6000, "heartbeat_interval_ms": 500})
        await member.start()
        member.subscribe([TOPIC])
        members.append(member)
        await share(*shares)

    async def share(*shares):
        async def shared():
            for member in members:
                await poll(member)
            return [len(member.assignment()) for member in members] == list(shares)

        await await_until_async(f"shares of {shares}", shared)

    async def leave():
        await members.pop().stop()
        await share(4)

    async def commit():
        await members[0].commit({p: OffsetAndMetadata(10 + p.partition, f"note {p.partition}") for p in PARTITION})
        await members.pop().stop()
        stored = await admin.list_consumer_group_offsets(GROUP)
        same([(10 + p, f"note {p}") for p in range(PARTITIONS)], [tuple(stored[p]) for p in PARTITION], "offsets, metadata")

    async def resume():
        first = {}
        async with consumer({"group_id": GROUP, "session_timeout_ms": 6000}) as member:
            member.subscribe([TOPIC])

            async def seen():
                for m in await poll(member):
                    first.setdefault(m.partition, m.offset)
                return len(first) == PARTITIONS

            await await_until_async("a record of each partition", seen)
        same({0: 10, 1: 11, 2: 12, 3: 13}, dict(sorted(first.items())), "first offsets")

    async def describe():
        check((GROUP, "consumer") in await admin.list_consumer_groups(), "it is not listed")
        answer = (await admin.describe_consumer_groups([GROUP]))[0].groups[0]
        same((0, GROUP, "Stable", "consumer"), tuple(answer[:4]), "error code, name, state, type")

    await steps.run_async("group: one member has all", join, 4)
    await steps.run_async("group: a second member shares", join, 2, 2)
    await steps.run_async("list and describe groups", describe)
    await steps.run_async("group: the other member leaves", leave)
    await steps.run_async("commit", commit)
    await steps.run_async("resume from the commit", resume)
    for member in members:
        await member.stop()


# Changes


async def create_partitions(admin):
    await admin.create_partitions({TOPIC: NewPartitions(6)})

    async def grown():
        return len((await admin.describe_topics([TOPIC]))[0]["partitions"]) == 6

    await await_until_async("six partitions", grown)


async def delete_records(admin):
    same({PARTITION[0]: 7}, await admin.delete_records({PARTITION[0]: RecordsToDelete(before_offset=7)}), "low watermark")
    async with consumer({"auto_offset_reset": "none"}) as reader:
        reader.assign(PARTITION[:1])
        same({PARTITION[0]: 7}, await reader.beginning_offsets(PARTITION[:1]), "beginning")
        reader.seek(PARTITION[0], 0)

        async def out_of_range():
            try:
                await poll(reader)
            except errors.OffsetOutOfRangeError:
                return True

        await await_until_async("the error", out_of_range)


# Refusals


async def record_too_large():
    async with producer({"max_request_size": 10_000_000, "max_batch_size": 10_000_000}) as client:
        try:
            await client.send_and_wait(TOPIC, bytes(2_000_000), partition=0)
        except errors.MessageSizeTooLargeError:
            await client.send_and_wait(TOPIC, b"the connection lives", partition=0)
            return
    raise AssertionError("2 MB were taken")


async def transactions():
    client = producer({"transactional_id": f"{TOPIC}-txn"})
    start = time.monotonic()
    try:
        await client.start()
        async with client.transaction():
            await client.send_and_wait(TOPIC, b"x", partition=1)
        check(not DURAMEN, "a transaction was committed")
    except errors.KafkaError as error:
        seconds = time.monotonic() - start
        check(DURAMEN, f"refused: {error!r}")
        check(seconds < 5, f"it took {seconds:.1f} s: {error!r}")
        check(not error.retriable, f"it may be retried: {error!r}")
    finally:
        await client.stop()


async def delete_topic(admin):
    await admin.delete_topics([TOPIC, f"{TOPIC}-times"])

    async def gone():
        return TOPIC not in await admin.list_topics()

    await await_until_async("the topic is gone", gone)


# Clients


def producer(settings):
    return AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, **{"linger_ms": 5, "request_timeout_ms": 10000, **settings})


def consumer(settings):
    return AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, **{"auto_offset_reset": "earliest", "enable_auto_commit": False,
                            "fetch_max_wait_ms": 100, **settings})


async def poll(reader):
    messages = await reader.getmany(timeout_ms=int(POLL_S * 1000))
    return [m for part in messages.values() for m in part]


asyncio.run(main())
