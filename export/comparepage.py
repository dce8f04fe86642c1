"""Compared versions -> one HTML page: table, differences, and plots of all versions over each other."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from export.standing import Standing
from training import metrics, plots

COLOURS = (plots.FAKE, plots.REAL, "#9ad17c", "#d28be0", plots.MARK, "#f2d45c")
DASHES = ("-", "--", "-.", ":")
STYLE = f"""
body {{ background: {plots.GROUND}; color: {plots.INK}; font: 16px/1.5 system-ui, sans-serif; margin: 2rem; }}
table {{ border-collapse: collapse; font-size: 14px; }}
th, td {{ padding: .35rem .6rem; border-bottom: 1px solid {plots.GRID}; text-align: left; }}
th, td {{ white-space: nowrap; }}
.scroll {{ overflow-x: auto; }}
.plots {{ display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); }}
svg {{ width: 100%; height: auto; }}
"""


def page(
    data: str, date: str, head: Sequence[str], body: list[list[str]], rows: list[Standing], said: list[str]
) -> str:
    """The whole page; every text in it is escaped."""
    titles = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in body)
    differences = "".join(f"<li>{escape(line)}</li>" for line in said) or "<li>One version only.</li>"
    splits = "".join(_split(split, rows) for split in rows[0].scores)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Versions compared</title><style>{STYLE}</style></head><body>
<h1>Versions compared</h1>
<p>Measured on {escape(data)}, {escape(date)}, on the exported files, through serving's code.</p>
<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>
<h2>Differences</h2>
<p>Paired bootstrap over the same clips. An interval that holds 0 shows no difference.</p>
<ul>{differences}</ul>
{splits}
</body></html>
"""


def _split(split: str, rows: list[Standing]) -> str:
    systems = {row.name: (np.array(row.scores[split].llr), np.array(row.scores[split].spoof)) for row in rows}
    drawn = (
        _svg(figure) for figure in (plots.det_of(systems), score_histograms(systems), reliabilities(systems))
    )
    return f'<h2>Split {escape(split)}</h2><div class="plots">{"".join(drawn)}</div>'


Systems = dict[str, tuple[np.ndarray, np.ndarray]]


def score_histograms(systems: Systems) -> Figure:
    """Outlines of every version's LLRs: bona fide thin, spoof thick."""
    figure, axes = _canvas("Scores: real thin, fake thick", "LLR (rises with spoof)", "share of its class")
    every = np.concatenate([llr for llr, _ in systems.values()])
    low, high = np.quantile(every, [0.005, 0.995])
    bins = np.linspace(low, max(high, low + 1), 40)
    for number, (name, (llr, spoof)) in enumerate(systems.items()):
        for rows, width in ((~spoof, 1.0), (spoof, 2.2)):
            weights = np.full(int(rows.sum()), 1 / rows.sum())
            axes.hist(
                np.clip(llr[rows], bins[0], bins[-1]), bins.tolist(), weights=weights, histtype="step",
                linewidth=width,
                color=COLOURS[number % len(COLOURS)], linestyle=DASHES[number % len(DASHES)],
                label=name if width > 2 else None,
            )  # fmt: skip
    return _keyed(figure, axes)


def reliabilities(systems: Systems) -> Figure:
    """Stated against observed share of spoof, each class weighing one half, in ten bins of equal counts."""
    figure, axes = _canvas(
        "Reliability", "stated probability of spoof (even prior)", "observed share of spoof"
    )
    axes.plot([0, 1], [0, 1], color=plots.GRID)
    for number, (name, (llr, spoof)) in enumerate(systems.items()):
        weight = np.where(spoof, 0.5 / spoof.sum(), 0.5 / (~spoof).sum())
        parts = np.array_split(np.argsort(llr, kind="stable"), min(10, len(llr)))
        stated = [np.average(0.5 * (1 + np.tanh(llr[part] / 2)), weights=weight[part]) for part in parts]
        observed = [np.average(spoof[part], weights=weight[part]) for part in parts]
        label = f"{name}: Cllr {metrics.cllr(llr, spoof):.2f} bit"
        axes.plot(
            stated, observed, color=COLOURS[number % len(COLOURS)], linestyle=DASHES[number % len(DASHES)],
            marker="os^D"[number % 4], label=label,
        )  # fmt: skip
    return _keyed(figure, axes)


def _canvas(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 5), facecolor=plots.GROUND, layout="constrained")
    axes = figure.add_subplot(facecolor=plots.GROUND)
    axes.set_title(title, color=plots.INK)
    axes.set_xlabel(x, color=plots.INK)
    axes.set_ylabel(y, color=plots.INK)
    axes.tick_params(colors=plots.INK)
    axes.grid(color=plots.GRID, linewidth=0.5)
    return figure, axes


def _keyed(figure: Figure, axes: Axes) -> Figure:
    axes.legend(facecolor=plots.GROUND, edgecolor=plots.GRID, labelcolor=plots.INK, fontsize=9)
    return figure


def _svg(figure: Figure) -> str:
    """The figure as an SVG element, without the XML head and the date that would make each page differ."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
