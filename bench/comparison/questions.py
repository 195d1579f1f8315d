"""Questions in Kafka's protocol, asked by hand: so that no client's own start is measured."""

import socket
import struct
import time

LIST_OFFSETS = 2
# The first version that answers with one offset.
VERSION = 1
LATEST = -1
RETRY_SECONDS = 0.001


def _text(value):
    return struct.pack(">h", len(value)) + value.encode()


def _exactly(stream, count):
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            raise ConnectionError("the broker closed the connection")
        data += more
    return data


def _call(stream, body):
    request = struct.pack(">hhi", LIST_OFFSETS, VERSION, 1) + _text("recovery") + body
    stream.sendall(struct.pack(">i", len(request)) + request)
    (length,) = struct.unpack(">i", _exactly(stream, 4))
    return _exactly(stream, length)[4:]


def _ask(stream, topic, partitions):
    """The log end offset of each partition; none where it answers with an error."""
    asked = b"".join(struct.pack(">iq", partition, LATEST) for partition in range(partitions))
    answer = _call(stream, struct.pack(">ii", -1, 1) + _text(topic) + struct.pack(">i", partitions) + asked)
    at = 4 + 2 + len(topic.encode()) + 4
    found = [struct.unpack_from(">ihqq", answer, at + 22 * number) for number in range(partitions)]
    return [offset if error == 0 else None for _, error, _, offset in sorted(found)]


def ends_of(port, topic, partitions, seconds_max):
    """Asks until every partition of a topic answers with its log end offset."""
    deadline = time.monotonic() + seconds_max
    with socket.create_connection(("127.0.0.1", port), seconds_max) as stream:
        while time.monotonic() < deadline:
            ends = _ask(stream, topic, partitions)
            if None not in ends:
                return ends
            time.sleep(RETRY_SECONDS)
    raise SystemExit(f"recovery: not every partition of {topic} answers after {seconds_max} s")
