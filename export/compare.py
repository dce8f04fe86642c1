"""Registered versions -> a table on stdout and a page with plots: `python -m export.registry compare`.

The page is one file without scripts or addresses; a JSON file beside it feeds the models page of serving.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from export.bundle import digest_of
from export.comparepage import page
from export.contrast import Contrast, contrast
from export.gate import Gate
from export.measure import common, splits_of
from export.promotion import Desk, Refused
from export.standing import Standing, shipped, standing
from export.versions import CHAMPION, Version
from serving.whole import write_whole
from training.datasets import Clip

COMPARED = ("eer", "cllr")
HEAD = (
    "version", "run", "data", "params", "MB", "ms/win",
    "dev EER", "AUC", "Cllr", "acc", "test EER", "AUC", "Cllr", "acc", "worst source", "flips", "marks",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Rows, the served one's number, and every other row against it."""

    data: str
    date: str
    rows: list[Standing]
    served: str  # sha256
    contrasts: dict[str, list[Contrast]]  # "2 against 1 on dev" -> figures


def compare(desk: Desk, data: Path | None, mlruns: Path, out: Path, chosen: list[str]) -> None:
    """Measures what is not kept yet, prints the table and what the differences show, writes the page."""
    versions = _versions(desk, chosen)
    data = data or _data_of(desk, versions)
    splits = splits_of(data)
    gate = Gate.read()
    bar = tqdm(versions, desc="versions", unit="version", file=sys.stderr, disable=None)
    rows = [standing(desk, version, splits, mlruns / "scores", gate) for version in bar]
    served = digest_of(desk.folder)
    date = datetime.now(UTC).date().isoformat()
    found = Comparison(str(data), date, rows, served, _contrasts(rows, served, splits, gate.metric.resamples))
    print(table(found))
    write_whole(
        out,
        page(found.data, found.date, HEAD, [cells(row, served) for row in rows], rows, lines(found)).encode(),
    )
    write_whole(out.with_suffix(".json"), json.dumps(summary(found)).encode())
    print(f"Page with plots: {os.path.relpath(out)}", file=sys.stderr)


def _versions(desk: Desk, chosen: list[str]) -> list[Version]:
    if chosen:
        return [desk.registry.version(name) for name in chosen]
    unregistered = shipped(desk)
    versions = [*([unregistered] if unregistered else []), *desk.registry.versions()]
    if not versions:
        raise Refused("Nothing to compare: no version is registered. `make export RUN=...` registers one.")
    return versions


def _data_of(desk: Desk, versions: list[Version]) -> Path:
    for version in reversed(versions):
        found = desk.registry.data_of_run(version.run_id) if version.source else None
        if found is not None:
            return found
    raise Refused("No data to compare on: give DATA=<protocol or corpus folder>.")


def _contrasts(
    rows: list[Standing], served: str, splits: dict[str, list[Clip]], resamples: int
) -> dict[str, list[Contrast]]:
    """Every row against the served one, or against the first where none is served."""
    base = next((row for row in rows if row.version.sha256 == served), rows[0])
    found = {}
    for row in rows:
        for split in splits if row is not base else ():
            ours, theirs, spoof = common(row.scores[split], base.scores[split])
            name = f"{row.name} against {base.name} on {split}"
            found[name] = [contrast(figure, ours, theirs, spoof, resamples) for figure in COMPARED]
    return found


def marks(row: Standing, served: str) -> str:
    """Aliases, and what else one must know of a version."""
    extra = [
        word
        for word, holds in (("served", row.version.sha256 == served), ("smoke", row.version.smoke))
        if holds
    ]
    return " ".join(
        [
            *row.version.aliases,
            *(word for word in extra if word != "served" or CHAMPION not in row.version.aliases),
        ]
    )


def cells(row: Standing, served: str) -> list[str]:
    """One row of the table, as texts under HEAD."""
    rates = []
    for split in ("dev", "test"):
        found = row.figures.get(split)
        rates += (
            [f"{found['eer']:.1%}", f"{found['auc']:.3f}", f"{found['cllr']:.3f}", f"{found['accuracy']:.1%}"]
            if found
            else ["-"] * 4
        )
    flips = " ".join(f"{change} {count}/{row.flip_clips}" for change, count in row.flips.items())
    worst = row.worst.get("test") or row.worst.get("dev") or "-"
    version = row.version
    return [
        version.number, version.run_id[:8] or "-", version.tags.get("data_fingerprint", "")[:8] or "-",
        f"{version.parameters:,}" if version.parameters else "-",
        f"{version.size_bytes / 1e6:.2f}", f"{row.cost.ms_per_window:.2f}",
        *rates, worst, flips, marks(row, served),
    ]  # fmt: skip


def table(found: Comparison) -> str:
    """The rows in columns, then what the differences show."""
    body = [list(HEAD), *(cells(row, found.served) for row in found.rows)]
    widths = [max(len(line[column]) for line in body) for column in range(len(HEAD))]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in body
    ]
    return "\n".join([f"Measured on {found.data}, {found.date}", *text, *lines(found)])


def lines(found: Comparison) -> list[str]:
    """One sentence a difference."""
    return [f"{name}: {result}" for name, results in found.contrasts.items() for result in results]


def summary(found: Comparison) -> dict[str, Any]:
    """What the models page shows of each version."""
    versions = {
        row.version.sha256: {
            "figures": row.figures,
            "worst": row.worst,
            "flips": row.flips,
            "flip_clips": row.flip_clips,
            "ms_per_window": row.cost.ms_per_window,
            "peak_mb": row.cost.peak_mb,
        }
        for row in found.rows
    }
    return {"data": found.data, "date": found.date, "versions": versions, "differences": lines(found)}
