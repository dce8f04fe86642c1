"""Windows with the origins of their frames -> sections of one origin, and what is said of each.

A frame says little by itself, and a mean over its neighbours smears the edges of what was put in. So a clip
is cut where its origin changes, what a cut window hears of two origins is asked again of each alone, and what
is said of a section counts for all of the same origin nearby: a cut is no evidence, but tells what belongs
together, and what to compare a section with. Silence in it does not count.
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serving.activity import Activity, by_speech
from serving.chunking import Samples, fit_window
from serving.frames import LLRs
from serving.origins import APART_S, SIDE_S, Counts, cuts, joined, odds
from serving.stretches import Floats

# What is cut into sections at once: memory does not grow with the clip. A section ends with its block, and
# none begins in the third of a second before.
BLOCK_S = 28.8
REACH_S = 30.0  # between two sections that may speak as one
LEAST_ODDS = (
    0.05  # of one origin, below which they do not: a long one would outweigh a short one all the same
)
# A window that hears two origins says nothing of either: variance of the origin inside it.
MIXED, MIXED_SOFTNESS = 0.3, 0.05
# What a section says beyond the others of its recording is evidence too: what moves a recording as a whole,
# its room or its microphone, moves them all alike. This share of it, half of that beside SETTLED_S of others.
CONTRAST, SETTLED_S = 0.4, 2.0
WINDOW_SHARE = 0.5  # of the evidence where a window hears one origin; the rest are the frames
MOST_AGAIN = 2  # parts asked again for every window of a block, where it is all changes
LEAST_S = 0.5  # of a part that is asked again, where its section is as long

Again = Callable[[Samples], LLRs]  # (n, window) waveforms -> (n,) LLRs, n above 0
Part = tuple[int, int]  # first frame and end


@dataclass(frozen=True)
class Sections:
    """Stretches of one origin, side by side from the clip's start."""

    frames: Counts  # (S,) length of each
    speech: Floats  # (S,) of that, in frames
    origins: Floats  # (S, K)
    llr: Floats  # (S,) mean of what is said of the speech of each
    reach: int  # frames between two that may speak as one
    settled: int  # frames of other origins beside which half of a contrast counts

    def curve(self) -> Floats:
        """LLR over time, one a frame: each section's mean with those of the same origin nearby, by their
        speech and the odds of one origin; -inf where there is none.
        """
        return np.repeat(self._compared[0], self.frames)

    def evidence(self) -> Floats:
        """What a span's level is asked of, one a frame: the curve and, where it is above 0, a share of what
        it lies above the sections of other origins nearby.
        """
        said, others, length = self._compared
        beyond = np.maximum(said - others, 0) * length / (length + self.settled)
        return np.repeat(said + CONTRAST * np.where(said > 0, beyond, 0), self.frames)

    @cached_property
    def _compared(self) -> tuple[Floats, Floats, Floats]:
        """(S,) each: what is said of a section's origin, of the others nearby, and how many frames of speech
        the latter have; of none 0 is said.
        """
        ends = np.cumsum(self.frames)
        starts = ends - self.frames
        total, weight = self.llr * self.speech, self.speech.copy()
        foreign, length = np.zeros((2, len(self.llr)))
        for step in range(1, len(self.llr)):
            near = starts[step:] - ends[:-step] < self.reach
            if not near.any():
                break
            alike = odds(((self.origins[step:] - self.origins[:-step]) ** 2).sum(axis=1))
            alike[~near | (alike < LEAST_ODDS)] = 0
            for own, other in ((slice(step, None), slice(-step)), (slice(-step), slice(step, None))):
                speech, llr = self.speech[other], self.llr[other]
                total[own] += alike * speech * llr
                weight[own] += alike * speech
                foreign[own] += (near - alike) * speech * llr
                length[own] += (near - alike) * speech
        return by_speech(total, weight), foreign / np.maximum(length, 1e-9), length


class _Block(NamedTuple):
    """What was cut at once."""

    first: int  # frame of the clip
    lengths: Counts  # (S,) of its sections
    origins: Floats  # (S, K)


