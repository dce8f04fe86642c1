"""Metrics against examples small enough to check by hand, and properties that hold for any scores."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import metrics

# Bona fide 1, 2, 3, 6; spoof 4, 5, 7, 8. At threshold 5 one of four spoofs is missed, one bona fide flagged.
SCORES = [1.0, 2.0, 3.0, 6.0, 4.0, 5.0, 7.0, 8.0]
SPOOF = [False, False, False, False, True, True, True, True]

trials = st.lists(st.tuples(st.integers(-20, 20), st.booleans()), min_size=2, max_size=60).filter(
    lambda rows: len({spoof for _, spoof in rows}) == 2
)


def split(rows: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([score for score, _ in rows], float), np.array([spoof for _, spoof in rows])


def test_eer_of_the_worked_example_is_a_quarter() -> None:
    assert metrics.eer(SCORES, SPOOF) == 0.25


def test_auc_of_the_worked_example_is_fourteen_of_sixteen_pairs() -> None:
    assert metrics.auc(SCORES, SPOOF) == 14 / 16


def test_scores_rise_with_spoof() -> None:
    assert metrics.eer([0, 1], [False, True]) == 0
    assert metrics.eer([1, 0], [False, True]) == 1
    assert metrics.auc([0, 1], [False, True]) == 1
    assert metrics.auc([1, 0], [False, True]) == 0


def test_equal_scores_are_worth_a_coin() -> None:
    assert metrics.auc([1, 1, 1], [True, False, False]) == 0.5
    assert metrics.eer([1, 1, 1], [True, False, False]) == 0.5


def test_det_points_of_the_worked_example() -> None:
    curve = metrics.det(SCORES, SPOOF)
    assert curve.thresholds.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, math.inf]
    assert curve.miss.tolist() == [0, 0, 0, 0, 0.25, 0.5, 0.5, 0.75, 1]
    assert curve.false_alarm.tolist() == [1, 0.75, 0.5, 0.25, 0.25, 0.25, 0, 0, 0]


def test_costs_are_those_of_asvspoof_5() -> None:
    costs = (metrics.COST_REFUSED, metrics.COST_ACCEPTED, metrics.BAYES_THRESHOLD)
    assert costs == pytest.approx((0.95, 0.5, math.log(1.9)))


def test_min_dcf_of_the_worked_example() -> None:
    # Threshold 4: 0.95 * 0.25 + 0.5 * 0 = 0.2375; threshold 7: 0.95 * 0 + 0.5 * 0.5 = 0.25; over 0.5.
    assert metrics.min_dcf(SCORES, SPOOF) == pytest.approx(0.2375 / 0.5)


def test_min_dcf_weighs_a_refused_voice_and_an_accepted_fake_as_defined() -> None:
    # One of two bona fide clips above every spoof: refuse it (0.95 * 0.5) or accept all spoofs (0.5).
    assert metrics.min_dcf([0, 5, 1, 2], [False, False, True, True]) == pytest.approx(0.475 / 0.5)


def test_act_dcf_uses_the_bayes_threshold_and_not_the_best() -> None:
    # Perfect ranking, but the spoof LLR of 0.6 lies under log 1.9 = 0.642 and is accepted.
    assert metrics.min_dcf([-1, 0.6], [False, True]) == 0
    assert metrics.act_dcf([-1, 0.6], [False, True]) == 1
    assert metrics.act_dcf([-1, 0.7], [False, True]) == 0
    assert metrics.act_dcf([0.7, 0.8], [False, True]) == pytest.approx(0.95 / 0.5)


def test_cllr_by_hand() -> None:
    assert metrics.cllr([0, 0], [True, False]) == pytest.approx(1)
    # LLR log 3 on spoof and log 1/3 on bona fide: log2(1 + 1/3) on each side.
    assert metrics.cllr([math.log(3), -math.log(3)], [True, False]) == pytest.approx(math.log2(4 / 3))
    # Confident and wrong costs more than saying nothing.
    assert metrics.cllr([-5, 5], [True, False]) > 5


def test_min_cllr_by_hand() -> None:
    # Bona fide 0, spoof 1 and again 0, 1 above: the middle pair violates the order and pools to one half.
    # Blocks: {0} pure bona fide, {spoof, bona fide} at 1/2 = LLR 0 costing 1 bit each, {spoof} pure.
    scores, spoof = [0, 1, 2, 3], [False, True, False, True]
    assert metrics.isotonic(scores, spoof).tolist() == [0, 0.5, 0.5, 1]
    assert metrics.min_cllr(scores, spoof) == pytest.approx(0.5)


@given(trials)
def test_calibration_cannot_beat_the_best_calibration(rows: list[tuple[int, bool]]) -> None:
    scores, spoof = split(rows)
    assert metrics.min_cllr(scores, spoof) <= metrics.cllr(scores, spoof) + 1e-9
    assert metrics.min_dcf(scores, spoof) <= metrics.act_dcf(scores, spoof) + 1e-9


@given(trials)
def test_ranking_metrics_ignore_a_rising_map(rows: list[tuple[int, bool]]) -> None:
    scores, spoof = split(rows)
    for metric in (metrics.eer, metrics.auc, metrics.min_dcf, metrics.min_cllr):
        assert metric(np.exp(scores / 7) * 3 - 2, spoof) == pytest.approx(metric(scores, spoof))


@given(trials)
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[int, bool]]) -> None:
    scores, spoof = split(rows)
    pairs = [float(s > b) + 0.5 * float(s == b) for s in scores[spoof] for b in scores[~spoof]]
    assert metrics.auc(scores, spoof) == pytest.approx(np.mean(pairs))


@given(trials)
def test_turning_scores_and_labels_round_changes_no_eer(rows: list[tuple[int, bool]]) -> None:
    scores, spoof = split(rows)
    assert metrics.eer(-scores, ~spoof) == pytest.approx(metrics.eer(scores, spoof))


def test_decisions_by_hand() -> None:
    rates = metrics.decisions(SCORES, SPOOF, 4.5)
    assert (rates.accuracy, rates.precision, rates.recall, rates.f1) == (0.75, 0.75, 0.75, 0.75)
    assert (rates.miss, rates.false_alarm) == (0.25, 0.25)


def test_a_score_on_the_threshold_is_called_spoof_as_serving_calls_it() -> None:
    assert metrics.decisions([1.0], [True], 1.0).miss == 0


@given(trials)
def test_det_points_are_the_decisions_at_their_thresholds(rows: list[tuple[int, bool]]) -> None:
    scores, spoof = split(rows)
    curve = metrics.det(scores, spoof)
    for threshold, miss, false_alarm in zip(curve.thresholds, curve.miss, curve.false_alarm, strict=True):
        rates = metrics.decisions(scores, spoof, threshold)
        assert (rates.miss, rates.false_alarm) == pytest.approx((miss, false_alarm))


def test_rates_without_trials_are_nan() -> None:
    rates = metrics.decisions([0.0], [False], 1.0)
    assert rates.accuracy == 1
    assert all(math.isnan(value) for value in (rates.precision, rates.recall, rates.f1, rates.miss))


@pytest.mark.parametrize(
    ("scores", "spoof", "complaint"),
    [
        ([1, 2], [True], "2 scores for 1 labels"),
        ([1, math.nan], [True, False], "1 scores are nan"),
        ([1, 2], [True, True], "of one class"),
        ([], [], "of one class"),
    ],
)
def test_trials_that_no_metric_can_judge_are_refused(
    scores: list[float], spoof: list[bool], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        metrics.eer(scores, spoof)


def test_inputs_are_left_as_they_were() -> None:
    scores, spoof = np.array(SCORES), np.array(SPOOF)
    for metric in (
        metrics.eer,
        metrics.auc,
        metrics.min_dcf,
        metrics.act_dcf,
        metrics.cllr,
        metrics.min_cllr,
    ):
        metric(scores, spoof)
    assert scores.tolist() == SCORES
    assert spoof.tolist() == SPOOF


def noisy(seed: int, gap: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    spoof = np.arange(400) % 2 == 0
    return rng.normal(size=400) + gap * spoof, spoof


def test_the_bootstrap_interval_holds_the_figure_and_repeats_with_its_seed() -> None:
    scores, spoof = noisy(1, 1.5)
    first = metrics.bootstrap(scores, spoof, metrics.auc, seed=3, draws=200)
    assert first == metrics.bootstrap(scores, spoof, metrics.auc, seed=3, draws=200)
    assert first.low < first.value < first.high
    assert 0.02 < first.high - first.low < 0.12


def test_a_paired_difference_sees_what_two_intervals_do_not() -> None:
    worse, spoof = noisy(1, 1.5)
    better = worse + 0.15 * spoof
    gap = metrics.bootstrap_difference(better, worse, spoof, metrics.auc, seed=3, draws=200)
    assert gap.low > 0
    alone = [metrics.bootstrap(scores, spoof, metrics.auc, seed=3, draws=200) for scores in (better, worse)]
    assert alone[0].low < alone[1].high


def test_a_system_does_not_differ_from_itself() -> None:
    scores, spoof = noisy(1, 1.0)
    gap = metrics.bootstrap_difference(scores, scores, spoof, metrics.eer, seed=0, draws=50)
    assert (gap.value, gap.low, gap.high) == (0, 0, 0)


def test_clips_of_few_groups_leave_a_wider_interval() -> None:
    """Ten copies of each clip are no more evidence than the clip."""
    scores, spoof = noisy(1, 1.5)
    rows = np.repeat(np.arange(40), 10)
    clips = metrics.bootstrap(scores[rows], spoof[rows], metrics.auc, seed=3, draws=200)
    groups = metrics.bootstrap(
        scores[rows], spoof[rows], metrics.auc, seed=3, draws=200, groups=[str(row) for row in rows]
    )
    once = metrics.bootstrap(scores[:40], spoof[:40], metrics.auc, seed=4, draws=200)
    assert groups.value == clips.value
    assert groups.high - groups.low > 2 * (clips.high - clips.low)
    assert groups.high - groups.low == pytest.approx(once.high - once.low, rel=0.3)
