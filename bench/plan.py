"""How much is measured: the counts of a full and of a quick run, and what all parts share."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.clips import Clips
from bench.fleet import Fleet

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).resolve().parent / "results"
WORK = ROOT / "data" / "bench"  # environments, made clips; not in git, safe to delete


@dataclass(frozen=True)
class Plan:
    """Counts of one run."""

    pairs: int  # turns that each server gets: A B A B ...
    requests: int  # of one turn
    seed_requests: int  # of one turn of the seed, which is slow
    peers: tuple[str, ...]
    containers: tuple[str, ...]
    connections: tuple[int, ...]
    load_s: float  # of one level of load
    repeats: int  # of what runs inside one process
    cold_starts: int
    lengths_s: tuple[int, ...]  # of clips sent over HTTP
    long_s: tuple[int, ...]  # of recordings scored from a file
    train_steps: int


FULL = Plan(
    pairs=6, requests=6, seed_requests=2, peers=("seed", "mlflow", "litserve", "bentoml", "fastapi"),
    containers=("wav", "flac", "mp3"), connections=(1, 2, 4, 8, 16, 32), load_s=4.0, repeats=7, cold_starts=3,
    lengths_s=(1, 3, 10, 30, 100, 300), long_s=(60, 600, 3600, 18000), train_steps=12,
)  # fmt: skip
QUICK = Plan(
    pairs=2, requests=3, seed_requests=1, peers=("seed", "fastapi"), containers=("wav",), connections=(1, 8),
    load_s=1.0, repeats=2, cold_starts=1, lengths_s=(1, 10), long_s=(60, 120), train_steps=2,
)  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """What every part gets."""

    plan: Plan
    model: Path
    calibration: Path | None  # protocols of labelled clips, for the int8 trial
    judged: Path | None
    fleet: Fleet

    @cached_property
    def clips(self) -> Clips:
        return Clips(WORK / "clips")
