"""Window scores -> verdict, worked by hand."""

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from serving.activity import FRAME_SAMPLES, Activity
from serving.detector import Scores
from serving.manifest import Manifest
from serving.sections import Sections
from serving.stretches import Stretches
from serving.verdict import decide, smooth
from tests.serving.conftest import ALL_SPEECH, FRAME, HOP, MANIFEST, SAMPLE_RATE, WINDOW


def scores_of(window_llr: list[float], frame_llr: list[float] | None = None) -> Scores:
    llr = np.array(window_llr, np.float32)
    frames = None if frame_llr is None else np.array(frame_llr, np.float32)
    return plain(HOP * np.arange(len(llr)), llr, frames, WINDOW + HOP * (len(llr) - 1))


def plain(
    starts: np.ndarray,
    llr: np.ndarray,
    frames: np.ndarray | None,
    total: int,
    sections: Sections | None = None,
) -> Scores:
    """Of a clip that is speech throughout."""
    return Scores(starts, llr, frames, np.ones(len(llr)), ALL_SPEECH, total, None, sections)


def with_span(**rule: float) -> Manifest:
    return replace(MANIFEST, span={**MANIFEST.span, **rule})


@pytest.mark.parametrize(
    ("llr", "verdict"),
    [(-0.6, "real"), (-0.5, "inconclusive"), (0.0, "inconclusive"), (0.5, "inconclusive"), (0.6, "fake")],
)
def test_the_zone_around_the_threshold_is_inconclusive(llr: float, verdict: str) -> None:
    assert decide(scores_of([llr, llr]), MANIFEST).verdict == verdict


def test_without_a_zone_the_threshold_itself_is_fake() -> None:
    manifest = replace(MANIFEST, inconclusive=[0.0, 0.0])
    assert decide(scores_of([0.0]), manifest).verdict == "fake"
    assert decide(scores_of([-0.001]), manifest).verdict == "real"


def test_probability_is_the_sigmoid_of_llr_and_prior() -> None:
    verdict = decide(scores_of([2.0]), replace(MANIFEST, prior_log_odds=-1.0))
    assert verdict.probability == pytest.approx(1 / (1 + np.exp(-1.0)), abs=1e-6)
    assert decide(scores_of([5_000.0]), MANIFEST).probability == 1.0
    assert decide(scores_of([-5_000.0]), MANIFEST).probability == 0.0


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"kind": "mean"}, 1.0),
        ({"kind": "top_mean", "share": 0.3}, 3.5),
        ({"kind": "top_mean", "share": 0.01}, 4.0),
    ],
)
def test_pooling(pooling: dict[str, Any], expected: float) -> None:
    verdict = decide(scores_of([0.0, 4.0, -3.0, 3.0, 1.0]), replace(MANIFEST, pooling=pooling))
    assert verdict.llr == pytest.approx(expected)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"kind": "mean"}, 1.75),
        ({"kind": "top_mean", "share": 0.5}, 3.5),
    ],
)
def test_windows_count_by_their_speech(pooling: dict[str, Any], expected: float) -> None:
    scores = replace(scores_of([-9.0, 3.0, 0.0, 4.0]), window_speech=np.array([0.0, 0.5, 1.0, 0.5]))
    assert decide(scores, replace(MANIFEST, pooling=pooling)).llr == pytest.approx(expected)


def silent_from(second: float, total_s: float) -> Activity:
    frames = round(total_s * SAMPLE_RATE / FRAME_SAMPLES)
    return Activity(np.arange(frames) < round(second * SAMPLE_RATE / FRAME_SAMPLES))


