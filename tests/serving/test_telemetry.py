"""Counters of several processes are one set of totals, in Prometheus' format."""

import os

import pytest

from serving import telemetry
from serving.telemetry import METRICS, Board, Metric


def value_of(text: str, series: str) -> float:
    return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(series + " "))


def test_counts_of_a_forked_worker_are_seen_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_row", 0)
    board = Board()
    board.add("bonafide_detections_total", label="fake")
    child = os.fork()
    if child == 0:
        telemetry.claim_row(1)
        board.add("bonafide_detections_total", label="fake")
        board.add("bonafide_in_flight")
        os._exit(0)
    os.waitpid(child, 0)
    text = board.render()
    assert value_of(text, 'bonafide_detections_total{outcome="fake"}') == 2
    assert value_of(text, "bonafide_in_flight") == 1
    monkeypatch.setattr(telemetry, "_row", 1)  # the worker that takes the dead one's place
    board.clear_gauges()
    assert value_of(board.render(), "bonafide_in_flight") == 0
    assert value_of(board.render(), 'bonafide_detections_total{outcome="fake"}') == 2


def test_a_histogram_counts_each_value_once_and_up() -> None:
    board = Board((Metric("seconds", "histogram", "Time.", buckets=(0.1, 1.0)),))
    for value in (0.1, 0.5, 0.5, 7.0):
        board.observe("seconds", value)
    text = board.render()
    assert [value_of(text, f'seconds_bucket{{le="{bound}"}}') for bound in ("0.1", "1", "+Inf")] == [1, 3, 4]
    assert value_of(text, "seconds_sum") == pytest.approx(8.1)
    assert value_of(text, "seconds_count") == 4


def test_a_label_that_is_not_listed_makes_no_series() -> None:
    board = Board()
    board.add("bonafide_detections_total", label='made up"}')
    assert "made up" not in board.render()
    assert value_of(board.render(), 'bonafide_detections_total{outcome="other"}') == 1


def test_every_metric_has_help_and_type() -> None:
    text = Board().render(["last 1"])
    for metric in METRICS:
        assert f"# TYPE {metric.name} {metric.kind}\n" in text
        assert f"# HELP {metric.name} " in text
    assert text.endswith("last 1\n")
