"""What a bundle costs to serve: milliseconds a window and peak memory, measured in a process of its own.

    python -m export.footprint detector.onnx --clip-s 60

Prints one line of JSON. The process loads what serving loads and nothing else, so its peak is serving's.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from serving.audio import BLOCK_S, SAMPLE_RATE
from serving.detector import Detector

BLOCK_SAMPLES = BLOCK_S * SAMPLE_RATE  # as a decoded upload arrives
REPEATS = 3  # the fastest counts: a busy machine slows, nothing speeds up


class FootprintError(Exception):
    """The measuring process died; the message is its last words."""


@dataclasses.dataclass(frozen=True)
class Footprint:
    """Cost on one thread of this machine."""

    ms_per_window: float
    peak_mb: float
    windows: int

    @property
    def ms(self) -> float:
        """Of the whole clip: versions may cut it into other windows."""
        return self.ms_per_window * self.windows


def measure(model: Path, clip_s: float, timeout_s: float = 300) -> Footprint:
    """Runs this module in a child process; raises FootprintError where it fails."""
    command = [sys.executable, "-m", "export.footprint", str(model), "--clip-s", str(clip_s)]
    root = Path(__file__).resolve().parents[1]
    try:
        child = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise FootprintError(f"Scoring {clip_s:g} s took more than {timeout_s:g} s") from error
    if child.returncode:
        raise FootprintError((child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1])
    return Footprint(**json.loads(child.stdout))


def _noise(samples: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    for start in range(0, samples, BLOCK_SAMPLES):
        yield rng.standard_normal(min(BLOCK_SAMPLES, samples - start)).astype(np.float32) * 0.1


def _measure_here(model: Path, clip_s: float) -> Footprint:
    detector = Detector.open(model)
    samples = int(clip_s * SAMPLE_RATE)
    fastest, windows = float("inf"), 0
    for _ in range(REPEATS):
        start = time.perf_counter()
        windows = len(detector.score(_noise(samples)).window_llr)
        fastest = min(fastest, time.perf_counter() - start)
    return Footprint(round(1000 * fastest / windows, 3), round(_peak_mb(), 1), windows)


def _peak_mb() -> float:
    """Peak resident memory of this program. Linux's getrusage would include the parent that forked it."""
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return peak_kib / 1024


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure milliseconds a window and peak memory of a bundle.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--clip-s", type=float, default=60.0, help="length of the clip that is scored")
    chosen = parser.parse_args()
    print(json.dumps(dataclasses.asdict(_measure_here(chosen.model, chosen.clip_s))))


if __name__ == "__main__":
    main()
