"""The rows of the comparison: for each, what is run against a side, and what is read off it."""

import json
import os
import re
import resource
import subprocess
import time
from dataclasses import dataclass

from . import machine
from .brokers import KAFKA

MILLION = 1_000_000


@dataclass
class Metric:
    """A figure of a row. `goal` bounds Duramen's share of Kafka's, `floor_goal` its multiple of the bare loop's."""

    key: str
    title: str
    goal: float | None = None
    floor_goal: float | None = None
    # A bound on Duramen's figure itself.
    limit: float | None = None
    digits: int = 3


@dataclass
class Row:
    """`setup` makes what all runs of a side share; `run` is one run and returns its figures by key."""

    name: str
    title: str
    metrics: list
    run: object
    setup: object = None
    synced: bool = False
    with_floor: bool = False
    # Every run starts a side of its own.
    starts_sides: bool = False
    # Its runs fill memory, so memory is warmed before each.
    fills_memory: bool = False


def _load(context, *arguments):
    """One run of the load generator. Its failure ends the comparison: a figure of a failed run means nothing."""
    done = subprocess.run([context.tools.load, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"compare: load {' '.join(map(str, arguments))} failed")
    return json.loads(done.stdout)


def _per_million(cost, records):
    return cost["broker_cpu_seconds"] * MILLION / records


def _with_costs(figures, cost, generator_cpu):
    others = cost["machine_cpu_seconds"] - cost["broker_cpu_seconds"] - generator_cpu
    whole = cost["seconds"] * len(os.sched_getaffinity(0))
    return figures | {
        "broker_cpu_seconds": cost["broker_cpu_seconds"],
        "generator_cpu_seconds": round(generator_cpu, 2),
        "others_percent": round(max(others, 0.0) / whole * 100, 1),
        "steal_percent": round(cost["steal_seconds"] / whole * 100, 1),
    }


PRODUCE_METRICS = [
    ("cpu_per_million", "broker CPU-s per M records"),
    ("rate", "M records/s"),
    ("generator_per_million", "generator CPU-s per M records"),
    ("records_per_request", "records a request"),
]


def produce(name, title, size, quick, full, goal):
    """As fast as the broker takes it, in batches of 1 MB, acks=1."""

    def run(context, side, topic):
        records = quick if context.quick else full
        meter = machine.Meter(side.pid)
        shown = _load(context, "produce", "-b", side.address, "-t", topic, "--records", records, "--record-size", size,
                      "--batch-size", 1_000_000, "--linger-ms", 100, "--acks", 1)
        cost = meter.stop()
        figures = {
            "cpu_per_million": _per_million(cost, records),
            "rate": shown["records_per_second"] / MILLION,
            "generator_per_million": shown["generator_cpu_seconds"] * MILLION / records,
            "records_per_request": records / max(shown["requests"], 1),
        }
        return _with_costs(figures, cost, shown["generator_cpu_seconds"])

    metrics = [Metric(key, title, goal if key == "cpu_per_million" else None) for key, title in PRODUCE_METRICS]
    return Row(name, title, metrics, run, fills_memory=True)


JAVA_LAST_LINE = re.compile(r"(\d+) records sent, ([\d.]+) records/sec.*, ([\d.]+) ms avg latency")


def java_defaults():
    """Kafka's own load generator with every setting at its default."""

    def run(context, side, topic):
        records = 1_000_000 if context.quick else 3_000_000
        meter = machine.Meter(side.pid)
        used_before = _children_cpu()
        done = subprocess.run(
            [KAFKA, "producer-perf", "--bootstrap-server", side.address, "--topic", topic, "--num-records",
             str(records), "--record-size", "100", "--throughput", "-1"],
            stdout=subprocess.PIPE, text=True)
        cost = meter.stop()
        generator = _children_cpu() - used_before
        lines = JAVA_LAST_LINE.findall(done.stdout)
        if done.returncode or not lines or int(lines[-1][0]) != records:
            raise SystemExit(f"compare: ProducerPerformance against {side.name} failed: {done.stdout.strip()[-500:]}")
        figures = {
            "cpu_per_million": _per_million(cost, records),
            "rate": float(lines[-1][1]) / MILLION,
            "generator_per_million": generator * MILLION / records,
        }
        return _with_costs(figures, cost, generator)

    metrics = [Metric(key, title, 1 / 5 if key == "cpu_per_million" else None) for key, title in PRODUCE_METRICS[:3]]
    return Row("java-100", "produce, 100 B, Java's ProducerPerformance with its defaults (acks=all, idempotent)",
               metrics, run, fills_memory=True)


def _children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _filled(context, side, topic):
    records = 1_000_000 if context.quick else 3_000_000
    _load(context, "produce", "-b", side.address, "-t", topic, "--records", records, "--record-size", 100,
          "--batch-size", 1_000_000, "--linger-ms", 100, "--acks", 1)


CONSUME_METRICS = [
    ("cpu_per_million", "broker CPU-s per M records"),
    ("rate", "M records/s"),
    ("generator_per_million", "generator CPU-s per M records"),
]


def consume(name, title, alive, goal):
    """Reads a filled topic again and again. `alive`: a record every 100 ms comes in meanwhile."""

    def run(context, side, topic):
        trickle = None
        if alive:
            # It outlives the run by far, and is ended with it.
            trickle = subprocess.Popen(
                [context.tools.load, "produce", "-b", side.address, "-t", topic, "--records", "100000", "--rate", "10",
                 "--linger-ms", "0", "--acks", "1"], stdout=subprocess.DEVNULL)
            _load(context, "consume", "-b", side.address, "-t", topic)
        try:
            meter = machine.Meter(side.pid)
            shown = _load(context, "consume", "-b", side.address, "-t", topic, "--passes", 3)
            cost = meter.stop()
        finally:
            if trickle:
                trickle.kill()
                trickle.wait()
        figures = {
            "cpu_per_million": _per_million(cost, shown["records"]),
            "rate": shown["records_per_second"] / MILLION,
            "generator_per_million": shown["generator_cpu_seconds"] * MILLION / shown["records"],
        }
        return _with_costs(figures, cost, shown["generator_cpu_seconds"])

    metrics = [Metric(key, title, goal if key == "cpu_per_million" else None) for key, title in CONSUME_METRICS]
    return Row(name, title, metrics, run, setup=_filled, fills_memory=True)


RATE = 2_000
WARM_UP_SECONDS = 2


def small_requests(name, title, synced, goals):
    """Open loop, one record a request; latency from the scheduled time to the acknowledgement."""

    def run(context, side, topic):
        records = RATE * (WARM_UP_SECONDS + (6 if context.quick else 20))
        meter = machine.Meter(side.pid)
        options = [] if side.is_broker else ["--no-offset-check"]
        shown = _load(context, "produce", "-b", side.address, "-t", topic, "--records", records, "--record-size", 1000,
                      "--rate", RATE, "--warm-up", WARM_UP_SECONDS, "--linger-ms", 0, "--batch-records", 1,
                      "--acks", "all", *options)
        cost = meter.stop()
        latency, late = shown["latency"], shown["late"]
        figures = {
            "cpu_us_per_request": cost["broker_cpu_seconds"] * MILLION / shown["requests"],
            "p50_ms": latency["p50_us"] / 1000,
            "p95_ms": latency["p95_us"] / 1000,
            "p99_ms": latency["p99_us"] / 1000,
            "max_ms": latency["max_us"] / 1000,
            "late_p99_ms": late["p99_us"] / 1000,
            "kept_rate": shown["records_per_second"],
        }
        if latency["p999_us"] is not None:
            figures["p999_ms"] = latency["p999_us"] / 1000
        return _with_costs(figures, cost, shown["generator_cpu_seconds"])

    metrics = [
        Metric("cpu_us_per_request", "broker CPU us a request", goals.get("cpu"), goals.get("floor"), digits=1),
        Metric("p50_ms", "p50 ms"),
        Metric("p95_ms", "p95 ms"),
        Metric("p99_ms", "p99 ms", goals.get("p99")),
        Metric("p999_ms", "p99.9 ms"),
        Metric("max_ms", "max ms"),
        Metric("late_p99_ms", "generator late, p99 ms"),
        Metric("kept_rate", f"requests/s until the last answer, of {RATE:,} asked for", digits=0),
    ]
    return Row(name, title, metrics, run, synced=synced, with_floor=True)


def idle(wait_ms, limit):
    """What a broker costs while 100 consumers wait for records that don't come."""

    def run(context, side, topic):
        seconds = 5 if context.quick else 20
        consumers = subprocess.Popen(
            [context.tools.load, "idle", "-b", side.address, "-t", topic, "--consumers", "100", "--fetch-wait-ms",
             str(wait_ms)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if consumers.stdout.readline() != "ready\n":
            raise SystemExit("compare: the waiting consumers failed")
        time.sleep(2)
        meter = machine.Meter(side.pid)
        time.sleep(seconds)
        cost = meter.stop(settle=0)
        resident = machine.resident_mib(side.pid)
        consumers.stdin.close()
        consumers.wait()
        return {"cpu_percent": cost["broker_cpu_seconds"] / cost["seconds"] * 100, "resident_mib": resident}

    metrics = [Metric("cpu_percent", "% of a core", limit=limit), Metric("resident_mib", "resident MiB, in a quick run after the load of the rows before", digits=0)]
    return Row(f"idle-{wait_ms}", f"100 consumers in long poll, fetch.max.wait.ms={wait_ms}", metrics, run)


def start():
    """From the birth of the process on an empty directory to the first connection that is accepted."""

    def run(context, side, topic):
        time.sleep(1)
        meter = machine.Meter(side.pid)
        time.sleep(2 if context.quick else 10)
        cost = meter.stop(settle=0)
        return {
            "start_ms": side.start_ms,
            "resident_mib": machine.resident_mib(side.pid),
            "cpu_percent": cost["broker_cpu_seconds"] / cost["seconds"] * 100,
        }

    metrics = [
        Metric("start_ms", "listening after ms", limit=50, digits=1),
        Metric("resident_mib", "resident MiB, idle", limit=100, digits=0),
        Metric("cpu_percent", "% of a core, idle"),
    ]
    return Row("start", "start on an empty directory", metrics, run, starts_sides=True)


ALL = [
    start(),
    produce("produce-100", "produce, 100 B, 1 MB batches, librdkafka, acks=1", 100, 3_000_000, 10_000_000, 1 / 3),
    produce("produce-1000", "produce, 1000 B, 1 MB batches, librdkafka, acks=1", 1000, 500_000, 2_000_000, 1 / 3),
    java_defaults(),
    consume("consume-hot", "consume, 100 B, librdkafka, while a record every 100 ms comes in", True, 1 / 2),
    consume("consume-rest", "consume, 100 B, librdkafka, from a topic at rest", False, None),
    small_requests("small-synced", "produce, 1 kB, one record a request, 2,000/s, acks=all, synced", True,
                   {"p99": 1 / 5, "floor": 1.3}),
    small_requests("small", "produce, 1 kB, one record a request, 2,000/s, acks=all, not synced", False, {}),
    idle(500, 2.0),
    idle(5000, 1.0),
]
