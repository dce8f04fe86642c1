"""Origins of frames, as the graph tells them -> where a clip changes its origin: voice, room, channel or
generator.

Squared distances are those of the graph's numbers: at 1 two stretches are as likely of one origin as not.
"""

import numpy as np
import numpy.typing as npt

from serving.logistic import logistic
from serving.stretches import Floats

Counts = npt.NDArray[np.int64]

SIDE_S = 0.64  # the origin before and after a possible cut is a mean over so long
CUT = 0.7  # distance of both sides that makes a cut; one too many does not matter, what is alike is joined
APART_S = 0.32  # the least between two cuts
SOFTNESS = 0.17  # by which the log-odds of one origin turn with the distance: the logistic function's scale


def cuts(origin: npt.NDArray[np.floating], side: int, apart: int) -> Counts:
    """(F, K) -> first frames of the sections, 0 among them: where the mean origins of `side` frames before
    and after are furthest apart, at least `apart` frames from each other and from the ends.
    """
    change = np.zeros(len(origin) + 1)
    change[1:-1] = changes(origin, side)
    if len(change) < 2 * apart + 1:
        return np.zeros(1, np.int64)
    around = np.lib.stride_tricks.sliding_window_view(change, 2 * apart + 1)
    inner = change[apart : len(change) - apart]
    found = np.flatnonzero((inner >= around.max(axis=1)) & (inner >= CUT)) + apart
    return np.concatenate([[0], found])


def changes(origin: npt.NDArray[np.floating], side: int) -> Floats:
    """(F, K) -> (F - 1,): squared distance of the mean origins before and after each inner edge, less where
    an end leaves fewer frames to one side.
    """
    count = len(origin)
    at = np.arange(1, count)
    first, last = np.maximum(at - side, 0), np.minimum(at + side, count)
    sums = np.zeros((count + 1, origin.shape[1]))  # of what comes before
    np.cumsum(origin, axis=0, dtype=np.float64, out=sums[1:])
    before, after = (at - first)[:, None], (last - at)[:, None]
    apart = (sums[at] - sums[first]) / before - (sums[last] - sums[at]) / after
    return np.asarray((apart**2 * before * after / (before + after)).sum(axis=1) / (side / 2))


def joined(starts: Counts, origin: npt.NDArray[np.floating]) -> tuple[Counts, Floats]:
    """First frames of sections, and the frames' origins (F, K) -> those of the sections that are left when
    neighbours that are rather of one origin are joined, from the first on, and the mean of each, (S, K).
    """
    kept, means = [int(starts[0])], []
    ends = [*starts[1:], len(origin)]
    total, count = np.zeros(origin.shape[1]), 0
    for start, end in zip(starts, ends, strict=True):
        own = origin[start:end].sum(axis=0, dtype=np.float64)
        if count and ((total / count - own / (end - start)) ** 2).sum() >= 1:
            kept.append(int(start))
            means.append(total / count)
            total, count = np.zeros_like(total), 0
        total, count = total + own, count + end - start
    return np.array(kept), np.array([*means, total / count])


def odds(distance: Floats, even: float = 1.0, softness: float = SOFTNESS) -> Floats:
    """Probability of one origin: 1 where far below `even`, there 1/2, 0 far beyond."""
    return logistic((even - distance) / softness)
