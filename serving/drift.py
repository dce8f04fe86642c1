"""Live scores and clip qualities -> a rolling summary, against the data that the model was calibrated on.

Kept are counts in fixed bins that fade with each clip, about the last 500 of every worker: no audio, no clip
and nothing that could name one. The reference has the same bins, in the manifest's `reference.histograms`.
"""

from __future__ import annotations

import mmap
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from serving import telemetry
from serving.detection import Detection
from serving.manifest import Manifest

BINS = 1  # of the edges below; a reference made with others is not compared
MEMORY = 500  # clips after which a count has faded to 1 / e
ENOUGH = 100  # clips, live and in the reference, below which a difference says nothing
MOVING, DRIFTED = 0.1, 0.25  # population stability index, by its usual reading
LEAST_SHARE = 0.05  # of the reference, in a bin that is compared; smaller ones are joined

Floats = npt.NDArray[np.float64]
EDGES: dict[str, Floats] = {
    "llr": np.linspace(-10, 10, 41),
    "duration_s": np.array([1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 900], dtype=np.float64),
    "bandwidth_hz": np.arange(500, 8000, 500, dtype=np.float64),
    "speech_share": np.linspace(0.1, 0.9, 9),
}


def values_of(detection: Detection) -> dict[str, float]:
    """The quantities of one clip."""
    quality = detection.quality
    return {
        "llr": detection.verdict.llr,
        "duration_s": quality.duration_s,
        "bandwidth_hz": quality.bandwidth_hz,
        "speech_share": quality.speech_share,
    }


def histograms(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Quantities of many clips -> a manifest's `reference.histograms`."""
    counts: dict[str, list[int]] = {}
    for name, edges in EDGES.items():
        places = np.searchsorted(edges, [row[name] for row in rows], side="right")
        counts[name] = np.bincount(places, minlength=len(edges) + 1).tolist()
    return {"bins": BINS, "clips": len(rows), **counts}


def stability_index(reference: Floats, live: Floats) -> float:
    """PSI of two rows of counts (K,), over neighbours joined until each holds LEAST_SHARE of the first."""
    groups, held = [], 0.0
    start = 0
    for place, share in enumerate(reference / reference.sum()):
        held += share
        if held >= LEAST_SHARE:
            groups.append((start, place + 1))
            start, held = place + 1, 0.0
    if len(groups) < 2:
        return 0.0
    groups[-1] = (groups[-1][0], len(reference))
    expected = np.array([reference[a:b].sum() for a, b in groups]) + 0.5
    found = np.array([live[a:b].sum() for a, b in groups]) + 0.5
    expected, found = expected / expected.sum(), found / found.sum()
    return float(np.sum((found - expected) * np.log(found / expected)))


class Drift:
    """Fading counts of all workers, in memory that they share. Make it before forking."""

    def __init__(self) -> None:
        sizes = [len(edges) + 1 for edges in EDGES.values()]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        self._parts = {name: slice(a, b) for name, a, b in zip(EDGES, starts[:-1], starts[1:], strict=True)}
        self._memory = mmap.mmap(-1, telemetry.ROWS * int(starts[-1]) * 8)
        self._cells = np.frombuffer(self._memory, np.float64).reshape(telemetry.ROWS, -1)
        self._lock = threading.Lock()
        self._sha256 = ""

    def add(self, detection: Detection) -> None:
        """Counts one clip; the scores of another model than before start anew."""
        values = values_of(detection)
        with self._lock:
            row = self._cells[telemetry.current_row()]
            if detection.model["sha256"] != self._sha256:
                row[self._parts["llr"]] = 0
                self._sha256 = detection.model["sha256"]
            row *= 1 - 1 / MEMORY
            for name, edges in EDGES.items():
                row[self._parts[name]][int(np.searchsorted(edges, values[name], side="right"))] += 1

    def summary(self, manifest: Manifest | None) -> dict[str, Any]:
        """Quantity -> shares by bin, live and in the reference, their PSI, and what it means in a word."""
        reference = manifest.reference.get("histograms", {}) if manifest else {}
        reference = reference if isinstance(reference, dict) and reference.get("bins") == BINS else {}
        totals = self._cells.sum(axis=0)
        return {name: _quantity(name, totals[part], reference) for name, part in self._parts.items()}

    def lines(self, manifest: Manifest | None) -> list[str]:
        """Prometheus series."""
        found = self.summary(manifest)
        lines = [
            "# HELP bonafide_drift_clips Clips in the fading summary.",
            "# TYPE bonafide_drift_clips gauge",
        ]
        lines += [
            f'bonafide_drift_clips{{quantity="{name}"}} {part["clips"]:.1f}' for name, part in found.items()
        ]
        lines += ["# HELP bonafide_drift_psi Live against reference.", "# TYPE bonafide_drift_psi gauge"]
        known = {name: part["psi"] for name, part in found.items() if part["psi"] is not None}
        return lines + [f'bonafide_drift_psi{{quantity="{name}"}} {psi:.4f}' for name, psi in known.items()]


def _quantity(name: str, live: Floats, reference: Mapping[str, Any]) -> dict[str, Any]:
    clips = float(live.sum())
    expected = np.asarray(reference.get(name, []), dtype=np.float64)
    found: dict[str, Any] = {
        "edges": EDGES[name].tolist(),
        "clips": round(clips, 1),
        "live": (live / clips).round(4).tolist() if clips else [],
        "reference": (expected / expected.sum()).round(4).tolist() if expected.sum() else [],
        "psi": None,
        "state": "no reference",
    }
    if expected.shape == live.shape and expected.sum():
        enough = min(clips, float(expected.sum())) >= ENOUGH
        psi = stability_index(expected, live) if enough else None
        found["psi"] = None if psi is None else round(psi, 4)
        found["state"] = "too few clips" if psi is None else _state(psi)
    return found


def _state(psi: float) -> str:
    return "drifted" if psi >= DRIFTED else "moving" if psi >= MOVING else "steady"
