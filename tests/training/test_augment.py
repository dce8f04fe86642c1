"""The post-chain keeps length and range, is repeatable, and never looks at a label."""

import numpy as np
import pytest

from training.augment import STEPS, channel, codec, crop, dynamics
from training.codecs import CODECS, transcode


@pytest.fixture
def clip() -> np.ndarray:
    rng = np.random.default_rng(3)
    time = np.arange(20_000) / 16_000
    voiced = sum(np.sin(2 * np.pi * 130 * k * time + k) / k for k in range(1, 25))
    return (0.1 * voiced + 0.003 * rng.standard_normal(20_000)).astype(np.float32)


@pytest.mark.parametrize("step", [step for step, _ in STEPS], ids=lambda step: step.__name__)
def test_each_step_keeps_length_and_type_and_changes_the_clip(step, clip: np.ndarray) -> None:
    before = clip.copy()
    after = step(clip, np.random.default_rng(1))
    assert after.shape == clip.shape and after.dtype == np.float32 and np.isfinite(after).all()
    assert not np.array_equal(after, clip)
    assert np.array_equal(before, clip), "the input array is left alone"


def test_the_same_state_gives_the_same_channel(clip: np.ndarray) -> None:
    first, second = (channel(clip, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, channel(clip, np.random.default_rng(6)))


def test_no_strength_is_no_channel(clip: np.ndarray) -> None:
    assert np.array_equal(channel(clip, np.random.default_rng(5), strength=0.0), clip)


@pytest.mark.parametrize("name", sorted(CODECS))
def test_a_codec_gives_back_the_clip_aligned(name: str, clip: np.ndarray) -> None:
    after = transcode(clip, name)
    assert after.shape == clip.shape
    low = np.fft.rfft(clip)[:3000], np.fft.rfft(after)[:3000]  # up to 2.4 kHz, which every codec here keeps
    likeness = np.abs(np.vdot(*low)) / np.linalg.norm(low[0]) / np.linalg.norm(low[1])
    assert likeness > 0.8  # Opus at 12 kbit/s rewrites phases; one sample of delay costs more than that
    assert not np.array_equal(after, clip)


def test_a_random_codec_is_repeatable(clip: np.ndarray) -> None:
    first, second = (codec(clip, np.random.default_rng(2)) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("samples", [5_000, 16_000, 40_000])
def test_crop_gives_the_size_asked_for(samples: int) -> None:
    clip = np.arange(1, samples + 1, dtype=np.float32)
    for seed in range(8):
        piece = crop(clip, 16_000, np.random.default_rng(seed))
        assert len(piece) == 16_000
        assert set(piece) <= set(clip) | {0.0}


def test_dynamics_bring_loud_and_soft_speech_together_at_the_same_level() -> None:
    rng = np.random.default_rng(0)
    soft, loud = np.split(rng.normal(0, 0.1, 32_000).astype(np.float32) * np.repeat([0.1, 1.0], 16_000), 2)
    clip = np.concatenate([soft, loud])

    def range_db(samples: np.ndarray) -> float:
        parts = np.split(samples[1_600:-1_600], [14_400])
        return float(20 * np.log10(np.std(parts[1]) / np.std(parts[0])))

    after = [dynamics(clip, np.random.default_rng(seed)) for seed in range(20)]
    assert all(np.std(one) == pytest.approx(np.std(clip), rel=0.01) for one in after)
    assert range_db(clip) == pytest.approx(20, abs=0.5)
    assert np.median([range_db(one) for one in after]) < 15


def test_silence_stays_silent_under_dynamics() -> None:
    assert not dynamics(np.zeros(16_000, np.float32), np.random.default_rng(0)).any()
