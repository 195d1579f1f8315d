"""What the machine says about itself and about a process. Everything comes from /proc."""

import datetime
import mmap
import os
import platform
import subprocess
import sys
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE = 4096
# Of the memory that is free, the share that warming may touch.
WARM_SHARE = 0.5
# A broker has settled this long after the last response.
SETTLE_SECONDS = 0.5


def _stat(pid):
    with open(f"/proc/{pid}/stat") as file:
        # The command may contain spaces and parentheses.
        return file.read().rpartition(")")[2].split()


def cpu_seconds(pid):
    """User and system time of a process, all its threads, in steps of 10 ms."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def seconds_since_start(pid):
    """Since the kernel made the process, in steps of 10 ms."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(_stat(pid)[19]) / TICKS_PER_SECOND


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no resident memory")


def bytes_from_disk(pid):
    """What the storage layer has read for a process so far, whatever the call."""
    with open(f"/proc/{pid}/io") as file:
        for line in file:
            if line.startswith("read_bytes:"):
                return int(line.split()[1])
    raise RuntimeError(f"process {pid} has no read_bytes")


def machine_seconds():
    """CPU time of the whole machine that was used, and that the hypervisor kept."""
    with open("/proc/stat") as file:
        fields = [int(field) / TICKS_PER_SECOND for field in file.readline().split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    return user + nice + system + irq + softirq, steal


def _meminfo(name):
    with open("/proc/meminfo") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1]) << 10
    raise RuntimeError(f"/proc/meminfo has no {name}")


def warm_memory(gib):
    """Touches anonymous memory in a process that then ends, so that the next run finds the host's pages in place.

    A virtual machine may give free memory back to its host; getting it again costs far more than using it. Returns the
    GiB that were touched."""
    wanted = min(int(gib * (1 << 30)), int(_meminfo("MemFree") * WARM_SHARE))
    wanted -= wanted % PAGE
    if wanted:
        subprocess.run([sys.executable, __file__, str(wanted)], check=True)
    return wanted / (1 << 30)


def _touch(length):
    with mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        for start in range(0, length, 1 << 30):
            end = min(start + (1 << 30), length)
            memory[start:end:PAGE] = bytes((end - start) // PAGE)


def describe():
    """The facts that a figure depends on."""
    model = "unknown"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": model,
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(_meminfo("MemTotal") / (1 << 30), 1),
        "kernel": platform.release(),
    }


class Meter:
    """The cost of a stretch of work to one process and to the machine."""

    def __init__(self, pid):
        self.pid = pid
        self.began = time.monotonic()
        self.cpu = cpu_seconds(pid)
        self.machine, self.steal = machine_seconds()

    def stop(self, settle=SETTLE_SECONDS):
        time.sleep(settle)
        used, steal = machine_seconds()
        return {
            "seconds": time.monotonic() - self.began,
            "broker_cpu_seconds": round(cpu_seconds(self.pid) - self.cpu, 2),
            "machine_cpu_seconds": round(used - self.machine, 2),
            "steal_seconds": round(steal - self.steal, 2),
        }


if __name__ == "__main__":
    _touch(int(sys.argv[1]))
