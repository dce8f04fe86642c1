"""What dev's real clips say of spans: how high they must be, and how that rises with the length of a clip."""

import numpy as np
import pytest

from training.outcome import CONTROL_RATE, span_rule

FALL_OFF = 0.7  # LLR in which the share of peaks falls to 1/e


@pytest.fixture
def peaks() -> np.ndarray:
    return 1 + np.random.default_rng(0).exponential(FALL_OFF, 20_000)


def rule_of(peaks: np.ndarray) -> dict[str, float]:
    """Of real clips whose frames all have one value, between spoofs that must not count."""
    frames = [np.full(20, peak) for peak in [*peaks, 50.0, 60.0]]
    return span_rule(frames, np.array([True] * len(peaks) + [False, False]))


def test_a_longer_real_clip_is_no_more_likely_to_show_a_span(peaks: np.ndarray) -> None:
    rule = rule_of(peaks)
    assert rule["rise"] == pytest.approx(FALL_OFF, rel=0.1)
    for parts in (1, 10, 100):
        longer = peaks.reshape(-1, parts).max(axis=1)
        share = float(np.mean(longer >= rule["threshold"] + rule["rise"] * np.log(parts)))
        assert CONTROL_RATE / 2 < share < 2 * CONTROL_RATE


def test_a_span_never_needs_less_than_even_odds(peaks: np.ndarray) -> None:
    assert rule_of(peaks - 20)["threshold"] == 0
