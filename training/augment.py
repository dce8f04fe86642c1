"""Waveform -> waveform: the post-chain of a recording's life, drawn without regard to its label; training
only.

Every step is `(samples (N,) float32, rng) -> (N,) float32`. The same rng state gives the same channel, so
that a clip and its
twin can be sent through one channel and differ in nothing else. Most codecs are drawn ahead, when the pool is
built: they are slow.
"""

import numpy as np
from scipy.signal import lfilter

from serving.audio import SAMPLE_RATE
from training.codecs import CODECS, transcode

BLOCK_SAMPLES = 80  # 5 ms, of a level meter


def codec(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One random codec at a random bitrate; one clip in five a second one, as forwarded messages are."""
    for _ in range(1 + int(rng.random() < 0.2)):
        name = str(rng.choice(sorted(CODECS)))
        bitrates = CODECS[name].bitrates
        samples = transcode(samples, name, int(rng.choice(bitrates)) if bitrates else None)
    return samples


def opus(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A call or a voice message: Opus at 10 to 24 kbit/s, where it changes speech most."""
    return transcode(samples, "opus", int(rng.integers(10_000, 24_001)))


def gain(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Peak set to between -30 and 0 dB of full scale."""
    peak = float(np.abs(samples).max())
    return samples * np.float32(10 ** (rng.uniform(-30, 0) / 20) / max(peak, 1e-5))


def clip(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Overload: the loudest 0.1 to 2 % of the samples hit the rail."""
    rail = float(np.quantile(np.abs(samples), 1 - rng.uniform(0.001, 0.02)))
    return np.clip(samples, -rail, rail)


def _coloured(size: int, rng: np.random.Generator) -> np.ndarray:
    """(size,) Gaussian noise whose power falls or rises with frequency by a random power law; unit RMS."""
    spectrum = np.fft.rfft(rng.standard_normal(size, dtype=np.float32))
    slope = rng.uniform(-0.5, 1.0)  # 0 is white, 0.5 is pink, 1 is brown
    shaped = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 20) ** slope, size)
    return (shaped / max(float(np.sqrt(np.mean(shaped**2))), 1e-9)).astype(np.float32)


def noise(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stationary coloured noise at 8 to 45 dB below the clip's RMS level."""
    level = float(np.sqrt(np.mean(samples**2))) * 10 ** (-rng.uniform(8, 45) / 20)
    return samples + np.float32(level) * _coloured(len(samples), rng)


def dynamics(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What studios, broadcasters and calls do to levels: a compressor, from 5 to 30 dB below the peak on by 2
    to 10 to 1, and one time in two a gate that pulls pauses down.
    """
    blocks = -(-len(samples) // BLOCK_SAMPLES)
    power = np.square(np.resize(samples, (blocks, BLOCK_SAMPLES))).mean(axis=1)
    keep = np.exp(-BLOCK_SAMPLES / SAMPLE_RATE / rng.uniform(0.01, 0.1))  # of the meter, a block
    level_db = 10 * np.log10(lfilter([1 - keep], [1, -keep], power) + 1e-10)
    peak_db = float(level_db.max())
    over_db = np.maximum(0, level_db - peak_db + rng.uniform(5, 30))
    gain_db = -over_db * (1 - 1 / rng.uniform(2, 10))
    if rng.random() < 0.5:
        below_db = peak_db - rng.uniform(25, 45) - level_db
        gain_db -= rng.uniform(6, 30) * np.clip(below_db / 6, 0, 1)
    centres = BLOCK_SAMPLES * (np.arange(blocks) + 0.5)
    shaped = samples * 10 ** (np.interp(np.arange(len(samples)), centres, gain_db) / 20)
    loudness = np.sqrt(np.mean(samples**2) / (np.mean(shaped**2) + 1e-12))
    return (shaped * min(float(loudness), 1e3)).astype(np.float32)


def reverberation(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A generated room: direct sound and an exponentially decaying noise tail, RT60 0.08 to 0.7 s."""
    rt60 = rng.uniform(0.08, 0.7)
    time = np.arange(int(rt60 * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / rt60)
    tail *= 10 ** (-rng.uniform(3, 20) / 20) / np.sqrt(
        np.sum(tail**2)
    )  # direct to reverberant ratio, 3 to 20 dB
    tail[0] = 1.0
    return _filter(samples, tail.astype(np.float32))


def _filter(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Linear convolution by FFT, cut to the input's length."""
    size = len(samples) + len(response)
    size = 1 << (size - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)[
        : len(samples)
    ].astype(np.float32)


def equalise(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A smooth random frequency response of up to 12 dB either way, and one time in three a low-pass at 3 to
    7.5 kHz or a high-pass.
    """
    spectrum = np.fft.rfft(samples)
    hz = np.linspace(0, SAMPLE_RATE / 2, len(spectrum))
    knots = np.linspace(0, SAMPLE_RATE / 2, int(rng.integers(3, 9)))
    response_db = np.interp(hz, knots, rng.uniform(-12, 12, len(knots)) * rng.random())
    kind = rng.random()
    edge = rng.uniform(3000, 7500) if kind < 0.22 else rng.uniform(50, 350)
    if kind < 0.22:
        response_db -= np.maximum(0, hz - edge) / 10  # 100 dB a kHz: resamplers cut steeply
    elif kind < 0.34:
        response_db -= 24 * np.maximum(0, np.log2(edge / np.maximum(hz, 1)))
    return np.fft.irfft(spectrum * 10 ** (np.maximum(response_db, -90) / 20), len(samples)).astype(np.float32)


def rawboost(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """RawBoost's non-linear and impulsive parts (Tak et al. 2022): weak harmonic distortion, and noise on a
    few samples.
    """
    peak = max(float(np.abs(samples).max()), 1e-5)
    unit = samples / peak
    bent = unit + rng.uniform(0, 0.25) * unit**2 + rng.uniform(0, 0.25) * unit**3
    hits = rng.random(len(samples)) < rng.uniform(0, 0.02)
    return (bent + hits * bent * rng.uniform(-1, 1) * 0.5).astype(np.float32) * np.float32(peak)


STEPS = (
    (reverberation, 0.25),
    (equalise, 0.4),
    (rawboost, 0.15),
    (noise, 0.4),
    (dynamics, 0.25),
    (clip, 0.06),
    (opus, 0.12),
    (gain, 0.9),
)


def channel(samples: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """The fast part of the chain, each step with its own probability times `strength`; (N,) -> (N,) within
    [-1, 1].
    """
    for step, probability in STEPS:
        if rng.random() < probability * strength:
            samples = step(samples, rng)
    return np.clip(samples, -1.0, 1.0).astype(np.float32)


def crop(samples: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """(N,) -> (size,): a random stretch; a shorter clip is tiled as serving does, or one time in three
    padded with silence.
    """
    if len(samples) < size and rng.random() < 1 / 3:
        before = int(rng.integers(0, size - len(samples) + 1))
        return np.pad(samples, (before, size - len(samples) - before))
    if len(samples) < size:
        samples = np.tile(samples, -(-size // len(samples)))
    start = int(rng.integers(0, len(samples) - size + 1))
    return samples[start : start + size]
