"""Scores and labels -> error rates, costs and intervals; numpy alone.

Two arrays describe a trial list: `scores` (N,), **rising with spoof**, and `spoof` (N,) booleans. Two errors:

    miss          a spoof clip that is not called spoof (score < threshold): a fake let through
    false alarm   a bona fide clip that is called spoof (score >= threshold): a real voice refused

Those are a detector's terms, spoof being what it looks for. ASVspoof 5 names them from the other side, where
the bona fide is sought: its Pmiss is false_alarm here, its Pfa is miss here. `min_dcf` and `act_dcf` keep its
costs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# ASVspoof 5 evaluation plan: prior of spoof, cost of refusing a bona fide clip, cost of accepting a spoof.
P_SPOOF = 0.05
C_MISS = 1.0
C_FA = 10.0
COST_REFUSED = C_MISS * (1 - P_SPOOF)  # weight of the false alarm rate
COST_ACCEPTED = C_FA * P_SPOOF  # weight of the miss rate
# Refusing is cheaper from here on: COST_ACCEPTED * p(x given spoof) > COST_REFUSED * p(x given bona fide).
BAYES_THRESHOLD = float(np.log(COST_REFUSED / COST_ACCEPTED))


@dataclass(frozen=True)
class Det:
    """Error rates as the threshold rises from everything called spoof (miss 0, false alarm 1) to nothing."""

    thresholds: Floats  # (K,), the last inf; a score of at least that is called spoof
    miss: Floats  # (K,)
    false_alarm: Floats  # (K,)


@dataclass(frozen=True)
class Decisions:
    """What one threshold gives; spoof is the positive class. A rate without any trial of its kind is nan."""

    accuracy: float
    precision: float
    recall: float
    f1: float
    miss: float
    false_alarm: float


@dataclass(frozen=True)
class Interval:
    """A figure and the range that resampling the clips gives it."""

    value: float
    low: float
    high: float


def flat(scores: ArrayLike, spoof: ArrayLike) -> tuple[Floats, Bools]:
    """Both as flat arrays of float64 and bool."""
    return np.asarray(scores, dtype=np.float64).ravel(), np.asarray(spoof, dtype=bool).ravel()


def checked(scores: ArrayLike, spoof: ArrayLike) -> tuple[Floats, Bools]:
    """Both as flat arrays. Raises ValueError on unequal lengths, nan, or a class without clips."""
    values, positive = flat(scores, spoof)
    if len(values) != len(positive):
        raise ValueError(f"{len(values)} scores for {len(positive)} labels; expected as many of each.")
    if np.isnan(values).any():
        raise ValueError(
            f"{int(np.isnan(values).sum())} scores are nan; leave out clips that could not be scored."
        )
    if positive.all() or not positive.any():
        raise ValueError(
            f"{len(positive)} clips of one class; expected bona fide and spoof. Add clips of the other."
        )
    return values, positive


def det(scores: ArrayLike, spoof: ArrayLike) -> Det:
    """DET points, one a distinct score and one at inf: equal scores are never parted."""
    values, positive = checked(scores, spoof)
    order = np.argsort(values, kind="stable")
    ranked, ranked_spoof = values[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # last of each run of equal scores
    missed = np.cumsum(ranked_spoof)[last]
    passed = (last + 1) - missed  # bona fide below the next threshold
    miss = np.concatenate(([0.0], missed / positive.sum()))
    false_alarm = 1 - np.concatenate(([0.0], passed / (~positive).sum()))
    return Det(np.append(ranked[last], np.inf), miss, false_alarm)


def eer(scores: ArrayLike, spoof: ArrayLike) -> float:
    """Equal error rate: the mean of both rates where they are closest, as ASVspoof's scripts take it.

    Thresholds that are equally close count alike, so that neither class is favoured.
    """
    curve = det(scores, spoof)
    gap = np.abs(curve.miss - curve.false_alarm)
    closest = gap <= gap.min() + 1e-12
    return float((curve.miss + curve.false_alarm)[closest].mean() / 2)


def auc(scores: ArrayLike, spoof: ArrayLike) -> float:
    """Share of (spoof, bona fide) pairs in which the spoof clip scores higher; a tie counts half."""
    values, positive = checked(scores, spoof)
    bonafide = np.sort(values[~positive])
    below = np.searchsorted(bonafide, values[positive], side="left")
    up_to = np.searchsorted(bonafide, values[positive], side="right")
    return float((below + up_to).sum() / 2 / (len(bonafide) * positive.sum()))


def min_dcf(scores: ArrayLike, spoof: ArrayLike) -> float:
    """Detection cost at the best threshold; 1 is the better of "all spoof" and "none spoof" (ASVspoof 5)."""
    curve = det(scores, spoof)
    cost = COST_REFUSED * curve.false_alarm + COST_ACCEPTED * curve.miss
    return float(cost.min() / min(COST_REFUSED, COST_ACCEPTED))


def act_dcf(llr: ArrayLike, spoof: ArrayLike) -> float:
    """Detection cost at the Bayes threshold, log 1.9 (ASVspoof 5); calibrated LLRs come near `min_dcf`."""
    rates = decisions(llr, spoof, BAYES_THRESHOLD)
    cost = COST_REFUSED * rates.false_alarm + COST_ACCEPTED * rates.miss
    return float(cost / min(COST_REFUSED, COST_ACCEPTED))


def cllr(llr: ArrayLike, spoof: ArrayLike) -> float:
    """Cost of LLRs in bits (Brummer and du Preez, 2006): 0 is perfect, 1 is what always answering 0 costs."""
    values, positive = checked(llr, spoof)
    on_spoof = np.logaddexp(0, -values[positive]).mean()
    on_bonafide = np.logaddexp(0, values[~positive]).mean()
    return float((on_spoof + on_bonafide) / (2 * np.log(2)))


def min_cllr(scores: ArrayLike, spoof: ArrayLike) -> float:
    """Cllr after the best rising calibration (pool adjacent violators): the part that is not calibration."""
    values, positive = checked(scores, spoof)
    probability = isotonic(values, positive)
    with np.errstate(divide="ignore"):  # a pure block is certain: its LLR is infinite and costs nothing
        odds = np.log(probability) - np.log1p(-probability)
    return cllr(odds - np.log(positive.sum() / (~positive).sum()), positive)


def isotonic(scores: ArrayLike, spoof: ArrayLike) -> Floats:
    """Share of spoof among scores like each one, made to rise with the score: (N,) -> (N,), order kept."""
    values, positive = checked(scores, spoof)
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    blocks: list[tuple[float, float, int]] = []  # (mean, clips, score groups) of blocks whose means rise
    for mean, clips in zip(np.bincount(group, positive) / counts, counts.astype(float), strict=True):
        block = (float(mean), float(clips), 1)
        while blocks and blocks[-1][0] >= block[0]:
            left = blocks.pop()
            weight = left[1] + block[1]
            block = ((left[0] * left[1] + block[0] * block[1]) / weight, weight, left[2] + block[2])
        blocks.append(block)
    return np.repeat([block[0] for block in blocks], [block[2] for block in blocks])[group]


def decisions(scores: ArrayLike, spoof: ArrayLike, threshold: float) -> Decisions:
    """Rates at one threshold, as serving decides: at least that is spoof. One class alone is allowed here."""
    values, positive = flat(scores, spoof)
    called = values >= threshold
    hits, alarms = int((called & positive).sum()), int((called & ~positive).sum())
    misses, passes = int((~called & positive).sum()), int((~called & ~positive).sum())
    return Decisions(
        accuracy=ratio(hits + passes, len(values)),
        precision=ratio(hits, hits + alarms),
        recall=ratio(hits, hits + misses),
        f1=ratio(2 * hits, 2 * hits + alarms + misses),
        miss=ratio(misses, hits + misses),
        false_alarm=ratio(alarms, alarms + passes),
    )


def ratio(part: float, whole: float) -> float:
    """part / whole, nan where there is nothing to divide by."""
    return part / whole if whole else float("nan")


Metric = Callable[[Floats, Bools], float]


def bootstrap(
    scores: ArrayLike,
    spoof: ArrayLike,
    metric: Metric,
    seed: int,
    draws: int = 1000,
    groups: Sequence[str] | None = None,
) -> Interval:
    """95 % interval of a metric over clips drawn anew, each class by itself so that every draw has both.

    With `groups` (N,), such as sources, whole groups are drawn: clips of one are alike, so what a new one
    would do shows only there.
    """
    values, positive = checked(scores, spoof)
    drawn = _redraw if groups is None else partial(_redraw_groups, np.asarray(groups))
    picks = (drawn(positive, np.random.default_rng([seed, draw])) for draw in range(draws))
    return _interval(metric(values, positive), [metric(values[pick], positive[pick]) for pick in picks])


def bootstrap_difference(
    first: ArrayLike, second: ArrayLike, spoof: ArrayLike, metric: Metric, seed: int, draws: int = 1000
) -> Interval:
    """95 % interval of metric(first) - metric(second) for two systems on the same clips, drawn together.

    Paired: what makes a clip hard moves both systems, so the interval is narrower than two of `bootstrap`.
    """
    ours, positive = checked(first, spoof)
    theirs, _ = checked(second, spoof)
    picks = [_redraw(positive, np.random.default_rng([seed, draw])) for draw in range(draws)]
    gaps = [metric(ours[pick], positive[pick]) - metric(theirs[pick], positive[pick]) for pick in picks]
    return _interval(metric(ours, positive) - metric(theirs, positive), gaps)


def _redraw(positive: Bools, rng: np.random.Generator) -> NDArray[np.intp]:
    classes = (np.flatnonzero(positive), np.flatnonzero(~positive))
    return np.concatenate([rng.choice(rows, len(rows)) for rows in classes])


def _redraw_groups(groups: NDArray[np.str_], positive: Bools, rng: np.random.Generator) -> NDArray[np.intp]:
    rows = []
    for label in (True, False):
        held = [
            np.flatnonzero((groups == name) & (positive == label))
            for name in np.unique(groups[positive == label])
        ]
        rows += [held[pick] for pick in rng.integers(len(held), size=len(held))]
    return np.concatenate(rows)


def _interval(value: float, draws: list[float]) -> Interval:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(value), float(low), float(high))
