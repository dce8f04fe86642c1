"""Frames, windows and where each frame comes from -> evidence over time, even over stretches of one origin.

A frame says little by itself, and a mean over its neighbours smears the edges of what was put in. So a clip
is cut where its sound changes its origin (voice, room, channel or generator), and what is said of a stretch
counts for every stretch of the same origin nearby: a cut is no evidence, but tells what belongs together.
"""

import numpy as np
import numpy.typing as npt

from serving.detector import Scores
from serving.frames import LLRs

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

# Squared distances are those of the embedding: at 1 two stretches are as likely of one origin as not.
SOFTNESS = 0.17  # by which their log-odds turn: the logistic function's scale
SIDE_S = 0.64  # the origin before and after a possible cut is a mean over so long
CUT = 0.7  # distance of both sides that makes a cut; one too many is mended by what follows
APART_S = 0.32  # the least between two cuts
REACH = 64  # stretches on either side that may be of one origin with a stretch: about a minute
# A window that hears two origins says nothing of either: variance of the origin inside it.
MIXED, MIXED_SOFTNESS = 0.3, 0.05
BLOCK = 8192  # frames whose changes are looked for at once: five hours' together take more than the answer
WINDOW_SHARE = 0.5  # of the evidence where a window hears one origin; the rest are the frames


def evidence(scores: Scores, window_samples: int, hop_samples: int, sample_rate: int) -> Floats:
    """Scores with frames and their origins -> LLR over time (F,); the hop is that of frames."""
    frame_llr, origin = scores.frame_llr, scores.origin
    if frame_llr is None or origin is None:
        raise ValueError("These scores tell no origin of frames; evidence by stretches needs it.")
    starts = cuts(
        origin, round(SIDE_S * sample_rate / hop_samples), round(APART_S * sample_rate / hop_samples)
    )
    lengths = np.diff(np.append(starts, len(origin)))
    origins = np.add.reduceat(origin, starts, axis=0, dtype=np.float64) / lengths[:, None]  # (S, K)
    first = np.round(scores.window_starts / hop_samples).astype(np.int64)
    end = np.minimum(first + window_samples // hop_samples, len(frame_llr))
    one = _odds(_variance(origins, lengths, first, end) - MIXED, MIXED_SOFTNESS)  # (W,)
    said = _with_windows(frame_llr, first, end, one, scores.window_llr)
    means = np.add.reduceat(said, starts) / lengths
    return np.repeat(_shared(means, origins, lengths.astype(np.float64)), lengths)


def cuts(origin: npt.NDArray[np.floating], side: int, apart: int) -> Counts:
    """(F, K) -> first frames of the stretches, 0 among them: where the mean origins of `side` frames before
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
    found = np.zeros(max(0, count - 1))
    for start in range(1, count, BLOCK):
        at = np.arange(start, min(start + BLOCK, count))
        first, last = np.maximum(at - side, 0), np.minimum(at + side, count)
        offset = first[0]
        sums = np.zeros((last[-1] - offset + 1, origin.shape[1]))  # of what comes before, in this block
        np.cumsum(origin[offset : last[-1]], axis=0, dtype=np.float64, out=sums[1:])
        before, after = (at - first)[:, None], (last - at)[:, None]
        middle = sums[at - offset]
        apart = (middle - sums[first - offset]) / before - (sums[last - offset] - middle) / after
        found[at - 1] = (apart**2 * before * after / (before + after)).sum(axis=1) / (side / 2)
    return found


def _with_windows(frame_llr: LLRs, first: Counts, end: Counts, one: Floats, window_llr: LLRs) -> Floats:
    """(F,): frames' LLRs, joined by those of the windows over them as far as these hear one origin."""
    count = len(frame_llr)
    weight, said = (_summed(first, end, values, count) for values in (one, one * window_llr))
    said /= np.maximum(weight, 1e-9)
    share = np.minimum(weight, 1.0, out=weight)
    share *= WINDOW_SHARE
    said -= frame_llr
    said *= share
    said += frame_llr
    return said


def _variance(origins: Floats, lengths: Counts, first: Counts, end: Counts) -> Floats:
    """(W,): variance of the stretches' origins (S, K) over the frames of each window."""
    which = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)  # stretch of each frame
    each = (origins[which[a:b]].var(axis=0).sum() for a, b in zip(first, end, strict=True))
    return np.fromiter(each, np.float64, len(first))


def _summed(first: Counts, end: Counts, values: Floats, count: int) -> Floats:
    """(count,): over each frame the sum of the windows' values."""
    steps = np.zeros(count + 1)
    np.add.at(steps, first, values)
    np.add.at(steps, end, -values)
    return np.cumsum(steps, out=steps)[:count]


def _shared(means: Floats, origins: Floats, lengths: Floats) -> Floats:
    """(S,) -> (S,): each stretch's mean with those nearby, by their lengths and the odds of one origin."""
    total, weight = means * lengths, lengths.copy()
    for step in range(1, min(REACH, len(means) - 1) + 1):
        apart = ((origins[step:] - origins[:-step]) ** 2).sum(axis=1)
        alike = _odds(apart - 1.0, SOFTNESS)
        for own, other in ((slice(step, None), slice(-step)), (slice(-step), slice(step, None))):
            total[own] += alike * lengths[other] * means[other]
            weight[own] += alike * lengths[other]
    return total / weight


def _odds(beyond: Floats, softness: float) -> Floats:
    """1 where far below 0, 1/2 at 0, 0 far beyond."""
    # tanh does not overflow where exp does.
    return np.asarray(0.5 - 0.5 * np.tanh(0.5 * beyond / softness))