class Sectioner:
    """Takes a clip's windows in order; what it says does not depend on how they were handed over."""

    def __init__(self, window_samples: int, hop_samples: int, sample_rate: int, again: Again) -> None:
        """The hop is that of frames."""
        self._window, self._hop, self._again = window_samples, hop_samples, again
        self._side, self._apart, self._least, self._reach, self._settled = (
            round(seconds * sample_rate / hop_samples)
            for seconds in (SIDE_S, APART_S, LEAST_S, REACH_S, SETTLED_S)
        )
        self._block = round(BLOCK_S * sample_rate / window_samples)  # windows
        self._begin(0)
        self._found: list[_Block] = []
        # Of all frames, in one piece: a list of five hours' blocks takes several times as much.
        self._said = array("f")

    def _begin(self, frame: int) -> None:
        """A new block, from this frame of the clip on."""
        self._first = frame
        self._windows: list[tuple[int, float]] = []  # first frame, LLR
        self._heard: list[tuple[Samples, LLRs, LLRs]] = []  # samples, frames' LLRs and origins that are new

    def add(
        self, start_sample: int, samples: Samples, window_llr: LLRs, frame_llr: LLRs, origin: LLRs
    ) -> None:
        """The windows of a chunk, side by side, frames and origins one after another; a clip's last one may
        reach back into what is known.
        """
        frames, origins = self._window // self._hop, origin.reshape(len(frame_llr), -1)
        for index, llr in enumerate(window_llr):
            start = start_sample + index * self._window
            if len(self._windows) >= self._block and start % self._window == 0:
                self._settle(None)
            first = round(start / self._hop)
            self._windows.append((first - self._first, float(llr)))
            held = self._first + self._count()
            own = slice(index * frames + max(0, held - first), (index + 1) * frames)
            new = slice(max(0, held * self._hop - start_sample), (index + 1) * self._window)
            self._heard.append((samples[new], frame_llr[own], origins[own]))

    def done(self, total_samples: int, activity: Activity) -> Sections:
        """Those of the whole clip, without a short clip's repetitions."""
        self._settle(total_samples)
        blocks = self._found
        heard = [self._heard_of(block, activity) for block in blocks]
        speech, llr = (np.concatenate(rows) for rows in zip(*heard, strict=True))
        lengths, origins = (
            np.concatenate([getattr(block, name) for block in blocks]) for name in ("lengths", "origins")
        )
        return Sections(lengths, speech, origins, llr, self._reach, self._settled)

    def _heard_of(self, block: _Block, activity: Activity) -> tuple[Floats, Floats]:
        """(S,) each: the speech in a block's sections, in frames, and the mean of what is said of it."""
        frames = np.arange(block.first, block.first + int(block.lengths.sum()))
        said = np.frombuffer(self._said, np.float32)[frames[0] : frames[-1] + 1]
        speech = activity.within(frames * self._hop, (frames + 1) * self._hop)
        edges = np.cumsum(block.lengths) - block.lengths
        evidence, heard = (np.add.reduceat(row, edges) for row in (said * speech, speech))
        return heard, evidence / np.maximum(heard, 1e-9)

    def _count(self) -> int:
        return sum(len(frames) for _, frames, _ in self._heard)

    def _settle(self, total_samples: int | None) -> None:
        """Cuts the block into sections, and begins a new one; the clip's last one by the clip's length."""
        samples, frame_llr, origin = (np.concatenate(rows) for rows in zip(*self._heard, strict=True))
        if total_samples is not None:
            left = total_samples - self._first * self._hop
            samples = samples[:left]
            frame_llr, origin = (rows[: -(-left // self._hop)] for rows in (frame_llr, origin))
        starts, origins = joined(cuts(origin, self._side, self._apart), origin)
        lengths = np.diff(np.append(starts, len(origin)))
        parts, one, llr = self._parts(samples, starts, lengths, origins)
        said = _with_windows(frame_llr, parts, one, llr)
        self._said.frombytes(said.astype(np.float32).tobytes())
        self._found.append(_Block(self._first, lengths, origins))
        self._begin(self._first + self._count())

    def _parts(
        self, samples: Samples, starts: Counts, lengths: Counts, origins: Floats
    ) -> tuple[list[Part], Floats, Floats]:
        """What windows and parts of them hear, how surely one origin, and their LLRs."""
        count, size = int(lengths.sum()), self._window // self._hop
        parts = [(first, min(first + size, count)) for first, _ in self._windows]
        one = odds(_variance(parts, lengths, origins), MIXED, MIXED_SOFTNESS)
        llr = np.array([llr for _, llr in self._windows])
        mixed = np.zeros(count, bool)
        for (first, end), sure in zip(parts, one, strict=True):
            mixed[first:end] |= sure < 0.5
        again = asked(mixed, starts, lengths, size, self._least)[: MOST_AGAIN * len(parts)]
        if not again:
            return parts, one, llr
        pieces = [samples[first * self._hop : end * self._hop] for first, end in again]
        rows = np.stack([fit_window(piece, self._window) for piece in pieces])
        return [*parts, *again], np.append(one, np.ones(len(again))), np.append(llr, self._again(rows))


def asked(mixed: npt.NDArray[np.bool_], starts: Counts, lengths: Counts, size: int, least: int) -> list[Part]:
    """What is to be heard again: the parts of sections under mixed windows, the longest first; shorter than
    `least` frames they reach so many further to both sides, inside their section, longer than `size` they are
    several.
    """
    found = []
    for start, end in zip(starts, starts + lengths, strict=True):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], mixed[start:end], [False]]).astype(np.int8)))
        for first, last in (edges + start).reshape(-1, 2).tolist():
            lacking = max(0, least - (last - first))
            first, last = max(int(start), first - lacking), min(int(end), last + lacking)
            number = -(-(last - first) // size)
            offsets = np.linspace(0, max(0, last - first - size), number).round().astype(int).tolist()
            found += [(first + offset, min(first + offset + size, last)) for offset in offsets]
    return sorted(found, key=lambda part: (part[0] - part[1], part[0]))


def _variance(parts: list[Part], lengths: Counts, origins: Floats) -> Floats:
    """(W,): variance of the sections' origins (S, K) over the frames of each part."""
    frames = np.repeat(origins, lengths, axis=0)
    return np.array([frames[first:end].var(axis=0).sum() for first, end in parts])


def _with_windows(frame_llr: LLRs, parts: list[Part], one: Floats, llr: Floats) -> Floats:
    """(F,): frames' LLRs, joined by those of the windows and parts over them as far as these hear one
    origin.
    """
    weight, weighted = np.zeros((2, len(frame_llr)))
    for (first, end), sure, value in zip(parts, one, llr, strict=True):
        weight[first:end] += sure
        weighted[first:end] += sure * value
    share = WINDOW_SHARE * np.minimum(weight, 1.0)
    return (1 - share) * frame_llr + share * weighted / np.maximum(weight, 1e-9)
