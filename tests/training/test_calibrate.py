"""Calibration recovers known log-likelihood ratios and thresholds keep their promised rates."""

from pathlib import Path

import numpy as np
import pytest

from training.calibrate import (
    fit,
    source_weights,
    threshold_for_false_alarms,
    threshold_for_misses,
)
from training.datasets import Clip


@pytest.fixture
def gaussians() -> tuple[np.ndarray, np.ndarray]:
    """LLRs as they are when both classes are Gaussian: means -d/2 and d/2, variance d."""
    rng = np.random.default_rng(0)
    spoof = np.arange(40_000) % 2 == 1
    return np.where(spoof, 2.0, -2.0) + 2.0 * rng.standard_normal(40_000), spoof


def test_fit_undoes_a_known_distortion(gaussians: tuple[np.ndarray, np.ndarray]) -> None:
    llr, spoof = gaussians
    found = fit(0.2 * llr + 7, spoof, np.full(len(llr), 1 / len(llr)))
    assert found.scale == pytest.approx(5, rel=0.05)
    assert found.offset == pytest.approx(-35, rel=0.05)


def test_fit_never_turns_the_ranking_round() -> None:
    rng = np.random.default_rng(1)
    spoof = np.arange(200) % 2 == 1
    assert fit(rng.standard_normal(200) - spoof, spoof, np.full(200, 1 / 200)).scale > 0


def test_separated_clips_do_not_make_llrs_without_bound() -> None:
    spoof = np.arange(200) % 2 == 1
    found = fit(np.where(spoof, 5.0, -5.0), spoof, np.full(200, 1 / 200))
    assert 4 < found(np.array([5.0]))[0] < 8


def test_thresholds_keep_their_rates(gaussians: tuple[np.ndarray, np.ndarray]) -> None:
    llr, spoof = gaussians
    high, low = threshold_for_false_alarms(llr, spoof, 0.03), threshold_for_misses(llr, spoof, 0.05)
    assert np.mean(llr[~spoof] >= high) == pytest.approx(0.03, abs=0.002)
    assert np.mean(llr[spoof] < low) == pytest.approx(0.05, abs=0.002)
    assert low <= 0 <= high


def test_each_label_weighs_the_same_whatever_its_count() -> None:
    clips = [Clip(Path("r"), "bonafide", source="a")] * 5 + [Clip(Path("s"), "spoof", attack="x")] * 95
    weights = source_weights(clips)
    assert weights[:5].sum() == pytest.approx(0.5) and weights[5:].sum() == pytest.approx(0.5)
