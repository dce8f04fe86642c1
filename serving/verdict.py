"""Scores of a clip -> Verdict: pooled LLR, real / fake / inconclusive, and the spans that are flagged."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serving.activity import by_speech, mean
from serving.detector import Scores
from serving.logistic import logistic
from serving.manifest import Manifest
from serving.stretches import Floats, Stretches

REAL, FAKE, INCONCLUSIVE = "real", "fake", "inconclusive"
NO_SPEECH = "no_speech"  # there was nothing to judge, whatever the scores say
DECIMALS = 6  # of every number that is given out
MAP_STEP_S = 0.16  # finest step of the confidence map: an hour stays a small answer
SPAN_LENGTH_S = 10.0  # of the clips that the span threshold is meant for; beyond, it rises


class ConfidenceMap(NamedTuple):
    """Spoof over time on an even grid from the clip's start; the last cell may be cut short by its end."""

    step_s: float
    llr: Floats  # (cells,)
    probability: Floats  # (cells,)


@dataclass(frozen=True, eq=False)
class Verdict:
    verdict: str  # REAL, FAKE, INCONCLUSIVE or NO_SPEECH
    llr: float  # of the clip, natural logarithm, rises with spoof
    probability: float  # sigmoid(llr + prior log-odds), for display
    threshold: float  # LLR
    duration_s: float
    windows: Stretches
    window_weight: Floats  # (W,) what each counts in the clip's LLR: the share of it that is speech
    spans: Stretches
    map: ConfidenceMap


def decide(scores: Scores, manifest: Manifest) -> Verdict:
    """Scores of at least one window -> Verdict. Raises ValueError without a window."""
    if not len(scores.window_llr):
        raise ValueError("There is no window to decide on; a clip needs at least one sample.")
    llr = pool(scores, manifest)
    name = name_of(llr, manifest)
    cells, cell_samples = curve(scores, manifest)
    strength = cells if scores.sections is None else scores.sections.evidence()
    spans = _spans(cells, strength, cell_samples, scores.total_samples, manifest, name == FAKE)
    grid, step_s = _grid(cells, cell_samples, manifest)
    del cells, strength  # of five hours more than the answer: room for it
    starts = scores.window_starts
    ends = np.minimum(starts + manifest.window_samples, scores.total_samples)
    return Verdict(
        verdict=name,
        llr=round(llr, DECIMALS),
        probability=round(float(probability(np.float64(llr), manifest)), DECIMALS),
        threshold=manifest.threshold,
        duration_s=round(scores.total_samples / manifest.sample_rate, DECIMALS),
        windows=_stretches(starts, ends, scores.window_llr, manifest),
        window_weight=scores.window_speech.round(4),
        spans=spans,
        map=ConfidenceMap(step_s, np.round(grid, 3), np.round(probability(grid, manifest), 4)),
    )


def pool(scores: Scores, manifest: Manifest) -> float:
    """LLR of the clip: the mean of all windows by their speech, or of the stated share with the highest
    LLR.
    """
    llr, speech = scores.window_llr, scores.window_speech
    if manifest.pooling["kind"] == "top_mean":
        count = max(1, int(np.ceil(manifest.pooling["share"] * len(llr))))
        highest = np.argpartition(llr, len(llr) - count)[len(llr) - count :]
        llr, speech = llr[highest], speech[highest]
    return mean(llr, speech)


def name_of(llr: float, manifest: Manifest) -> str:
    low, high = manifest.inconclusive
    if low <= llr <= high and low < high:
        return INCONCLUSIVE
    return FAKE if llr >= manifest.threshold else REAL


def probability(llr: Floats | np.float64, manifest: Manifest) -> Floats:
    """sigmoid(llr + prior log-odds), elementwise."""
    return logistic(llr + manifest.prior_log_odds)


def _stretches(
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    llr: npt.NDArray[np.float32] | Floats,
    manifest: Manifest,
) -> Stretches:
    """Samples and LLRs, each (K,) -> K stretches."""
    wide = llr.astype(np.float64)
    columns = (starts / manifest.sample_rate, ends / manifest.sample_rate, wide, probability(wide, manifest))
    table: Floats = np.column_stack(columns)
    return Stretches(table.round(DECIMALS))


def _grid(cells: Floats, cell_samples: int, manifest: Manifest) -> tuple[Floats, float]:
    """(cells,) -> means over groups of cells of at least MAP_STEP_S, and a group's seconds."""
    group = max(1, round(MAP_STEP_S * manifest.sample_rate / cell_samples))
    first = np.arange(0, len(cells), group)
    llr = np.add.reduceat(known(cells), first) / np.diff(np.append(first, len(cells)))
    return llr, group * cell_samples / manifest.sample_rate


def known(cells: Floats) -> Floats:
    """What is silent or covered by no window, -inf, as 0, in place: it speaks for neither label, and of five
    hours there is no room for a copy.
    """
    cells[~np.isfinite(cells)] = 0
    return cells


