"""What the bench makes of its measurements: spreads, ratios, goals, and a page that hides no failure."""

from typing import Any

import pytest

from bench import pages, report
from bench.stats import Goal, percentiles_ms, ratios, spread

FACTS = {
    "machine": {"cpu": "X", "cores": 2, "instructions": [], "python": "3.11", "onnxruntime": "1"},
    "model": {"name": "m.onnx", "size_mb": 1.0, "sha256": "0" * 64},
    "date": "2026-11-24T00:00:00+00:00",
    "took_s": 1.0,
    "load_average": 0.5,
}


def result(**found: Any) -> dict[str, Any]:
    return {**FACTS, "goals": [], **found}


def test_a_spread_is_median_lowest_and_highest() -> None:
    assert spread([3.0, 1.0, 2.0]).as_dict() == {"median": 2.0, "low": 1.0, "high": 3.0, "count": 3}


def test_nothing_measured_is_an_error_not_a_zero() -> None:
    with pytest.raises(ValueError, match="Nothing was measured"):
        spread([])


def test_ratios_are_taken_within_a_turn() -> None:
    """A machine twice as slow in the second turn changes neither ratio."""
    assert ratios(theirs=[10.0, 20.0], ours=[5.0, 10.0]).as_dict()["high"] == 2.0


def test_ratios_refuse_turns_that_do_not_pair() -> None:
    with pytest.raises(ValueError):
        ratios([1.0, 2.0], [1.0])


def test_percentiles_are_in_milliseconds() -> None:
    assert percentiles_ms([0.010] * 99 + [1.0])["p50"] == 10.0


@pytest.mark.parametrize(("at_least", "met"), [(True, False), (False, True)])
def test_a_goal_knows_its_direction(at_least: bool, met: bool) -> None:
    goal = Goal("speed", target=2.0, found=1.0, unit="x", at_least=at_least)
    assert goal.met is met
    assert ("MISSED" in report.goal_line(goal.as_dict())) is not met


def test_the_page_names_a_part_that_failed_and_one_that_was_not_run() -> None:
    text = pages.page({"load": result(error="OSError: no port")}, {}, [])
    assert "Not measured: OSError: no port" in text
    assert "Not measured: this part was not run" in text


def test_the_page_says_that_the_machine_was_busy() -> None:
    busy = {**result(gzipped_mb={"packages": 1.0}), "load_average": 8.0}
    assert "busy with other work" in pages.page({"slug": busy}, {}, [])
    assert "busy" not in pages.page({"slug": result(gzipped_mb={"packages": 1.0})}, {}, [])


def test_the_page_marks_a_goal_that_was_missed() -> None:
    goal = Goal("MB", target=60.0, found=61.0, unit="MB", at_least=False).as_dict()
    text = pages.page({"slug": result(gzipped_mb={"packages": 61.0}, goals=[goal])}, {}, [])
    assert "**61, missed**" in text


def test_the_summary_names_peers_that_did_not_start() -> None:
    text = report.summary({"endtoend": result(missing={"bentoml": "exit code 1"})})
    assert "no bentoml: exit code 1" in text
