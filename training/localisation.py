"""Where a clip is spoof: flagged against true spans -> frame F1, span IoU, segment EER; numpy alone.

A span is (start_s, end_s), half open. Frames and segments are cells of a fixed length from the clip's start.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.metrics import decisions, eer

Span = tuple[float, float]
FRAME_S = 0.08  # cells of frame F1
SEGMENT_S = 0.16  # cells of segment EER, as PartialSpoof reports it


def cells(spans: Sequence[Span], duration_s: float, cell_s: float) -> NDArray[np.bool_]:
    """Spans -> (cells,) booleans: a cell is set when spans cover more than half of its part of the clip.

    The last cell may be cut short by the clip's end. Overlapping spans count once.
    """
    count = max(1, int(np.ceil(duration_s / cell_s - 1e-9)))
    starts = np.arange(count) * cell_s
    ends = np.minimum(starts + cell_s, duration_s)
    covered = np.zeros(count)
    for start_s, end_s in merged(spans):
        covered += np.clip(np.minimum(ends, end_s) - np.maximum(starts, start_s), 0, None)
    return np.asarray(covered > (ends - starts) / 2)


def merged(spans: Sequence[Span]) -> list[Span]:
    """The same seconds as spans in order, none touching another."""
    joined: list[Span] = []
    for start_s, end_s in sorted(spans):
        if joined and start_s <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end_s))
        else:
            joined.append((start_s, end_s))
    return joined


def span_iou(flagged: Sequence[Span], true: Sequence[Span]) -> float:
    """Seconds in both over seconds in either, 0 to 1; two empty lists agree, so 1."""
    shared = shared_s(flagged, true)
    union = sum(end - start for start, end in [*merged(flagged), *merged(true)]) - shared
    return shared / union if union else 1.0


def shared_s(flagged: Sequence[Span], true: Sequence[Span]) -> float:
    """Seconds in both."""
    ours, theirs = merged(flagged), merged(true)
    return sum(max(0.0, min(a[1], b[1]) - max(a[0], b[0])) for a in ours for b in theirs)


def frame_f1(flagged: Sequence[NDArray[np.bool_]], true: Sequence[NDArray[np.bool_]]) -> float:
    """F1 of spoof cells, pooled over clips; nan when no cell is flagged and none is spoof."""
    called = np.concatenate(flagged).astype(float)
    return decisions(called, np.concatenate(true), 0.5).f1


def segment_eer(scores: Sequence[NDArray[np.float64]], true: Sequence[NDArray[np.bool_]]) -> float:
    """EER over cells pooled over clips; scores rise with spoof."""
    return eer(np.concatenate(scores), np.concatenate(true))


def cell_scores(
    windows: Sequence[tuple[float, float, float]], duration_s: float, cell_s: float
) -> NDArray[np.float64]:
    """Windows (start_s, end_s, llr) -> (cells,) mean LLR of the windows over each cell's middle.

    A cell under no window takes the nearest one's LLR.
    """
    count = max(1, int(np.ceil(duration_s / cell_s - 1e-9)))
    table = np.asarray(windows, dtype=np.float64)  # (W, 3)
    starts, ends, llrs = table[:, 0], table[:, 1], table[:, 2]
    middles = np.minimum((np.arange(count) + 0.5) * cell_s, duration_s)[:, None]  # (cells, 1)
    over = (starts <= middles) & (middles < ends)  # (cells, W)
    nearest = np.argmin(np.abs(middles - (starts + ends) / 2), axis=1)
    hits = over.sum(axis=1)
    means = np.where(over, llrs, 0.0).sum(axis=1) / np.maximum(hits, 1)
    return np.asarray(np.where(hits > 0, means, llrs[nearest]))
