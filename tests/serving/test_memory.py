"""Freed memory stays with the process."""

import platform
import resource
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from serving.memory import keep_freed
if {kept}: keep_freed()
def use(): np.ones(2**18, np.float32) + np.ones(2**18, np.float32)  # three of 1 MiB at a time
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20): use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(kept: bool) -> int:
    """Page faults of twenty times three arrays of 1 MiB, in a process of its own."""
    script = FAULTS.format(kept=kept)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such limit")
def test_memory_that_was_freed_does_not_come_anew() -> None:
    pages = 3 * 2**20 // resource.getpagesize()
    assert faults(kept=True) < 2 * pages < faults(kept=False)
