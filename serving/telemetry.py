"""Counters of all workers -> Prometheus text.

The counters lie in one piece of shared memory, made before the workers are forked: a row a worker, so
that none waits for another, and a column a time series. Whichever worker is asked gives the sum over all.
A worker that takes over the row of a dead one counts on from there, so no total ever falls.
"""

import mmap
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

ROWS = 64  # workers alive at once
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
OUTCOMES = (
    *(
        "real",
        "fake",
        "inconclusive",
        "no_speech",
        "not_audio",
        "unsupported_format",
        "empty",
        "truncated",
        "joined",
        "too_short",
    ),
    *("too_long", "too_large", "silent", "not_finite", "unsupported_rate", "too_many_channels"),
    *("decoder_failed", "overloaded", "model_unavailable", "bad_request", "internal_error", "other"),
)


@dataclass(frozen=True)
class Metric:
    name: str
    kind: str  # counter, gauge or histogram
    help: str
    label: str = ""
    values: tuple[str, ...] = ("",)  # of the label; fixed, so that no request can add a series
    buckets: tuple[float, ...] = ()

    def columns(self) -> int:
        return len(self.buckets) + 2 if self.kind == "histogram" else len(self.values)  # + count, + sum


METRICS = (
    Metric("bonafide_detections_total", "counter", "Answers of POST /api/detect.", "outcome", OUTCOMES),
    Metric("bonafide_detect_seconds", "histogram", "From request to answer, scored clips.", buckets=SECONDS),
    Metric("bonafide_scoring_seconds_total", "counter", "Time in decoder, model and verdict."),
    Metric("bonafide_audio_seconds_total", "counter", "Length of the clips scored."),
    Metric("bonafide_windows_total", "counter", "Windows scored."),
    Metric("bonafide_upload_bytes_total", "counter", "Bytes of the clips received."),
    Metric("bonafide_in_flight", "gauge", "Clips received and not yet answered."),
)

_row = 0


def claim_row(row: int) -> None:
    """Count in this row from now on; called in a worker after the fork, with a number no live worker has."""
    global _row
    _row = row % ROWS


def current_row() -> int:
    """The row that this process counts in."""
    return _row


class Board:
    """The counters. Make it before forking."""

    def __init__(self, metrics: tuple[Metric, ...] = METRICS) -> None:
        self._metrics = metrics
        self._first: dict[str, int] = {}
        count = 0
        for metric in metrics:
            self._first[metric.name] = count
            count += metric.columns()
        self._memory = mmap.mmap(-1, ROWS * count * 8)  # anonymous and shared with forked children
        self._cells = np.frombuffer(self._memory, np.float64).reshape(ROWS, count)
        self._kinds = {metric.name: metric for metric in metrics}
        self._lock = threading.Lock()

    def add(self, name: str, amount: float = 1.0, label: str = "") -> None:
        """Add to a counter or gauge; a label value that is not listed counts as "other"."""
        values = self._kinds[name].values
        index = values.index(label) if label in values else values.index("other")
        with self._lock:
            self._cells[_row, self._first[name] + index] += amount

    def observe(self, name: str, value: float) -> None:
        """Add to a histogram."""
        first, buckets = self._first[name], self._kinds[name].buckets
        bucket = int(np.searchsorted(buckets, value))  # first bucket with value <= its bound
        with self._lock:
            if bucket < len(buckets):
                self._cells[_row, first + bucket] += 1
            self._cells[_row, first + len(buckets)] += 1
            self._cells[_row, first + len(buckets) + 1] += value

    def clear_gauges(self) -> None:
        """Forget what a dead worker left in this row's gauges."""
        for metric in self._metrics:
            if metric.kind == "gauge":
                first = self._first[metric.name]
                self._cells[_row, first : first + metric.columns()] = 0

    def clear(self, names: Iterable[str]) -> None:
        """Start these metrics anew, in this worker's row."""
        with self._lock:
            for name in names:
                first = self._first[name]
                self._cells[_row, first : first + self._kinds[name].columns()] = 0

    def totals(self, name: str) -> list[float]:
        """The columns of one metric over all workers: by label, or a histogram's buckets, count and sum."""
        first = self._first[name]
        found: list[float] = self._cells[:, first : first + self._kinds[name].columns()].sum(axis=0).tolist()
        return found

    def render(self, extra: Iterable[str] = ()) -> str:
        """All series in Prometheus' text format 0.0.4; `extra` lines go at the end."""
        totals = self._cells.sum(axis=0)
        lines: list[str] = []
        for metric in self._metrics:
            lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
            first = self._first[metric.name]
            lines += _series(metric, totals[first : first + metric.columns()].tolist())
        return "\n".join([*lines, *extra, ""])


def _series(metric: Metric, cells: list[float]) -> Iterator[str]:
    if metric.kind == "histogram":
        *counts, count, total = cells
        for bound, below in zip(metric.buckets, np.cumsum(counts).tolist(), strict=True):
            yield f'{metric.name}_bucket{{le="{bound:g}"}} {below!r}'
        yield f'{metric.name}_bucket{{le="+Inf"}} {count!r}'
        yield f"{metric.name}_sum {total!r}"
        yield f"{metric.name}_count {count!r}"
        return
    for value, cell in zip(metric.values, cells, strict=True):
        labels = f'{{{metric.label}="{value}"}}' if metric.label else ""
        yield f"{metric.name}{labels} {cell!r}"
