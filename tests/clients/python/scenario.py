"""What the Python programs share: the records they send, the checks, and one line of output per step."""

import asyncio
import collections
import hashlib
import os
import sys
import time
import traceback

BOOTSTRAP = os.environ["BOOTSTRAP"]
PREFIX = os.environ["PREFIX"]
SHARED = os.environ["SHARED"]
DURAMEN = os.environ.get("DURAMEN") == "1"
PARTITIONS = 4
RECORDS = 100
SHARED_RECORDS = 20
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
WAIT_S = 20
POLL_S = 0.1
BASE_TIME = int(time.time() * 1000) - 3_600_000

Record = collections.namedtuple("Record", "partition timestamp key value headers")


def record(n, null_header):
    """Keys, values and headers of every shape: absent, empty, small, and of all byte values."""
    key = None if n % 10 == 3 else b"key-%d" % n
    value = None if n % 10 == 7 else bytes((n + i) % 256 for i in range(n * 37 % 1500))
    headers = [("h", b"%d" % n), ("empty", b""), ("null", null_header), ("h", b"again")] if n % 3 == 0 else []
    return Record(n % PARTITIONS, BASE_TIME + n, key, value, headers)


class Corpus:
    """What was produced to each partition, in order."""

    def __init__(self, null_header=None):
        """`null_header` stands for a header's null value where a client cannot send one."""
        self.null_header = null_header
        self.partitions = [[] for _ in range(PARTITIONS)]
        self.produced = 0

    def next(self, count=RECORDS):
        first, self.produced = self.produced, self.produced + count
        return [record(n, self.null_header) for n in range(first, self.produced)]

    def sent(self, records):
        for r in records:
            self.partitions[r.partition].append(r)

    def ends(self):
        return [len(records) for records in self.partitions]

    def compare(self, read):
        """`read` is a list per partition of (offset, Record)."""
        for p, records in enumerate(self.partitions):
            same(len(records), len(read[p]), f"records in partition {p}")
            for offset, (sent, got) in enumerate(zip(records, read[p])):
                same(offset, got[0], f"partition {p}: offset")
                for field, was, now in zip(Record._fields, sent, got[1]):
                    check(was == now, f"partition {p} offset {offset}: the {field} differs")


def shared_keys(client, codec):
    return [f"{client}/{codec}/{i}" for i in range(SHARED_RECORDS)]


def shared_value(key):
    """SHA-256 of the key, repeated once more than the number at the key's end."""
    return hashlib.sha256(key.encode()).digest() * (int(key.rsplit("/", 1)[1]) + 1)


def check_shared(client, records):
    """`records` are (key, value) of the topic that every client writes to."""
    counts = collections.Counter()
    for key, value in records:
        key = key.decode()
        same(shared_value(key), value, f"value of {key}")
        counts[key.rsplit("/", 1)[0]] += 1
    for codec in CODECS:
        check(f"{client}/{codec}" in counts, f"nothing of {client}/{codec}")
    for writer, count in sorted(counts.items()):
        same(SHARED_RECORDS, count, f"records of {writer}")


def check(holds, otherwise):
    if not holds:
        raise AssertionError(otherwise)


def same(expected, actual, what):
    check(expected == actual, f"{what}: expected {expected!r:.200}, got {actual!r:.200}")


def await_until(what, holds):
    """Asks `holds` until it does. It is to wait a little itself, or to be quick."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        check(time.monotonic() < deadline, f"waited {WAIT_S} s in vain for: {what}")
        time.sleep(0.01)


async def await_until_async(what, holds):
    deadline = time.monotonic() + WAIT_S
    while not await holds():
        check(time.monotonic() < deadline, f"waited {WAIT_S} s in vain for: {what}")
        await asyncio.sleep(0.01)


class Steps:
    """Runs the steps, prints `ok STEP` or `FAIL STEP: reason`, and goes on."""

    def __init__(self):
        self.failed = 0

    def run(self, name, body, *args):
        try:
            body(*args)
            self._ok(name)
        except Exception as error:
            self._failed(name, error)

    async def run_async(self, name, body, *args):
        try:
            await asyncio.wait_for(body(*args), 3 * WAIT_S)
            self._ok(name)
        except Exception as error:
            self._failed(name, error)

    def end(self):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1 if self.failed else 0)

    def _ok(self, name):
        print(f"ok {name}", flush=True)

    def _failed(self, name, error):
        self.failed += 1
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        reason = (str(error).splitlines() or [""])[0]
        print(f"FAIL {name}: {kind}{reason}", flush=True)
        traceback.print_exception(error, limit=-3)
