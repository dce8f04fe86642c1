"""CPU time and memory of a process and of all it started, from /proc (Linux)."""

import os
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
CPU_CLOCK = 2  # of the clocks that Linux has for each process, the scheduler's


def tree(pid: int) -> list[int]:
    """The process and its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def cpu_s(pid: int) -> float:
    """User and system seconds of the tree; of children that ended, too, in ticks of 10 ms."""
    total = 0.0
    for member in tree(pid):
        if fields := _stat(member):
            total += _clock_s(member) + sum(int(ticks) for ticks in fields[13:15]) / TICKS  # cutime, cstime
    return total


def _clock_s(pid: int) -> float:
    """Seconds that a process took so far, to the nanosecond; 0 where it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | CPU_CLOCK)
    except OSError:
        return 0.0


def pss_mb(pid: int) -> float:
    """Proportional set size of the tree in MB (10^6): pages that processes share count once."""
    return sum(_kib(f"/proc/{member}/smaps_rollup", "Pss:") for member in tree(pid)) * 1024 / 1e6


def peak_rss_mb(pid: int) -> float:
    """Sum of the peaks of resident memory of the tree, in MB; at least what was in use at any moment."""
    return sum(_kib(f"/proc/{member}/status", "VmHWM:") for member in tree(pid)) * 1024 / 1e6


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat behind the name: state, parent, ...; empty where the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _kib(path: str, name: str) -> int:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)
