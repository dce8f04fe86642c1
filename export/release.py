"""A run -> a registered version: exported, measured on the file through serving's code, figures put in."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from export.bundle import MODEL
from export.measure import ClipScores, score, splits_of
from export.to_onnx import export, fetch_checkpoint, manifest_of, read_checkpoint, stamp
from export.versions import Registry, Version
from serving import audio
from serving.detection import detect
from serving.detector import Detector
from serving.drift import histograms, values_of
from serving.errors import ClipError
from serving.manifest import Manifest
from serving.whole import sha256_of
from training import metrics
from training.datasets import Clip, read
from training.robustness import choose

REFERENCE_CLIPS = 400
OPERATING_POINTS = 41  # rows of the table that a threshold is chosen by
DECIMALS = 6


def release(
    registry: Registry, run_id: str, data: Path | None, cache: Path, *, int8: bool = False
) -> Version:
    """Exports a run, measures the file on dev and test of `data` (else of the run's data), registers it.

    Raises DataError where the data can't be read or has neither split, and as `quantised` does for `int8`.
    """
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = read_checkpoint(fetch_checkpoint(run_id, Path(folder)))
    model = export(checkpoint, run_id=run_id)
    data = data or registry.data_of_run(run_id)
    if int8:
        model = in_integers(model, data)
    return _registered(registry, model, run_id, data, cache)


def shorten(registry: Registry, version: Version, data: Path | None, cache: Path) -> Version:
    """A version in integers once more, with short sums (`export/sums.py`), measured and registered as by
    `release`.

    Raises DataError as `release` does, and ExportError where it computes in floats or no data is named.
    """
    from export.int8 import shortened  # loads onnxruntime's quantiser

    model, data = registry.file(version), data or registry.data_of_run(version.run_id)
    graph = onnx.load_from_string(shortened(model, _heard(model, data)))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = stamp(graph, dataclasses.replace(manifest_of(graph), created=now))
    return _registered(registry, made, version.run_id, data, cache)


def _heard(model: bytes, data: Path | None) -> list[np.ndarray]:
    """Windows of training clips, by which integers are chosen."""
    from export.int8 import calibration

    window = manifest_of(onnx.load_from_string(model)).window_samples
    return calibration(read(data, "train"), window) if data else []


def _registered(registry: Registry, model: bytes, run_id: str, data: Path | None, cache: Path) -> Version:
    graph = onnx.load_from_string(model)
    manifest = manifest_of(graph)
    if data is not None:
        manifest = measured(manifest, model, data, cache)
    return registry.add(stamp(graph, manifest), run_id)


def in_integers(model: bytes, data: Path | None) -> bytes:
    """The int8 form of a file; its manifest says so."""
    from export.int8 import quantised  # loads onnxruntime's quantiser

    manifest = manifest_of(onnx.load_from_string(model))
    named = dataclasses.replace(manifest, architecture=f"{manifest.architecture}-int8")
    return stamp(onnx.load_from_string(quantised(model, _heard(model, data))), named)


def measured(manifest: Manifest, model: bytes, data: Path, cache: Path) -> Manifest:
    """The manifest with figures of every split there is, and the operating points of the test split."""
    entries: list[dict[str, Any]] = []
    points, reference = manifest.operating_points, manifest.reference
    for split, clips in splits_of(data).items():
        scores = score(model, sha256_of(model), clips, cache, split)
        entries.append(_entry(data, split, scores, manifest.threshold))
        if split == "test":
            points = operating_points(np.array(scores.llr), np.array(scores.spoof))
        else:
            reference = {**reference, "histograms": live_reference(model, clips)}
    return dataclasses.replace(manifest, metrics=entries, operating_points=points, reference=reference)


def live_reference(model: bytes, clips: Sequence[Clip]) -> dict[str, Any]:
    """What live clips are compared with: scores and qualities of clips spread over the sources, binned."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MODEL
        path.write_bytes(model)
        detector = Detector.open(path)
    rows = []
    for clip in choose(clips, REFERENCE_CLIPS):
        try:
            with audio.stream(clip.path) as opened:
                rows.append(values_of(detect(opened, detector)))
        except (ClipError, OSError):
            continue  # `score` has counted it
    return histograms(rows)


def _entry(data: Path, split: str, scores: ClipScores, threshold: float) -> dict[str, Any]:
    name = data.parent.name if data.is_file() else data.name
    return {
        "data": name,
        "split": split,
        "date": datetime.now(UTC).date().isoformat(),
        "figures": figures(np.array(scores.llr), np.array(scores.spoof), threshold),
    }


def figures(llr: np.ndarray, spoof: np.ndarray, threshold: float) -> dict[str, float]:
    """(N,), (N,) bool -> the figures that versions are compared by."""
    values = {
        "clips": float(len(llr)),
        "eer": metrics.eer(llr, spoof),
        "auc": metrics.auc(llr, spoof),
        "cllr": metrics.cllr(llr, spoof),
        "min_dcf": metrics.min_dcf(llr, spoof),
        "act_dcf": metrics.act_dcf(llr, spoof),
        "accuracy": metrics.decisions(llr, spoof, threshold).accuracy,
    }
    return {name: round(float(value), DECIMALS) for name, value in values.items()}


def operating_points(llr: np.ndarray, spoof: np.ndarray) -> list[dict[str, float]]:
    """Miss and false alarm rates at LLRs spread evenly over the clips, lowest first."""
    levels = np.unique(np.quantile(llr, np.linspace(0, 1, OPERATING_POINTS)))
    points = []
    for level in levels:
        rates = metrics.decisions(llr, spoof, float(level))
        point = {"llr": float(level), "miss": rates.miss, "false_alarm": rates.false_alarm}
        points.append({name: round(value, DECIMALS) for name, value in point.items()})
    return points