def _spans(
    cells: Floats, strength: Floats, cell_samples: int, total_samples: int, manifest: Manifest, fake: bool
) -> Stretches:
    """Stretches whose strength reaches the threshold, as far as their cells stay at `grow` or above.

    In a clip that is called fake as a whole, reaching `grow` is enough: what is asked there is only where.
    """
    rate, rule = manifest.sample_rate, manifest.span
    grow = rule.get("grow", rule["threshold"])
    threshold = span_threshold(total_samples / rate, manifest)
    starts, ends = _runs(cells >= grow)
    if len(starts) and not fake:
        edges = np.column_stack([starts, ends]).ravel()
        strong = np.maximum.reduceat(np.append(strength, -np.inf), edges)[::2] >= threshold
        starts, ends = starts[strong], ends[strong]
    starts, ends = _close_gaps(starts, ends, rule["gap_s"] * rate / cell_samples)
    first = starts * cell_samples
    last = np.minimum(ends * cell_samples, total_samples)
    # A clip shorter than the shortest span can still be flagged as a whole.
    least = min(rule["min_s"] * rate, total_samples)
    kept = last - first >= least
    sums = np.zeros(len(cells) + 1)  # of what comes before each cell
    np.cumsum(known(cells), out=sums[1:])
    llr = (sums[ends] - sums[starts]) / np.maximum(ends - starts, 1)
    return _stretches(first[kept], last[kept], llr[kept], manifest)


def span_threshold(duration_s: float, manifest: Manifest) -> float:
    """LLR that a span has to reach in a clip of this length.

    A long real recording has more chances of a high stretch than a short one. Peaks of real speech fall off
    about exponentially, so that a rise with the logarithm of the length keeps the share of clips with a span.
    """
    longer = np.log(max(duration_s / SPAN_LENGTH_S, 1.0))
    return float(manifest.span["threshold"] + manifest.span.get("rise", 0.0) * longer)


def curve(scores: Scores, manifest: Manifest) -> tuple[Floats, int]:
    """LLR over time on an even grid and the grid's step in samples: sections of one origin where the
    model tells origins, else smoothed frames, else window means. Where nothing but silence was heard, -inf.
    """
    if scores.frame_llr is None or not len(scores.frame_llr):
        return _window_means(scores, manifest), manifest.hop_samples
    hop = manifest.frame_hop_samples
    if scores.sections is not None:
        return scores.sections.curve(), hop
    starts = hop * np.arange(len(scores.frame_llr))
    speech = scores.activity.within(starts, starts + hop)
    width = round(manifest.span["smooth_s"] * manifest.sample_rate / hop)
    return by_speech(smooth(scores.frame_llr * speech, width), smooth(speech, width)), hop


def smooth(values: Floats | npt.NDArray[np.float32], width: int) -> Floats:
    """(F,) -> (F,), summed as float64: mean over `width` neighbours (made odd), over fewer at the ends.

    By slices, not by indices: those of five hours would take more memory than all the rest of the answer.
    """
    count = len(values)
    half = min(width // 2, count - 1)
    if half < 1:
        return values.astype(np.float64)
    size = 2 * half + 1
    sums = np.zeros(count + size)  # of what comes before, half a width of edge on both sides
    np.cumsum(values, dtype=np.float64, out=sums[half + 1 : half + 1 + count])
    sums[half + 1 + count :] = sums[half + count]
    means = sums[size:] - sums[:-size]
    inner = max(half, count - half)
    means[half:inner] /= size
    for at in (np.arange(half), np.arange(inner, count)):
        means[at] /= np.minimum(at + half + 1, count) - np.maximum(at - half, 0)
    return means


def _window_means(scores: Scores, manifest: Manifest) -> Floats:
    """(W,) -> (cells,), a hop each: mean LLR of the windows that reach into a cell, by their speech."""
    hop = manifest.hop_samples
    count = -(-scores.total_samples // hop)
    first = scores.window_starts // hop
    last = np.minimum(-(-(scores.window_starts + manifest.window_samples) // hop), count)
    speech = scores.window_speech

    def over(values: Floats) -> Floats:
        """Sums of what the windows have that reach into a cell."""
        sums = np.zeros(count + 1)
        np.add.at(sums, first, values)
        np.add.at(sums, last, -values)
        return np.cumsum(sums)[:count]

    return by_speech(over(scores.window_llr * speech), over(speech))


def _runs(flags: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(cells,) -> first and one-past-last cell of each run of True."""
    edges = np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def _close_gaps(
    starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], most_cells: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    if not len(starts):
        return starts, ends
    apart = starts[1:] - ends[:-1] > most_cells
    return starts[np.concatenate([[True], apart])], ends[np.concatenate([apart, [True]])]
