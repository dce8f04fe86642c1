"""Facts of a clip that say how far to trust a verdict."""

import tracemalloc

import numpy as np
import pytest
import soxr

from serving.activity import LevelMeter
from serving.audio import SAMPLE_RATE
from serving.quality import Quality, QualityMeter, notes
from tests.serving.conftest import noise


def measure(samples: np.ndarray, block: int = 7_001) -> Quality:
    meter, levels = QualityMeter(), LevelMeter()
    for at in range(0, len(samples), block):
        meter.add(samples[at : at + block])
        levels.add(samples[at : at + block])
    return meter.result(levels.activity().share)


def speechlike(seconds: float) -> np.ndarray:
    """Noise in syllables of 4 Hz with pauses, over a floor of -60 dB."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (noise(seconds) * np.maximum(np.sin(2 * np.pi * 4 * time), 0.001)).astype(np.float32)


def codes(samples: np.ndarray) -> list[str]:
    return [note.code for note in notes(measure(samples), window_s=1.0)]


def test_a_good_clip_has_no_note() -> None:
    assert codes(speechlike(5)) == []


def test_a_short_clip_is_noted() -> None:
    assert codes(speechlike(1.5)) == ["too_short"]


def test_a_telephone_band_is_noted() -> None:
    narrow = soxr.resample(soxr.resample(speechlike(5), SAMPLE_RATE, 8_000), 8_000, SAMPLE_RATE)
    assert codes(narrow) == ["narrow_band"]
    assert measure(narrow).bandwidth_hz == pytest.approx(4_000, abs=200)
    assert measure(speechlike(5)).bandwidth_hz > 7_900


def test_clipping_is_noted() -> None:
    loud = np.clip(speechlike(5) * 8, -1, 1)
    assert codes(loud) == ["clipped"]
    assert measure(loud).clipped_share == pytest.approx(float((np.abs(loud) >= 0.99).mean()), abs=1e-6)


@pytest.mark.parametrize(("novelty", "noted"), [(None, False), (0.9, False), (1.1, True)])
def test_what_is_unlike_the_training_data_is_noted(novelty: float | None, noted: bool) -> None:
    found = notes(measure(speechlike(5)), 1.0, novelty)
    assert [note.code for note in found] == ["unlike_training"] * noted


@pytest.mark.parametrize("rms", [1e-3, 0.1])
def test_steady_noise_is_no_speech(rms: float) -> None:
    assert codes(noise(5, rms=rms)) == ["little_speech"]


def test_a_pause_lowers_the_speech_share() -> None:
    padded = np.concatenate([speechlike(4), noise(4, rms=1e-4)])
    assert measure(padded).speech_share == pytest.approx(measure(speechlike(4)).speech_share / 2, abs=0.1)


def test_level_changes_nothing_but_clipping() -> None:
    loud, quiet = measure(speechlike(5)), measure(speechlike(5) * np.float32(0.1))
    assert (loud.bandwidth_hz, loud.duration_s) == (quiet.bandwidth_hz, quiet.duration_s)
    assert loud.speech_share == pytest.approx(quiet.speech_share, abs=0.005)


def test_block_lengths_change_nothing() -> None:
    clip = speechlike(5)
    assert measure(clip, 160_000) == measure(clip, 333)


def test_spectra_take_less_memory_than_their_samples() -> None:
    meter, block = QualityMeter(), noise(60)
    tracemalloc.start()
    try:
        meter.add(block)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * block.nbytes
    finally:
        tracemalloc.stop()
