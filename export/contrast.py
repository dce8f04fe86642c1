"""Two versions on the same clips -> difference of a figure, its paired bootstrap interval and a finding."""

from __future__ import annotations

import dataclasses

import numpy as np

from training import metrics

FIGURES: dict[str, metrics.Metric] = {
    "eer": metrics.eer,
    "cllr": metrics.cllr,
    "min_dcf": metrics.min_dcf,
}  # lower is better
SEED = 0  # the same draws for every pair: a gate asked twice answers the same


@dataclasses.dataclass(frozen=True)
class Contrast:
    """One figure of two versions, and the 95 % interval of the difference; lower is better."""

    name: str
    one: float
    other: float
    low: float
    high: float

    @property
    def finding(self) -> str:
        """`better`, `worse`, or `no difference shown`, of the one against the other."""
        if self.low > 0:
            return "worse"
        return "better" if self.high < 0 else "no difference shown"

    def __str__(self) -> str:
        return (
            f"{self.name} {self.one:.4f} against {self.other:.4f}, difference {self.one - self.other:+.4f} "
            f"(95 % interval {self.low:+.4f} to {self.high:+.4f}): {self.finding}"
        )


def contrast(name: str, one: np.ndarray, other: np.ndarray, spoof: np.ndarray, resamples: int) -> Contrast:
    """one, other, spoof (N,): LLRs of two versions and the labels, of the same clips in the same order."""
    figure = FIGURES[name]
    interval = metrics.bootstrap_difference(one, other, spoof, figure, SEED, resamples)
    return Contrast(name, figure(one, spoof), figure(other, spoof), interval.low, interval.high)
