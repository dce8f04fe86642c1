"""Stretches of one origin are found, say one thing each, and a cut alone says nothing."""

import tracemalloc

import numpy as np
import pytest

from serving import segments
from serving.detector import Scores
from serving.segments import REACH, changes, cuts, evidence

RATE, FRAME, WINDOW = 16_000, 640, 30_720
A, B = np.array([0.0, 0.0, 0.0]), np.array([2.0, -1.0, 1.0])  # origins that are far apart
SIDE, APART = 16, 8


def scored(
    parts: list[tuple[np.ndarray, int, float]],
    windows: float | None = None,
    noise: float = 0.15,
    seed: int = 0,
) -> Scores:
    """Stretches as (origin, frames, LLR) -> noisy frames and origins; windows side by side, the last one at
    the clip's end, say the mean of their frames, or all the same.
    """
    rng = np.random.default_rng(seed)
    llr = np.concatenate([np.full(count, value) for _, count, value in parts])
    frames = (llr + rng.normal(0, noise, len(llr))).astype(np.float32)
    origin = np.concatenate([np.tile(where, (count, 1)) for where, count, _ in parts])
    origin = (origin + rng.normal(0, 2 * noise, origin.shape)).astype(np.float16)
    size, total = WINDOW // FRAME, len(llr) * FRAME
    starts = np.arange(0, max(1, len(llr) - size + 1), size)
    if starts[-1] + size < len(llr):
        starts = np.append(starts, len(llr) - size)
    said = np.array(
        [frames[at : at + size].mean() if windows is None else windows for at in starts], np.float32
    )
    return Scores(starts * FRAME, said, frames, total, origin=origin)


def curve(scores: Scores) -> np.ndarray:
    return evidence(scores, WINDOW, FRAME, RATE)


def test_an_insert_is_found_with_sharp_edges_and_what_surrounds_it_speaks_as_one() -> None:
    found = curve(scored([(A, 60, -3.0), (B, 25, 3.0), (A, 40, -1.0)]))
    edges = np.flatnonzero(np.abs(np.diff(found)) > 1) + 1
    assert np.abs(edges - [60, 85]).max() <= 2
    # Before and after it the same voice speaks: -3 over 60 frames and -1 over 40.
    np.testing.assert_allclose(found[[0, 30, 100, 124]], -2.2, atol=0.3)
    assert found[72] == pytest.approx(3.0, abs=0.4)


def test_a_cut_between_two_of_one_label_is_no_evidence() -> None:
    found = curve(scored([(A, 60, -2.0), (B, 25, -2.0), (A, 40, -2.0)]))
    np.testing.assert_allclose(found, -2.0, atol=0.15)


def test_a_clip_of_one_origin_says_one_thing() -> None:
    scores = scored([(A, 50, -2.0), (A, 40, 2.0)])
    found = curve(scores)
    assert np.ptp(found) < 0.2
    assert scores.frame_llr is not None
    assert found.mean() == pytest.approx(scores.frame_llr.mean(), abs=0.25)


def test_a_window_that_hears_one_origin_joins_its_frames_and_one_that_hears_two_does_not() -> None:
    alone = curve(scored([(A, 48, 0.0)], windows=8.0))
    np.testing.assert_allclose(alone, 4.0, atol=0.2)  # half and half
    mixed = curve(scored([(A, 24, 0.0), (B, 24, 0.0)], windows=8.0))
    np.testing.assert_allclose(mixed, 0.0, atol=0.2)


def test_what_lies_too_far_off_is_not_asked() -> None:
    parts = [(A, 20, 4.0)]
    for _ in range(REACH + 2):
        parts += [(B, 20, 0.0), (A, 20, 0.0)]
    scores = scored(parts, noise=0.05)
    found = curve(scores)
    first, last = found[:15].mean(), found[-15:].mean()
    assert 0.05 < first < 1.0  # the mean of all stretches like it within reach
    assert abs(last) < 0.05


def test_a_cut_lies_between_unlike_sides_and_never_near_another() -> None:
    scores = scored([(A, 60, 0.0), (B, 25, 0.0), (A, 40, 0.0)])
    assert scores.origin is not None
    change = changes(scores.origin, SIDE)
    assert len(change) == len(scores.origin) - 1
    assert abs(int(np.argmax(change)) + 1 - 60) <= 1 or abs(int(np.argmax(change)) + 1 - 85) <= 1
    noise = np.random.default_rng(1).normal(0, 3, (2000, 3)).astype(np.float16)
    found = cuts(noise, SIDE, APART)
    assert len(found) > 20 and np.diff(found).min() >= APART
    assert len(noise) - found[-1] >= APART


def test_changes_are_the_same_whatever_is_looked_at_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = np.random.default_rng(2).normal(0, 1, (300, 4)).astype(np.float16)
    whole = changes(origin, SIDE)
    monkeypatch.setattr(segments, "BLOCK", 37)
    np.testing.assert_allclose(changes(origin, SIDE), whole, atol=1e-12)


@pytest.mark.parametrize("frames", [1, 2, 7, 16, 17, 49])
def test_clips_of_any_length_have_evidence(frames: int) -> None:
    found = curve(scored([(A, frames, 1.0)]))
    assert found.shape == (frames,)
    np.testing.assert_allclose(found, 1.0, atol=0.5)


def test_five_hours_take_little_more_than_the_answer() -> None:
    count = 5 * 3600 * RATE // FRAME
    scores = scored([(where, 50, 0.0) for where in (A, B)] * (count // 100))
    tracemalloc.start()
    try:
        found = curve(scores)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * found.nbytes


def test_scores_without_origins_are_refused() -> None:
    with pytest.raises(ValueError, match="origin"):
        curve(Scores(np.zeros(1, np.int64), np.zeros(1, np.float32), np.zeros(48, np.float32), WINDOW))
