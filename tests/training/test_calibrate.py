"""Calibration recovers known log-likelihood ratios and thresholds keep their promised rates."""

from pathlib import Path

import numpy as np
import pytest

from training.calibrate import (
    fit,
    source_shift,
    source_weights,
    threshold_for_false_alarms,
    threshold_for_misses,
)
from training.datasets import Clip
from training.metrics import cllr


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


def test_a_calibration_claims_less_where_sources_differ() -> None:
    rng = np.random.default_rng(0)
    spoof = np.arange(4_000) % 2 == 1
    logit, weight = rng.normal(np.where(spoof, 2.0, -2.0), 1.0), np.full(4_000, 1 / 4_000)
    at_home, abroad = fit(logit, spoof, weight), fit(logit, spoof, weight, shift=1.0)
    assert at_home.scale == pytest.approx(4.0, rel=0.1)  # 2 * 2 / 1, of two Gaussians of one variance
    assert abroad.scale == pytest.approx(2.0, rel=0.15)  # the error adds its variance to the clips'
    moved = logit + rng.normal(0, 1.0, 40)[np.arange(4_000) // 100]  # forty sources
    assert cllr(abroad(moved), spoof) < cllr(at_home(moved), spoof)


def test_the_shift_is_that_of_the_real_sources_means() -> None:
    clips = [
        Clip(
            Path(f"{source}{label}{n}"), label, "-" if label == "bonafide" else "x", "unknown", source, "dev"
        )
        for source in "abc"
        for label in ("bonafide", "spoof")
        for n in range(2)
    ]
    logit = np.array(
        [{"a": 0.0, "b": 1.0, "c": 2.0}[c.source] if c.label == "bonafide" else 9.0 for c in clips]
    )
    assert source_shift(logit, clips) == pytest.approx(1.0)
    assert source_shift(logit[:4], clips[:4]) == 0.0
