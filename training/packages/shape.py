"""Samples -> the stretch that becomes a clip, by the corpus' steps: outer silence off, at most 3 s."""

import numpy as np
from numpy.typing import NDArray

from serving.audio import SAMPLE_RATE

Samples = NDArray[np.float32]

SILENCE_DB = -40  # below the loudest frame
KEPT_SAMPLES = SAMPLE_RATE // 20  # 0.05 s of the silence stays
FRAME_SAMPLES = SAMPLE_RATE // 100  # 10 ms
MIN_SAMPLES = SAMPLE_RATE * 6 // 10  # 0.6 s
MAX_SAMPLES = 3 * SAMPLE_RATE


def trim(samples: Samples) -> Samples:
    """(N,) -> (M,), M <= N: without the silence before the first and after the last loud frame."""
    frames = len(samples) // FRAME_SAMPLES
    if frames == 0:
        return samples
    power = np.square(samples[: frames * FRAME_SAMPLES].reshape(frames, FRAME_SAMPLES)).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (SILENCE_DB / 10))
    if len(loud) == 0:
        return samples[:0]
    start = max(0, loud[0] * FRAME_SAMPLES - KEPT_SAMPLES)
    return samples[start : (loud[-1] + 1) * FRAME_SAMPLES + KEPT_SAMPLES]


def clip_of(samples: Samples, rng: np.random.Generator) -> Samples | None:
    """A trimmed crop of 0.6 to 3 s, clipped at 1; None where too little is left."""
    sound = trim(samples)
    if len(sound) < MIN_SAMPLES:
        return None
    start = int(rng.integers(0, max(1, len(sound) - MAX_SAMPLES + 1)))
    return np.clip(sound[start : start + MAX_SAMPLES], -1, 1)
