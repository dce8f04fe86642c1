"""A version -> its standing: the row that versions are compared by, measured on the file and kept."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from export.bundle import MODEL, digest_of
from export.flips import count_flips
from export.footprint import Footprint, measure
from export.gate import Gate
from export.measure import ClipScores, score
from export.promotion import Desk
from export.release import figures
from export.versions import Version
from serving.detector import Detector
from serving.whole import sha256_of, write_whole
from training import metrics
from training.datasets import Clip, data_fingerprint
from training.robustness import choose

FEWEST = 5  # clips of a source that can be the worst


@dataclasses.dataclass(frozen=True)
class Standing:
    """One row; a split that the data lacks is missing from `figures`, `worst` and `scores`."""

    version: Version
    threshold: float
    cost: Footprint
    figures: dict[str, dict[str, float]]  # split -> figure -> value
    worst: dict[str, str]  # split -> source and its share of right verdicts at the threshold
    flips: dict[str, int]  # change -> clips of `flip_clips`
    flip_clips: int
    scores: dict[str, ClipScores]

    @property
    def name(self) -> str:
        """As plots and tables call it."""
        return f"version {self.version.number}" if self.version.number.isdigit() else self.version.number


def standing(
    desk: Desk, version: Version, splits: dict[str, list[Clip]], cache: Path, gate: Gate
) -> Standing:
    """Measures what is not kept in `cache` yet."""
    model = file_of(desk, version)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MODEL
        path.write_bytes(model)
        threshold = Detector.open(path).manifest.threshold
        cost = _cost(path, version.sha256, cache, gate.memory_clip_s)
        tried = choose(next(iter(splits.values())), gate.flips.clips)
        flips = _flips(path, version.sha256, tried, cache, gate.flips.changes)
    scores = {split: score(model, version.sha256, clips, cache, split) for split, clips in splits.items()}
    rows = {split: (np.array(found.llr), np.array(found.spoof)) for split, found in scores.items()}
    return Standing(
        version, threshold, cost,
        {split: figures(*row, threshold) for split, row in rows.items()},
        {split: worst_source(found, threshold) for split, found in scores.items()},
        flips, len(tried), scores,
    )  # fmt: skip


def worst_source(scores: ClipScores, threshold: float) -> str:
    """The source with the smallest share of right verdicts, as `name 80%`; empty where none has enough."""
    llr, spoof, source = np.array(scores.llr), np.array(scores.spoof), np.array(scores.source)
    right = {}
    for name in np.unique(source):
        rows = source == name
        if rows.sum() >= FEWEST:
            right[str(name)] = metrics.decisions(llr[rows], spoof[rows], threshold).accuracy
    if not right:
        return ""
    name = min(right, key=lambda key: right[key])
    return f"{name} {right[name]:.0%}"


def _cost(path: Path, sha256: str, cache: Path, clip_s: float) -> Footprint:
    kept = cache / f"cost-{sha256[:16]}.json"
    if kept.exists():
        return Footprint(**json.loads(kept.read_text("utf-8")))
    cost = measure(path, clip_s)
    write_whole(kept, json.dumps(dataclasses.asdict(cost)).encode())
    return cost


def _flips(
    path: Path, sha256: str, clips: Sequence[Clip], cache: Path, changes: Sequence[str]
) -> dict[str, int]:
    asked = sha256_of(json.dumps([data_fingerprint(clips), list(changes)]).encode())
    kept = cache / f"flips-{sha256[:16]}-{asked[:16]}.json"
    if kept.exists():
        found: dict[str, int] = json.loads(kept.read_text("utf-8"))
        return found
    found = count_flips(path, clips, changes)
    write_whole(kept, json.dumps(found).encode())
    return found


def file_of(desk: Desk, version: Version) -> bytes:
    """The version's file; the served one is in its folder even if no registry knows it."""
    if version.sha256 == digest_of(desk.folder):
        return (desk.folder / MODEL).read_bytes()
    return desk.registry.file(version)


def shipped(desk: Desk) -> Version | None:
    """The served bundle as a version of its own where the registry does not know it, else None."""
    digest = digest_of(desk.folder)
    if not digest or desk.registry.by_digest(digest) is not None:
        return None
    path = desk.folder / MODEL
    manifest = Detector.open(path).manifest
    tags = {"architecture": manifest.architecture, "data_fingerprint": manifest.data_fingerprint}
    return Version(
        "shipped", manifest.run_id, "", digest, path.stat().st_size, 0, manifest.smoke, (), 0, tags
    )
