"""Results -> PNG plots beside them."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

SIZE, DPI = (6.4, 3.6), 130
Results = dict[str, dict[str, Any]]


def draw(found: Results, out: Path) -> list[str]:
    """Names of the plots that these results allow, each written whole."""
    ways = {"throughput": _throughput, "latency": _latency, "memory": _memory, "stages": _stages, "cpu": _cpu}
    drawn = []
    for name, way in ways.items():
        figure, axes = plt.subplots(figsize=SIZE, dpi=DPI)
        try:
            way(found, axes)
        except (KeyError, ValueError):  # the part failed or was not run; the page says so
            plt.close(figure)
            continue
        axes.spines[["top", "right"]].set_visible(False)
        figure.tight_layout()
        figure.savefig(out / f"{name}.png", metadata={"Software": None})
        plt.close(figure)
        drawn.append(name)
    return drawn


def _throughput(found: Results, axes: Axes) -> None:
    markers = iter("os^Dv*")
    for name, curve in found["load"]["connections"].items():
        axes.plot([int(k) for k in curve], list(curve.values()), marker=next(markers), label=name)
    axes.set_xscale("log", base=2)
    axes.set_ylim(bottom=0)
    axes.set(xlabel="connections", ylabel="clips of 10 s a second", title="Throughput, 2 workers")
    axes.legend(frameon=False)


def _latency(found: Results, axes: Axes) -> None:
    lengths = found["longaudio"]["http_ms"]
    seconds = [int(length) for length in lengths]
    axes.plot(seconds, [v["p50"] for v in lengths.values()], marker="o", label="median")
    axes.plot(seconds, [v["p99"] for v in lengths.values()], marker="^", linestyle="--", label="slowest")
    axes.set(
        xscale="log", yscale="log", xlabel="length of the clip, s", ylabel="ms", title="Latency over HTTP"
    )
    axes.legend(frameon=False)


def _memory(found: Results, axes: Axes) -> None:
    runs = found["longaudio"]["two_threads"]
    axes.plot([int(s) for s in runs], [run["peak_rss_mb"] for run in runs.values()], marker="o")
    axes.set(xscale="log", xlabel="length of the recording, s", ylabel="MB, decoder included")
    axes.set(title="Peak resident memory")
    axes.set_ylim(bottom=0)


def _stages(found: Results, axes: Axes) -> None:
    formats = found["stages"]["cpu_ms"]
    rows = list(formats)[::-1]
    left = dict.fromkeys(rows, 0.0)
    for index, stage in enumerate(next(iter(formats.values()))):
        widths = [formats[row][stage] for row in rows]
        colour = plt.get_cmap("tab20")(index)
        axes.barh(rows, widths, left=[left[row] for row in rows], label=stage, color=colour)
        left = {row: left[row] + width for row, width in zip(rows, widths, strict=True)}
    axes.set(xlabel="CPU ms of one 10 s clip", title="Where the time goes")
    axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))


def _cpu(found: Results, axes: Axes) -> None:
    servers = found["endtoend"]["formats"]["wav"]
    names = sorted(servers, key=lambda name: -servers[name]["cpu_ms"]["median"])
    values = [servers[name]["cpu_ms"]["median"] for name in names]
    bars = axes.barh(names, values, color=["tab:blue" if n == "bonafide" else "0.7" for n in names])
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.set(xlabel="CPU ms, 10 s WAV to JSON", title="CPU a request")