def test_frames_of_silence_say_nothing_and_leave_their_neighbours_as_they_are() -> None:
    count = round(3 * SAMPLE_RATE / FRAME)
    frames = [2.0] * (count // 2) + [-9.0] * (count - count // 2)
    scores = replace(scores_of([0.0] * 9, frames), activity=silent_from(1.5, 3.0))
    found = decide(scores, replace(with_span(smooth_s=0.6), frame_hop_samples=FRAME)).map.llr
    np.testing.assert_allclose(found[:9], 2.0, atol=0.4)
    np.testing.assert_allclose(found[-6:], 0.0, atol=1e-6)


def test_where_only_silent_windows_reach_the_map_is_0() -> None:
    llr = [2.0] * 5 + [-9.0] * 8
    scores = replace(scores_of(llr), window_speech=np.array([1.0] * 5 + [0.0] * 8))
    found = decide(scores, MANIFEST).map.llr  # a hop of 0.25 s each
    np.testing.assert_allclose(found[:8], 2.0)
    np.testing.assert_array_equal(found[8:], 0.0)


def test_windows_end_with_the_clip() -> None:
    short = plain(np.array([0]), np.array([1.0], np.float32), None, WINDOW // 2)
    verdict = decide(short, MANIFEST)
    assert verdict.duration_s == 0.5
    assert verdict.windows[0][:2] == (0.0, 0.5)


def test_a_flagged_stretch_becomes_a_span() -> None:
    # Hops of 0.25 s, windows of 1 s: cell c is covered by windows c-3 to c.
    verdict = decide(scores_of([-2.0] * 8 + [2.0] * 8 + [-2.0] * 8), MANIFEST)
    assert [(span.start_s, span.end_s) for span in verdict.spans] == [(2.25, 4.5)]
    # Cells 9 to 17 are at 0, 1, 2 (five times), 1, 0.
    assert verdict.spans[0].llr == pytest.approx((1 + 2 * 5 + 1) / 9, abs=1e-5)


def test_nothing_flagged_gives_no_span_and_all_flagged_one() -> None:
    assert decide(scores_of([-1.0] * 5), MANIFEST).spans == Stretches()
    spans = decide(scores_of([1.0] * 5), MANIFEST).spans
    assert [(span.start_s, span.end_s) for span in spans] == [(0.0, 2.0)]


def test_a_clip_shorter_than_the_shortest_span_can_be_flagged() -> None:
    short = plain(np.array([0]), np.array([1.0], np.float32), None, SAMPLE_RATE // 2)
    assert len(decide(short, with_span(min_s=3.0)).spans) == 1


def frames_of(*runs: tuple[float, float]) -> list[float]:
    """(LLR, seconds)... -> frames."""
    return [llr for llr, seconds in runs for _ in range(round(seconds * SAMPLE_RATE / FRAME))]


def spans_by_frames(
    rule: dict[str, float], *runs: tuple[float, float], clip: float = 0.0
) -> list[tuple[float, float]]:
    """(start_s, end_s)... of a clip whose windows all have the LLR `clip`."""
    manifest = replace(with_span(smooth_s=0.0, **rule), frame_hop_samples=FRAME)
    frames = frames_of(*runs)
    windows = 1 + (len(frames) * FRAME - WINDOW) // HOP
    found = decide(scores_of([clip] * windows, frames), manifest).spans
    return [(span.start_s, span.end_s) for span in found]


def test_frames_place_spans_more_finely_than_windows() -> None:
    assert spans_by_frames({}, (-1, 1.1), (1, 0.65), (-1, 0.75)) == [(1.1, 1.75)]


def test_short_gaps_are_closed_and_long_ones_are_not() -> None:
    assert spans_by_frames({"gap_s": 0.3}, (1, 0.7), (-1, 0.3), (1, 0.75)) == [(0.0, 1.75)]
    assert spans_by_frames({"gap_s": 0.25}, (1, 0.7), (-1, 0.3), (1, 0.75)) == [(0.0, 0.7), (1.0, 1.75)]


def test_spans_below_the_shortest_are_dropped() -> None:
    assert spans_by_frames({"min_s": 0.5}, (1, 0.45), (-1, 0.5), (1, 0.5), (-1, 0.3)) == [(0.95, 1.45)]


STRONG = {"threshold": 2.0, "grow": 0.0, "min_s": 0.2}
HILL = ((-1, 0.4), (1, 0.3), (3, 0.3), (1, 0.3), (-1, 0.4), (1, 0.3))  # the last part never gets strong


def test_in_a_longer_clip_a_span_has_to_be_stronger() -> None:
    def found(llr: float, length_s: float) -> int:
        rule = STRONG | {"rise": 1.0}  # 2 up to 10 s, 3 at 27.2 s
        return len(spans_by_frames(rule, (-1, 3.0), (llr, 1.0), (-1, length_s - 4.0)))

    assert [found(2.9, 5.0), found(2.1, 10.0), found(2.9, 27.5), found(3.1, 27.0)] == [1, 1, 0, 1]


@pytest.mark.parametrize(("beside", "found"), [(-0.5, []), (-9.0, [(0.4, 1.4)])])
def test_a_section_far_above_the_rest_of_its_recording_is_a_span_where_another_is_none(
    beside: float, found: list[tuple[float, float]]
) -> None:
    """It says 1.5 of the 2.0 that are asked."""
    manifest = replace(with_span(smooth_s=0.0, **STRONG), frame_hop_samples=FRAME)
    lengths = np.array([round(seconds * SAMPLE_RATE / FRAME) for seconds in (0.4, 1.0, 1.6)])
    origins, llr = np.array([[0.0], [9.0], [0.0]]), np.array([beside, 1.5, beside])
    sections = Sections(
        lengths, lengths.astype(float), origins, llr, reach=10_000, settled=int(lengths[0] + lengths[2])
    )
    frames = np.repeat(llr, lengths).astype(np.float32)
    windows = np.zeros(1 + (len(frames) * FRAME - WINDOW) // HOP, np.float32)
    starts = HOP * np.arange(len(windows))
    spans = decide(plain(starts, windows, frames, len(frames) * FRAME, sections), manifest).spans
    assert [(span.start_s, span.end_s) for span in spans] == found


def test_a_span_grows_from_where_it_is_strong_to_where_spoof_is_the_likelier() -> None:
    assert spans_by_frames(STRONG, *HILL) == [(0.4, 1.3)]
    assert spans_by_frames(STRONG | {"grow": 2.0}, *HILL) == [(0.7, 1.0)]


def test_in_a_fake_clip_every_stretch_where_spoof_is_the_likelier_is_shown() -> None:
    assert spans_by_frames(STRONG, *HILL, clip=0.6) == [(0.4, 1.3), (1.7, 2.0)]


def test_no_strong_stretch_is_no_span() -> None:
    assert spans_by_frames(STRONG, (-1, 0.5), (1, 1.5)) == []


def test_smoothing_keeps_constants_and_length() -> None:
    np.testing.assert_allclose(smooth(np.full(9, 2.0), 4), 2.0)
    np.testing.assert_allclose(smooth(np.array([0.0, 3.0, 0.0]), 3), [1.5, 1.0, 1.5])
    np.testing.assert_allclose(smooth(np.array([0.0, 3.0]), 1), [0.0, 3.0])


@pytest.mark.parametrize("count", [1, 2, 5, 8, 9, 40])
@pytest.mark.parametrize("width", [2, 7, 15])
def test_smoothing_is_the_mean_of_the_neighbours_there_are(count: int, width: int) -> None:
    values = np.random.default_rng(count).normal(size=count)
    half = width // 2
    expected = [values[max(0, i - half) : i + half + 1].mean() for i in range(count)]
    np.testing.assert_allclose(smooth(values, width), expected, atol=1e-12)


def test_smoothing_five_hours_takes_little_more_than_the_frames() -> None:
    frames = np.zeros(5 * 3600 * 25)
    tracemalloc.start()
    try:
        smooth(frames, 15)
        assert tracemalloc.get_traced_memory()[1] < 2.5 * frames.nbytes
    finally:
        tracemalloc.stop()


def test_no_window_is_no_verdict() -> None:
    with pytest.raises(ValueError, match="no window"):
        decide(plain(np.zeros(0, np.int64), np.zeros(0, np.float32), None, 0), MANIFEST)


def test_an_hour_of_windows_is_decided_at_once() -> None:
    verdict = decide(scores_of([-1.0] * 14_397), MANIFEST)
    assert len(verdict.windows) == 14_397
    assert verdict.windows[-1].end_s == 3600.0


def test_the_map_is_the_mean_llr_over_even_cells() -> None:
    frames = [float(k) for k in range(int(WINDOW / FRAME))]
    verdict = decide(scores_of([0.0], frames), replace(with_span(smooth_s=0.0), frame_hop_samples=FRAME))
    group = round(verdict.map.step_s * SAMPLE_RATE / FRAME)
    assert verdict.map.llr[0] == pytest.approx(np.mean(frames[:group]), abs=1e-3)
    last = frames[group * (len(verdict.map.llr) - 1) :]
    assert verdict.map.llr[-1] == pytest.approx(np.mean(last), abs=1e-3)
    assert len(verdict.map.llr) == len(verdict.map.probability) == -(-len(frames) // group)
