"""Harmless changes to a clip, none of which may turn real into fake or back: (N,) -> (M,) at 16 kHz.

They are fixed, unlike those of `training.augment`, so that two models are asked the same question.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from serving.audio import SAMPLE_RATE
from training.codecs import transcode

Samples = NDArray[np.float32]
Change = Callable[[Samples, np.random.Generator], Samples]

TRIM_S = 0.15  # off each end, as far as half a second is left
LEAST_S = 0.5
PAD_S = 0.3  # of silence, put at each end
LONG_PAD_S = 3.0  # the same: a window or two of nothing
NOISE_DB = 20  # signal to noise
T60_S, DIRECT_TO_REVERBERANT_DB = 0.3, 12


def edge_trim(samples: Samples, rng: np.random.Generator) -> Samples:
    room = (len(samples) - round(LEAST_S * SAMPLE_RATE)) // 2
    cut = max(0, min(round(TRIM_S * SAMPLE_RATE), room))
    return samples[cut : len(samples) - cut]


def silence(seconds: float) -> Change:
    """At each end."""
    return lambda samples, rng: np.pad(samples, round(seconds * SAMPLE_RATE))


def gain(decibels: float) -> Change:
    """Level up or down; what passes full scale is clipped, as a 16-bit file would clip it."""
    return lambda samples, rng: np.clip(samples * np.float32(10 ** (decibels / 20)), -1, 1)


def codec(name: str, bitrate: int | None) -> Change:
    """There and back through a codec of `training.codecs`, bitrate in bit/s."""
    return lambda samples, rng: transcode(samples, name, bitrate)


def noise(samples: Samples, rng: np.random.Generator) -> Samples:
    """White noise, 20 dB below the clip's mean power."""
    power = np.mean(np.square(samples, dtype=np.float64))
    hiss = rng.standard_normal(len(samples)) * np.sqrt(power / 10 ** (NOISE_DB / 10))
    return np.asarray(np.clip(samples + hiss, -1, 1), dtype=np.float32)


def reverberation(samples: Samples, rng: np.random.Generator) -> Samples:
    """A small room: decaying noise behind the direct sound, 0.3 s to -60 dB, same mean power as before."""
    seconds = np.arange(round(T60_S * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(seconds)) * 10 ** (-3 * seconds / T60_S)
    tail[: SAMPLE_RATE // 400] = 0  # nothing comes back within 2.5 ms
    tail /= np.sqrt(np.sum(tail**2) * 10 ** (DIRECT_TO_REVERBERANT_DB / 10))
    tail[0] = 1
    wet = signal.fftconvolve(samples.astype(np.float64), tail)[: len(samples)]
    wet *= np.sqrt(np.mean(np.square(samples, dtype=np.float64)) / (np.mean(wet**2) + 1e-12))
    return np.asarray(np.clip(wet, -1, 1), dtype=np.float32)


CHANGES: dict[str, Change] = {
    "edge trim": edge_trim,
    "edge silence": silence(PAD_S),
    "edge silence 3 s": silence(LONG_PAD_S),
    "-20 dB": gain(-20),
    "+6 dB": gain(6),
    "MP3 64k": codec("mp3", 64_000),
    "Opus 16k": codec("opus", 16_000),
    "AAC 48k": codec("aac", 48_000),
    "G.711 band": codec("alaw", None),
    "noise 20 dB": noise,
    "light reverberation": reverberation,
}
