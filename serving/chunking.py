"""Blocks of samples of any length -> chunks of whole windows, and the rule for clips below one window."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


def fit_window(samples: Samples, window_samples: int) -> Samples:
    """Short-clip rule "repeat": (N,) -> (max(N, window_samples),), a shorter clip tiled up to one window."""
    if len(samples) >= window_samples or not len(samples):
        return samples
    return np.resize(samples, window_samples)


class Chunk(NamedTuple):
    """A bounded stretch of a clip that holds whole windows."""

    start_sample: int
    samples: Samples  # (window + (k - 1) * hop,)


def chunks(
    blocks: Iterable[Samples], window_samples: int, hop_samples: int, max_windows: int
) -> Iterator[Chunk]:
    """Blocks of any length -> chunks of at most `max_windows` windows, k * hop apart.

    Windows start at 0, hop, 2 hop, ... and, where those leave a tail, at N - window in a last, single chunk.
    A clip shorter than a window is one chunk made by `fit_window`; no samples give no chunk.
    """
    most = window_samples + (max_windows - 1) * hop_samples
    step = max_windows * hop_samples
    held = np.zeros(0, np.float32)  # from `start - past` on; `past` samples behind it serve the last window
    start = past = 0
    for pieces in _gathered(blocks, most):
        held = np.concatenate([held, pieces]) if len(held) else pieces
        while len(held) - past > most:  # more is known to follow, so this is not the clip's last chunk
            yield Chunk(start, held[past : past + most])
            start += step
            drop = max(0, past + step - hop_samples)
            held, past = held[drop:], past + step - drop
    yield from _last_chunks(held, start, past, window_samples, hop_samples)


def windows_in(samples: int, window_samples: int, hop_samples: int) -> int:
    """Whole windows that so many samples hold, of at least one."""
    return 1 + (samples - window_samples) // hop_samples


def calls(
    pieces: Iterable[Chunk], window_samples: int, hop_samples: int, max_windows: int
) -> Iterator[list[Chunk]]:
    """Chunks -> those that go into one call of the graph: one, or where windows lie side by side as many as
    hold at most `max_windows`: a clip's last window, off the grid, needs no call of its own where there is
    room.
    """
    if hop_samples != window_samples:
        yield from ([piece] for piece in pieces)
        return
    held: list[Chunk] = []
    count = 0
    for piece in pieces:
        more = windows_in(len(piece.samples), window_samples, hop_samples)
        if held and count + more > max_windows:
            yield held
            held, count = [], 0
        held.append(piece)
        count += more
    if held:
        yield held


def _gathered(blocks: Iterable[Samples], least: int) -> Iterator[Samples]:
    """Small blocks joined to at least `least` samples each but the last, so that joining stays linear."""
    waiting: list[Samples] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += len(block)
        if count >= least:
            yield np.concatenate(waiting) if len(waiting) > 1 else block
            waiting, count = [], 0
    if waiting:
        yield np.concatenate(waiting) if len(waiting) > 1 else waiting[0]


def _last_chunks(held: Samples, start: int, past: int, window: int, hop: int) -> Iterator[Chunk]:
    rest = len(held) - past
    total = start + rest
    if not total:
        return
    if total < window:
        yield Chunk(0, fit_window(held, window))
        return
    covered = start  # end of the windows on the grid, in samples from the clip's start
    if rest >= window:
        count = windows_in(rest, window, hop)
        covered = start + window + (count - 1) * hop
        yield Chunk(start, held[past : past + covered - start])
    elif start:
        covered = start + window - hop
    if covered < total:
        yield Chunk(total - window, held[len(held) - window :])
