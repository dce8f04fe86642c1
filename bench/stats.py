"""Repeated figures -> median with the lowest and highest, and ratios of pairs taken in the same turn."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Spread:
    """Of figures measured several times."""

    median: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def spread(values: Sequence[float]) -> Spread:
    """Raises ValueError where there is nothing to summarise."""
    if not len(values):
        raise ValueError("Nothing was measured; at least one value is needed.")
    rounded = [float(f"{value:.4g}") for value in (median(values), min(values), max(values))]
    return Spread(*rounded, count=len(values))


def ratios(theirs: Sequence[float], ours: Sequence[float]) -> Spread:
    """Theirs over ours, turn by turn: what slowed the machine in a turn slowed both."""
    return spread([their / our for their, our in zip(theirs, ours, strict=True)])


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """{"p50", "p90", "p99"} in ms; empty without values."""
    if not len(seconds):
        return {}
    return {f"p{q}": round(1000 * float(np.percentile(seconds, q)), 2) for q in (50, 90, 99)}


@dataclass(frozen=True)
class Goal:
    """One promise and what was found."""

    text: str
    target: float
    found: float
    unit: str
    at_least: bool  # else at most

    @property
    def met(self) -> bool:
        return self.found >= self.target if self.at_least else self.found <= self.target

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "met": self.met}
