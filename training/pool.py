"""Clips on disk -> one memory map of int16 waveforms per variant, decoded once: `plain`, and `coded` through
a random codec.

Training then draws a variant and a crop in microseconds. Built in parallel, kept under data/pool, keyed by
what went in.
"""

import hashlib
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from serving.audio import SAMPLE_RATE, load
from serving.errors import ClipError
from training.augment import codec
from training.datasets import Clip, DataError, data_fingerprint

LONGEST = 8 * SAMPLE_RATE  # of a longer clip the pool keeps one stretch of this length, in every variant
CACHE = Path("data/pool")
VARIANTS = ("plain", "coded")


@dataclass(frozen=True)
class Part:
    """The clips of one list."""

    samples: dict[str, np.ndarray]  # variant -> (total,) int16 memory map
    bounds: np.ndarray  # (clips + 1,) first sample of each clip


class Pool:
    """Several lists of clips behind one index."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self.starts = np.cumsum([0, *(len(part.bounds) - 1 for part in parts)])

    def get(self, index: int, variant: str) -> np.ndarray:
        """(N,) float32 in [-1, 1]"""
        which = int(np.searchsorted(self.starts, index, side="right")) - 1
        part, row = self.parts[which], index - self.starts[which]
        return part.samples[variant][part.bounds[row] : part.bounds[row + 1]].astype(np.float32) / 32768


@dataclass(frozen=True)
class Selection:
    """Some clips of a pool behind numbers of their own."""

    pool: Pool
    rows: Sequence[int]

    def get(self, index: int, variant: str) -> np.ndarray:
        """(N,) float32 in [-1, 1]"""
        return self.pool.get(self.rows[index], variant)


def _prepare(clip: Clip, variant: str) -> np.ndarray:
    place, rng = (
        np.random.default_rng(list(hashlib.sha256(f"{clip.path}{salt}".encode()).digest()))
        for salt in ("", variant)
    )
    try:
        samples = load(clip.path)
    except ClipError as error:
        raise DataError(f"{clip.path}: {error.message} Mend or remove the clip.") from None
    start = int(place.integers(0, max(1, len(samples) - LONGEST + 1)))
    samples = samples[start : start + LONGEST]
    if variant == "coded":
        samples = codec(samples, rng)
    return np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)


def _build(clips: Sequence[Clip], path: Path, variant: str, jobs: int) -> None:
    """Write the waveforms one after another, whole: temporary name, then rename."""
    part, sizes = path.with_suffix(".part"), []
    with multiprocessing.Pool(jobs) as workers, part.open("wb") as file:
        work = workers.imap(partial(_prepare, variant=variant), clips, chunksize=16)
        for samples in tqdm(work, total=len(clips), unit="clip", desc=f"pool: {variant}"):
            samples.tofile(file)
            sizes.append(len(samples))
    np.save(path.with_suffix(".bounds.npy"), np.cumsum([0, *sizes]))
    os.replace(part, path)


def pool(lists: Sequence[Sequence[Clip]], folder: Path, jobs: int | None = None) -> Pool:
    """The pool of these lists in this order; what an earlier run did not make is made now."""
    folder.mkdir(parents=True, exist_ok=True)
    return Pool([_part(clips, folder, jobs or os.cpu_count() or 1) for clips in lists if clips])


def _part(clips: Sequence[Clip], folder: Path, jobs: int) -> Part:
    order = hashlib.sha256("".join(str(c.path) for c in clips).encode()).hexdigest()[:8]
    paths = {v: folder / f"{data_fingerprint(clips)[:12]}-{order}-{v}.i16" for v in VARIANTS}
    for variant, path in paths.items():
        if not path.exists():
            _build(clips, path, variant, jobs)
    bounds = np.load(paths["plain"].with_suffix(".bounds.npy"))
    return Part({v: np.memmap(p, dtype=np.int16, mode="r") for v, p in paths.items()}, bounds)
