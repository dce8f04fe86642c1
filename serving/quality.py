"""Blocks of a clip -> facts that say how far a verdict can be trusted, and notes in words. One pass."""

from dataclasses import dataclass

import numpy as np

from serving.activity import FRAME_SAMPLES, Framer
from serving.audio import SAMPLE_RATE, Samples

FRAMES_A_TIME = 64  # whose spectra are taken in one go: 128 KiB of samples, as much as a core holds nearby
BAND_FLOOR_DB = -60.0  # below the strongest band: nothing was recorded there
CLIPPED_AT = 0.99  # of full scale; resampling moves flattened tops a little

SHORT_S = 2.0
NARROW_HZ = 5_000.0
CLIPPED_SHARE = 0.001
LITTLE_SPEECH, LITTLE_SPEECH_S = "little_speech", 0.5
MOST_NOVEL = 1.0  # what the model's novelty is scaled to


@dataclass(frozen=True)
class Quality:
    duration_s: float
    bandwidth_hz: float  # up to where the clip has energy, at most 8 kHz
    clipped_share: float  # of the samples
    speech_share: float  # of the frames, by energy over the noise floor


@dataclass(frozen=True)
class Note:
    """A reason to trust a verdict less."""

    code: str
    message: str


class QualityMeter:
    """Blocks in, Quality out; memory doesn't grow with the clip."""

    def __init__(self) -> None:
        self._framer = Framer()
        self._total = self._clipped = 0
        self._power = np.zeros(FRAME_SAMPLES + 2)  # of real and imaginary parts in turn
        self._taper = np.hanning(FRAME_SAMPLES).astype(np.float32)

    def add(self, block: Samples) -> None:
        self._total += len(block)
        self._clipped += int(np.count_nonzero(np.abs(block) >= CLIPPED_AT))
        frames = self._framer.frames(block)
        for first in range(0, len(frames), FRAMES_A_TIME):
            tapered = frames[first : first + FRAMES_A_TIME] * self._taper
            # Scaled, numpy stays in float32, at less than half of the time; powers are compared, not read.
            parts = np.fft.rfft(tapered, axis=1, norm="forward").view(np.float32)
            self._power += np.einsum("kf,kf->f", parts, parts)

    def result(self, speech_share: float) -> Quality:
        """With the share of the frames that are speech (serving.activity)."""
        return Quality(
            duration_s=round(self._total / SAMPLE_RATE, 6),
            bandwidth_hz=self._bandwidth_hz(),
            clipped_share=round(self._clipped / max(self._total, 1), 6),
            speech_share=round(speech_share, 4),
        )

    def _bandwidth_hz(self) -> float:
        power = self._power.reshape(-1, 2).sum(axis=1)[1:]  # DC is an offset, not sound
        strongest = power.max()
        if strongest <= 0:
            return 0.0
        heard = np.flatnonzero(power >= strongest * 10 ** (BAND_FLOOR_DB / 10))
        return float((heard[-1] + 1) * SAMPLE_RATE / FRAME_SAMPLES)


def notes(quality: Quality, window_s: float, novelty: float | None = None) -> list[Note]:
    """Reasons to trust a verdict on such a clip less; empty for a good one.

    `novelty` is the clip's mean, of a model that tells how unlike its training data a window is.
    """
    found = []
    if quality.duration_s < max(SHORT_S, window_s):
        found.append(
            Note(
                "too_short",
                f"The clip is {quality.duration_s:.1f} s; verdicts are steadier from {SHORT_S:g} s on.",
            )
        )
    if quality.bandwidth_hz < NARROW_HZ:
        found.append(
            Note(
                "narrow_band", f"There is no sound above {quality.bandwidth_hz:.0f} Hz, as over a telephone."
            )
        )
    if quality.clipped_share > CLIPPED_SHARE:
        found.append(
            Note("clipped", f"{quality.clipped_share:.1%} of the samples are at full scale (overdriven).")
        )
    if novelty is not None and novelty > MOST_NOVEL:
        found.append(
            Note(
                "unlike_training",
                "This does not sound like the recordings that the model was trained on "
                f"({novelty:.1f} times the distance that 1 % of ordinary clips exceed).",
            )
        )
    if quality.speech_share * quality.duration_s < LITTLE_SPEECH_S:
        found.append(
            Note(LITTLE_SPEECH, "Hardly any speech was found; the scores may be about noise or music.")
        )
    return found
