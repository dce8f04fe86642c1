"""Scores -> matplotlib figures on a dark ground, legible on a light page too; nothing is shown on a screen.

Every function gives a Figure; `save` writes it whole. Series differ in line or marker as well as in colour.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy.special import ndtri

from serving.verdict import ConfidenceMap
from serving.whole import write_whole
from training import metrics

GROUND, INK, GRID = "#11151c", "#e6e9ef", "#39414f"
REAL, FAKE, MARK = "#5ab4f0", "#f08c3c", "#b8c0cc"  # blue and orange differ to colour-blind eyes, too
LOWEST_RATE = 1e-3  # of the DET plot's axes


def scores(
    llr: ArrayLike, spoof: ArrayLike, threshold: float | None = None, inconclusive: Sequence[float] = ()
) -> Figure:
    """Histogram of both classes, with the threshold and the inconclusive zone where they are given."""
    values, positive = metrics.checked(llr, spoof)
    figure, axes = _canvas("Scores", "LLR (rises with spoof)", "share of its class")
    low, high = (float(edge) for edge in np.quantile(values, [0.001, 0.999]))
    edges = np.linspace(low, high, 50) if low < high else np.linspace(low - 1, high + 1, 50)
    bins = [float(edge) for edge in edges]
    for rows, name, colour, style in ((~positive, "real", REAL, "-"), (positive, "fake", FAKE, "--")):
        weights = np.full(int(rows.sum()), 1 / rows.sum())
        clipped = np.clip(values[rows], bins[0], bins[-1])
        axes.hist(clipped, bins, weights=weights, color=colour, alpha=0.35)
        axes.hist(clipped, bins, weights=weights, color=colour, histtype="step", linestyle=style, label=name)
    if len(inconclusive) == 2:
        axes.axvspan(inconclusive[0], inconclusive[1], color=MARK, alpha=0.15, label="inconclusive")
    if threshold is not None:
        axes.axvline(threshold, color=INK, linestyle=":", label=f"threshold {threshold:.2f}")
    return _keyed(figure, axes)


def det(llr: ArrayLike, spoof: ArrayLike, name: str = "this model") -> Figure:
    """Detection error trade-off of one model."""
    return det_of({name: (llr, spoof)})


def det_of(systems: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """Detection error trade-off of several models or conditions, both axes on a probit scale."""
    figure, axes = _canvas("Detection error trade-off", "real called fake", "fake called real")
    styles = ("-", "--", "-.", ":")
    for number, (name, (llr, spoof)) in enumerate(systems.items()):
        curve, rate = metrics.det(llr, spoof), metrics.eer(llr, spoof)
        colour = (FAKE, REAL, INK, MARK)[number % 4]
        label = f"{name}: EER {rate:.1%}"
        x, y = _probit(curve.false_alarm), _probit(curve.miss)
        axes.step(x, y, color=colour, linestyle=styles[number % 4], where="post", label=label)
    ticks = np.array([0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(_probit(ticks), [f"{tick:.1%}" if tick < 0.01 else f"{tick:.0%}" for tick in ticks])
    span = _probit(np.array([LOWEST_RATE, 0.95]))
    axes.plot(span, span, color=GRID, linewidth=1)
    axes.set(xlim=span, ylim=span)
    return _keyed(figure, axes)


def reliability(llr: ArrayLike, spoof: ArrayLike, bins: int = 10) -> Figure:
    """Stated against observed share of spoof, each class weighing one half; equal counts a bin, 95 % bars."""
    values, positive = metrics.checked(llr, spoof)
    order = np.argsort(values, kind="stable")
    figure, axes = _canvas(
        "Reliability", "stated probability of spoof (even prior)", "observed share of spoof"
    )
    axes.plot([0, 1], [0, 1], color=GRID, label="calibrated")
    stated, observed, errors = [], [], []
    weight = np.where(positive, 0.5 / positive.sum(), 0.5 / (~positive).sum())
    for rows in np.array_split(order, min(bins, len(order))):
        share = float(np.average(positive[rows], weights=weight[rows]))
        stated.append(float(np.average(1 / (1 + np.exp(-values[rows])), weights=weight[rows])))
        observed.append(share)
        errors.append(1.96 * float(np.sqrt(share * (1 - share) / len(rows))))
    cost, floor = metrics.cllr(values, positive), metrics.min_cllr(values, positive)
    label = f"Cllr {cost:.2f} bit, at best {floor:.2f}"
    axes.errorbar(stated, observed, errors, color=FAKE, marker="o", capsize=3, label=label)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    return _keyed(figure, axes)


def bars(title: str, label: str, rows: Sequence[tuple[str, metrics.Interval]]) -> Figure:
    """One bar a group with its 95 % interval, worst last in the given order; values are shares."""
    figure, axes = _canvas(title, label, "", height=1.6 + 0.26 * len(rows))
    at = np.arange(len(rows))
    figures = np.array([[row.value, row.low, row.high] for _, row in rows], dtype=float).reshape(-1, 3)
    spread = np.abs(figures[:, 1:] - figures[:, :1]).T  # (2, rows)
    axes.barh(at, figures[:, 0], color=FAKE, alpha=0.75, xerr=spread, ecolor=INK, capsize=2)
    axes.set_yticks(at, [name for name, _ in rows], fontsize=8)
    axes.set(xlim=(0, 1), ylim=(-0.7, len(rows) - 0.3))
    axes.invert_yaxis()
    return figure


def confidence_map(
    samples: ArrayLike, rate_hz: int, found: ConfidenceMap, spans: Sequence[Any], true: Sequence[Any] = ()
) -> Figure:
    """A clip's envelope, spoof probability over time, flagged spans below and true spans above.

    `spans` hold (start_s, end_s, llr, probability), `true` (start_s, end_s).
    """
    figure, axes = _canvas("Confidence map", "seconds", "spoof probability", height=3)
    sound = np.asarray(samples, dtype=float)
    folded = np.abs(np.resize(sound, (max(1, len(sound) // 400), 400))).max(axis=1)
    seconds = np.linspace(0, len(sound) / rate_hz, len(folded))
    envelope = folded / (folded.max() + 1e-9) / 2
    axes.fill_between(seconds, 0.5 - envelope, 0.5 + envelope, color=MARK, alpha=0.3, linewidth=0)
    edges = np.minimum(found.step_s * np.arange(len(found.probability) + 1), len(sound) / rate_hz)
    axes.stairs(found.probability, edges, baseline=None, color=FAKE, linewidth=1.5, label="probability")
    for number, (start, end, *_) in enumerate(spans):
        axes.axvspan(start, end, 0, 0.05, color=FAKE, label="flagged" if not number else None)
    for number, (start, end) in enumerate(true):
        axes.axvspan(start, end, 0.95, 1, color=INK, label="spoof in truth" if not number else None)
    axes.set(ylim=(0, 1), xlim=(0, len(sound) / rate_hz))
    return _keyed(figure, axes)


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG or SVG, by the suffix, whole."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=path.suffix.removeprefix("."), dpi=110)
    write_whole(path, buffer.getvalue())


def _probit(rates: ArrayLike) -> metrics.Floats:
    return np.asarray(ndtri(np.clip(rates, LOWEST_RATE, 1 - LOWEST_RATE)))


def _canvas(title: str, x: str, y: str, height: float = 5.0) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, height), facecolor=GROUND, layout="constrained")
    axes = figure.add_subplot(facecolor=GROUND)
    axes.set_title(title, color=INK)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.tick_params(colors=INK)
    axes.grid(color=GRID, linewidth=0.5)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(GRID)
    return figure, axes


def _keyed(figure: Figure, axes: Axes) -> Figure:
    axes.legend(facecolor=GROUND, edgecolor=GRID, labelcolor=INK, fontsize=9)
    return figure
