"""Blocks of samples -> where a clip has speech, by level: silence is no evidence, whatever a network says
of it. One pass; two bytes are kept for each 32 ms.
"""

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from serving.chunking import Samples
from serving.stretches import Floats

FRAME_SAMPLES = 512  # 32 ms
LOWEST_DB, HIGHEST_DB = -120.0, 300.0  # of a frame: what two bytes hold in steps of
STEP_DB = 0.01  # so fine that a clip's own level does not matter
FLOOR, LOUD = 0.10, 0.95  # of the frames lie below the noise floor's level, and below that of loud speech
SPEECH_RANGE_DB = 30.0  # below the loud frames: the quiet parts of speech
ABOVE_FLOOR_DB = 6.0  # noise, hum and tones vary less than this; speech varies more

LEAST_SPEECH = 1e-6  # of a mean over a stretch: sums of floats leave a trace where there is none

Places = npt.NDArray[np.int64]


class Framer:
    """Blocks of any length -> whole frames; what is left waits for the next block."""

    def __init__(self) -> None:
        self._rest: Samples = np.zeros(0, np.float32)

    def frames(self, block: Samples) -> Samples:
        """(N,) -> (K, FRAME_SAMPLES), K may be 0."""
        samples = np.concatenate([self._rest, block]) if len(self._rest) else block
        whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
        self._rest = samples[whole:]
        return samples[:whole].reshape(-1, FRAME_SAMPLES)


@dataclass(frozen=True, eq=False)
class Activity:
    """Which frames of a clip are speech."""

    speech: npt.NDArray[np.bool_]  # (K,)

    @property
    def share(self) -> float:
        """Of the frames, 0 where there is none."""
        return float(self.speech.mean()) if len(self.speech) else 0.0

    def within(self, starts: Places, ends: Places) -> Floats:
        """(n,) samples each -> share of each stretch that is speech.

        1 everywhere in a clip without speech: nothing in it is to be preferred.
        """
        if not self.speech.any():
            return np.ones(len(starts))
        if not len(starts):
            return np.zeros(0)
        first = int(starts.min()) // FRAME_SAMPLES
        speech = self.speech[first : int(ends.max()) // FRAME_SAMPLES + 1]
        before = np.zeros(len(speech) + 1, np.int32)  # frames of speech before each
        np.cumsum(speech, out=before[1:])
        edges = np.append(speech, False)  # what follows the last whole frame is none

        def heard(places: Places) -> Places:
            """Samples of speech before."""
            frame, past = np.divmod(places - first * FRAME_SAMPLES, FRAME_SAMPLES)
            past = np.where(frame < len(speech), past, 0)
            frame = np.minimum(frame, len(speech))
            total: Places = before[frame].astype(np.int64) * FRAME_SAMPLES + past * edges[frame]
            return total

        share: Floats = (heard(ends) - heard(starts)) / np.maximum(ends - starts, 1)
        return share


class LevelMeter:
    """Blocks in, Activity out."""

    def __init__(self) -> None:
        self._framer = Framer()
        self._levels = array("h")  # of each frame, in steps
        self.total = 0  # samples

    def add(self, block: Samples) -> None:
        self.total += len(block)
        frames = self._framer.frames(block)
        energy = np.einsum("ks,ks->k", frames, frames) / FRAME_SAMPLES
        decibels = np.clip(10 * np.log10(np.fmax(energy, 1e-30)), LOWEST_DB, HIGHEST_DB)
        self._levels.frombytes(np.round(decibels / STEP_DB).astype(np.int16).tobytes())

    def activity(self) -> Activity:
        """Of all blocks so far."""
        if not self._levels:
            return Activity(np.zeros(0, bool))
        levels = np.array(self._levels, np.int16)
        at = [math.ceil(share * len(levels)) - 1 for share in (FLOOR, LOUD)]
        floor, loud = np.partition(levels, at)[at].tolist()
        return Activity(levels >= max(floor + ABOVE_FLOOR_DB / STEP_DB, loud - SPEECH_RANGE_DB / STEP_DB))


class Meter(Protocol):
    """What blocks of samples are added to."""

    def add(self, block: Samples) -> None: ...


def measured(blocks: Iterable[Samples], meter: Meter) -> Iterator[Samples]:
    """The blocks passed on, each measured before."""
    for block in blocks:
        meter.add(block)
        yield block


def by_speech(evidence: Floats, speech: Floats) -> Floats:
    """Sums of LLRs times their speech, and of the speech alone -> means; -inf where there is none."""
    heard = speech > LEAST_SPEECH
    return np.where(heard, evidence / np.where(heard, speech, 1), -np.inf)


def mean(values: npt.NDArray[np.floating], weights: Floats) -> float:
    """(n,) each -> the mean as float64; a plain one where no weight is above 0."""
    return float(np.average(values.astype(np.float64), weights=weights if weights.any() else None))
