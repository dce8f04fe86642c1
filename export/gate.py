"""What a version must hold to be promoted: the thresholds of `gate.json`, and what a check reports."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("gate.json")


class GateFileError(Exception):
    """The gate file is not as this version of the project expects it."""


@dataclasses.dataclass(frozen=True)
class Parity:
    """torch against ONNX: largest difference of an LLR, on how many real clips."""

    max_difference: float
    clips: int


@dataclasses.dataclass(frozen=True)
class Metric:
    """Which figures may not be worse than the champion's, beyond the 95 % interval of the difference."""

    names: tuple[str, ...]
    resamples: int
    min_clips_per_label: int
    worst_without_champion: dict[str, float]  # there is nothing to compare a first version with


@dataclasses.dataclass(frozen=True)
class Flips:
    """Changes that keep a clip's label, and on how many clips they are tried."""

    changes: tuple[str, ...]
    clips: int


@dataclasses.dataclass(frozen=True)
class Gate:
    """All thresholds; `text` is the file as read, so that the log can name it."""

    split: str  # of DATA, the split that decides; test stays for reporting
    parity: Parity
    int8_mean_difference: float  # torch against a file in integers, which rounds: mean over the same LLRs
    context: Parity  # a window alone, in a batch, inside a longer clip
    max_bytes: int
    max_ms_per_window: float
    max_mb: float  # peak resident memory of a process that scores a clip of memory_clip_s
    memory_clip_s: float
    metric: Metric
    flips: Flips

    @classmethod
    def read(cls, path: Path = FILE) -> Gate:
        """Reads the gate file; raises GateFileError on unknown or missing keys."""
        try:
            return _gate(json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GateFileError(
                f"{path} is no gate file of schema 1: {error!r}; compare it with export/gate.json"
            ) from error


def _gate(facts: dict[str, Any]) -> Gate:
    known = {"schema", "split", "parity", "int8", "context", "size", "latency", "memory", "metric", "flips"}
    if facts.keys() != known or facts["schema"] != 1:
        raise ValueError(
            f"keys {sorted(facts)}, schema {facts.get('schema')}; expected {sorted(known)}, schema 1"
        )
    metric, flips = facts["metric"], facts["flips"]
    return Gate(
        split=facts["split"],
        parity=Parity(**facts["parity"]),
        int8_mean_difference=facts["int8"]["mean_difference"],
        context=Parity(**facts["context"]),
        max_bytes=facts["size"]["max_bytes"],
        max_ms_per_window=facts["latency"]["max_ms_per_window"],
        max_mb=facts["memory"]["max_mb"],
        memory_clip_s=facts["memory"]["clip_s"],
        metric=Metric(**{**metric, "names": tuple(metric["names"])}),
        flips=Flips(changes=tuple(flips["changes"]), clips=flips["clips"]),
    )


@dataclasses.dataclass(frozen=True)
class Check:
    """One finding of the gate."""

    name: str
    ok: bool
    found: str
    expected: str
    forceable: bool = True  # a file that cannot be served is not promoted for any reason

    def __str__(self) -> str:
        return f"{'ok  ' if self.ok else 'FAIL'}  {self.name}: {self.found} (expected {self.expected})"


def passed(checks: list[Check], *, forced: bool = False) -> bool:
    """Whether the version may be promoted."""
    return all(check.ok or (forced and check.forceable) for check in checks)
