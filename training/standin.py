"""A stand-in for human speech, made of signals alone: no recording, no words.

Source and filter: glottal pulses whose period and strength waver as in a throat, breath, fricatives, moving
formants, a small room. It exists so that the smoke sample needs no recording; a detector's figures on it say
nothing of real speech.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from serving.audio import SAMPLE_RATE

BLOCK_SAMPLES = SAMPLE_RATE // 200  # 5 ms, in which formants stand still
BANDWIDTHS_HZ = np.array([80.0, 110.0, 160.0, 250.0])
VOWELS_HZ = np.array(  # first four formants of a grown man, after Peterson and Barney (1952)
    [
        [270, 2290, 3010, 3500],
        [390, 1990, 2550, 3500],
        [530, 1840, 2480, 3500],
        [660, 1720, 2410, 3500],
        [730, 1090, 2440, 3400],
        [570, 840, 2410, 3400],
        [440, 1020, 2240, 3400],
        [300, 870, 2240, 3300],
        [490, 1350, 1690, 3300],
    ]
)
Floats = NDArray[np.float64]


def utter(seconds: float, speaker: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """One clip as (N,) float32 at 16 kHz. A speaker keeps pitch, tract length and room over clips."""
    body = np.random.default_rng([77, speaker])
    base_hz, tract, t60_s = body.uniform(90, 230), body.uniform(0.95, 1.2), body.uniform(0.15, 0.5)
    count = round(seconds * SAMPLE_RATE)
    vowels, voiced = _syllables(count, rng)
    source = _pulses(count, base_hz, rng) + 0.03 * rng.standard_normal(count)
    speech = _formants(source * voiced, vowels * tract) + _fricatives(count, voiced, rng)
    return _recorded(speech, t60_s, rng)


def _syllables(count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Formants of each block (blocks, 4), in Hz, gliding between vowels, and loudness of the voice (N,)."""
    ends = np.cumsum(rng.uniform(0.13, 0.32, size=count // 1500 + 2)) * SAMPLE_RATE
    ends = np.append(ends[ends < count], count)
    targets = VOWELS_HZ[rng.integers(len(VOWELS_HZ), size=len(ends))]
    blocks = -(-count // BLOCK_SAMPLES)
    middles = (np.arange(blocks) + 0.5) * BLOCK_SAMPLES
    tracks = np.stack([np.interp(middles, ends - 1200, targets[:, f]) for f in range(4)], axis=1)
    loud = np.ones(count)
    for end in ends[:-1].astype(int):
        gap = int(rng.uniform(0.03, 0.09) * SAMPLE_RATE)
        loud[max(0, end - gap) : end] = 0
    return tracks, signal.filtfilt(np.ones(160) / 160, [1.0], loud)


def _pulses(count: int, base_hz: float, rng: np.random.Generator) -> Floats:
    """Glottal flow derivative: pulses with a drifting pitch, 1 % jitter and 5 % shimmer."""
    times = np.arange(count) / SAMPLE_RATE
    steps = np.cumsum(rng.standard_normal(count // 800 + 2)) * 0.02
    wander = np.interp(np.arange(count) / 800, np.arange(len(steps)), steps)
    pitch_hz = base_hz * (1.1 - 0.08 * times) * np.exp(wander)
    flow = np.zeros(count)
    at = 0.0
    while at < count - 1:
        period = SAMPLE_RATE / pitch_hz[int(at)] * (1 + 0.01 * rng.standard_normal())
        flow[int(at)] += 1 + 0.05 * rng.standard_normal()
        at += max(period, 20.0)
    return np.asarray(
        signal.lfilter([1.0], [1.0, -1.6, 0.64], flow)
    )  # 12 dB an octave down from about 500 Hz


def _formants(source: Floats, tracks_hz: Floats) -> Floats:
    """Cascade of four resonances that move every block; the filters' state is carried over."""
    out, state = np.empty_like(source), np.zeros((4, 2))
    radius = np.exp(-np.pi * BANDWIDTHS_HZ / SAMPLE_RATE)
    for block, formants in enumerate(tracks_hz):
        part = slice(block * BLOCK_SAMPLES, (block + 1) * BLOCK_SAMPLES)
        middle = -2 * radius * np.cos(2 * np.pi * np.minimum(formants, 7600) / SAMPLE_RATE)
        gain = 1 + middle + radius**2
        zeros = np.zeros(4)
        sections = np.stack([gain, zeros, zeros, np.ones(4), middle, radius**2], axis=1)
        out[part], state = signal.sosfilt(sections, source[part], zi=state)
    return out


def _fricatives(count: int, voiced: Floats, rng: np.random.Generator) -> Floats:
    """Hiss in the gaps between vowels, its band drawn a clip."""
    band_hz = [rng.uniform(2000, 4500), 7500]
    sections = signal.butter(2, band_hz, "bandpass", fs=SAMPLE_RATE, output="sos")
    hiss = np.asarray(signal.sosfilt(sections, rng.standard_normal(count)))
    return 0.15 * hiss * np.clip(1 - voiced, 0, 1) ** 2


def _recorded(speech: Floats, t60_s: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A room, a microphone's noise and a level."""
    times = np.arange(int(t60_s * SAMPLE_RATE)) / SAMPLE_RATE
    room = rng.standard_normal(len(times)) * 10 ** (-3 * times / t60_s) * 0.03
    room[0] = 1
    wet = signal.fftconvolve(speech, room)[: len(speech)]
    wet /= np.abs(wet).max() + 1e-9
    wet += rng.standard_normal(len(wet)) * 10 ** (rng.uniform(-60, -40) / 20)
    return np.asarray(wet * rng.uniform(0.2, 0.8), dtype=np.float32)
