"""Starts and ends the sides of a comparison: Kafka, Duramen, and the bare loop."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from . import machine

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
KAFKA = str(REPOSITORY / "tests" / "peers" / "kafka")
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60
PROBE_INTERVAL = 0.0005


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_port(port, process):
    """Returns when something listens."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() not in (None, 0):
                raise SystemExit(f"compare: {process.args[0]} ended with {process.returncode} while starting")
            time.sleep(PROBE_INTERVAL)
    raise SystemExit(f"compare: nothing listens on port {port} after {START_SECONDS_MAX} s")


class Side:
    """A broker on a fresh directory. `start_ms` is from the birth of its process until it accepted a connection."""

    name = ""
    # Whether it answers everything, or only what a producer needs.
    is_broker = True

    def __init__(self, scratch, tools):
        self.directory = Path(scratch) / f"{self.name}-{free_port()}"
        self.directory.mkdir(parents=True)
        self.tools = tools
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = None
        self.pid = None
        self.start_ms = None

    def topic(self, name, configs=()):
        command = [self.tools.load, "topic", "-b", self.address, "-t", name]
        subprocess.run(command + [f"--config={config}" for config in configs], check=True)

    def prepare(self, synced):
        """Gets ready for topics of a level: their settings, and how the level is called."""
        raise NotImplementedError

    def stop(self):
        """Ends it if it runs, and removes its data."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Duramen(Side):
    name = "duramen"

    def start(self):
        log = open(self.directory / "log", "wb")
        command = [self.tools.duramen, "serve", "--data-dir", str(self.directory / "data"), "--listen", self.address]
        began = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self.process.pid
        await_port(self.port, self.process)
        self.start_ms = (time.monotonic() - began) * 1000
        return self

    def prepare(self, synced):
        level = "fsync" if synced else "replicated"
        return [f"durability={level}"], f"durability={level}"

    def version(self):
        return subprocess.run([self.tools.duramen, "--version"], capture_output=True, text=True).stdout.strip()


class Kafka(Side):
    name = "kafka"

    def start(self):
        command = [KAFKA, "start", str(self.directory), f"port={self.port}", f"controller.port={free_port()}"]
        starter = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        await_port(self.port, starter)
        self.pid = int((self.directory / "pid").read_text())
        # The script formats the directory before it starts the broker; only the latter counts.
        self.start_ms = machine.seconds_since_start(self.pid) * 1000
        starter.wait()
        return self

    def prepare(self, synced):
        return (["flush.messages=1"], "flush.messages=1") if synced else ([], "Kafka's default, no sync")

    def version(self):
        jars = Path(subprocess.run([KAFKA, "fetch"], capture_output=True, text=True, check=True).stdout.strip())
        server = next(iter((jars / "libs").glob("kafka-server-[0-9]*.jar")), None)
        java = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr.splitlines()
        version = server.stem.removeprefix("kafka-server-") if server else "unknown"
        return f"Apache Kafka {version}, {java[0] if java else 'Java unknown'}, {os.environ.get('KAFKA_HEAP', '1 GB heap')}"

    def stop(self):
        subprocess.run([KAFKA, "stop", str(self.directory)], check=False)
        shutil.rmtree(self.directory, ignore_errors=True)


class Bare(Side):
    """The floor: not a broker, it keeps nothing."""

    name = "bare loop"
    is_broker = False

    def start(self):
        """It is started by `prepare`, anew for each level."""
        return self

    def prepare(self, synced):
        if self.process:
            self.process.terminate()
            self.process.wait()
        sync = "fdatasync" if synced else "none"
        command = [self.tools.bare_loop, "--listen", self.address, "--dir", str(self.directory), "--sync", sync]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.pid = self.process.pid
        await_port(self.port, self.process)
        return [], "one 4 KiB O_DIRECT write and fdatasync" if synced else "one 4 KiB O_DIRECT write"

    def topic(self, name, configs=()):
        """Every topic is there."""

    def version(self):
        return "duramen-bench's bare_loop"
