"""Spans against spans, on clips short enough to draw on paper."""

import math

import numpy as np
import pytest

from training import localisation


def test_a_cell_is_spoof_when_more_than_half_of_it_is() -> None:
    # Cells of 1 s over 3.5 s; 0.6 s of the second cell and 0.3 s of the last half cell are covered.
    cells = localisation.cells([(1.4, 2.0), (3.2, 3.5)], duration_s=3.5, cell_s=1.0)
    assert cells.tolist() == [False, True, False, True]


def test_a_second_covered_twice_counts_once() -> None:
    assert localisation.cells([(0.0, 0.3), (0.1, 0.4)], 1.0, 1.0).tolist() == [False]
    assert localisation.span_iou([(0, 1), (0.5, 2)], [(0, 2)]) == 1


@pytest.mark.parametrize(("duration_s", "count"), [(0.16, 2), (0.161, 3), (0.08, 1), (0.01, 1), (2.4, 30)])
def test_cells_cover_the_clip_and_no_more(duration_s: float, count: int) -> None:
    assert len(localisation.cells([], duration_s, 0.08)) == count


@pytest.mark.parametrize(
    ("flagged", "true", "iou"),
    [
        ([(1, 3)], [(2, 4)], 1 / 3),
        ([(1, 2)], [(1, 2)], 1),
        ([(1, 2)], [(3, 4)], 0),
        ([], [(3, 4)], 0),
        ([(3, 4)], [], 0),
        ([], [], 1),
        ([(0, 1), (2, 3)], [(0, 3)], 2 / 3),
    ],
)
def test_span_iou(flagged: list[tuple[float, float]], true: list[tuple[float, float]], iou: float) -> None:
    assert localisation.span_iou(flagged, true) == pytest.approx(iou)


def test_frame_f1_pools_clips() -> None:
    # Two hits, one alarm, one miss over both clips: F1 = 4 / (4 + 1 + 1).
    flagged = [np.array([True, True]), np.array([True, False, False])]
    true = [np.array([True, True]), np.array([False, True, False])]
    assert localisation.frame_f1(flagged, true) == pytest.approx(4 / 6)


def test_frame_f1_of_nothing_found_where_nothing_is_has_no_value() -> None:
    assert math.isnan(localisation.frame_f1([np.zeros(3, bool)], [np.zeros(3, bool)]))


def test_a_cell_takes_the_mean_of_the_windows_over_it() -> None:
    windows = [(0.0, 2.0, -2.0), (1.0, 3.0, 4.0)]
    assert localisation.cell_scores(windows, 4.0, 1.0).tolist() == [-2, 1, 4, 4]


def test_segment_eer_pools_clips() -> None:
    scores = [np.array([1.0, 2.0, 3.0, 6.0]), np.array([4.0, 5.0, 7.0, 8.0])]
    assert localisation.segment_eer(scores, [np.zeros(4, bool), np.ones(4, bool)]) == 0.25
