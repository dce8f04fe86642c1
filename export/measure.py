"""A bundle over labelled clips -> scores, through serving's own code; kept, so that each is scored once."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from serving.detector import Detector
from serving.whole import write_whole
from training.datasets import Clip, DataError, NoSplit, data_fingerprint, read, relative_names
from training.judging import judge

SPLITS = ("dev", "test")
CODE = 2  # raise where a change to decoding, windowing or pooling makes kept scores stale


class MeasureError(Exception):
    """The clips cannot be scored."""


@dataclasses.dataclass(frozen=True)
class ClipScores:
    """Scores of one bundle over the clips of one split, in their order; unreadable clips are left out."""

    sha256: str
    fingerprint: str
    names: list[str]  # from the clips' common folder
    spoof: list[bool]
    source: list[str]
    attack: list[str]
    llr: list[float]
    verdict: list[str]


def splits_of(data: Path) -> dict[str, list[Clip]]:
    """The splits that the data has, dev and test; raises DataError where it has neither or can't be read."""
    found = {}
    for split in SPLITS:
        with contextlib.suppress(NoSplit):  # evaluation sets have no dev, small sets no test
            found[split] = _of_both_labels(data, split)
    if not found:
        raise NoSplit(f"{data} has none of the splits {', '.join(SPLITS)}; versions are measured on them.")
    return found


def _of_both_labels(data: Path, split: str) -> list[Clip]:
    clips = read(data, split)
    labels = {clip.label for clip in clips}
    if len(labels) < 2:
        raise DataError(
            f"Split {split} of {data} has only {labels.pop()} clips; versions are measured on "
            "real and fake ones. Add clips of the other label."
        )
    return clips


def score(
    model: bytes, sha256: str, clips: Sequence[Clip], cache: Path | None, label: str = ""
) -> ClipScores:
    """Scores every clip, or reads what `cache` keeps; raises MeasureError where over 5 % can't be read."""
    fingerprint = data_fingerprint(clips)
    kept = cache / f"{sha256[:16]}-{fingerprint[:16]}-{CODE}.json" if cache else None
    if kept is not None and kept.exists():
        return ClipScores(**json.loads(kept.read_text("utf-8")))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "detector.onnx"
        path.write_bytes(model)
        scores = _score_all(Detector.open(path), sha256, fingerprint, clips, label)
    if kept is not None:
        write_whole(kept, json.dumps(dataclasses.asdict(scores)).encode())
    return scores


def _score_all(
    detector: Detector, sha256: str, fingerprint: str, clips: Sequence[Clip], label: str
) -> ClipScores:
    judged, failed = judge(detector, clips, label or "scoring")
    if len(failed) * 20 > len(clips):
        path, complaint = next(iter(failed.items()))
        first = f"{Path(path).name}: {complaint}"
        raise MeasureError(
            f"{len(failed)} of {len(clips)} clips can't be scored, first {first}; check the data"
        )
    named = dict(zip((clip.path for clip in clips), relative_names(clips), strict=True))
    return ClipScores(
        sha256,
        fingerprint,
        names=[named[one.clip.path] for one in judged],
        spoof=[one.clip.label == "spoof" for one in judged],
        source=[one.clip.source for one in judged],
        attack=[one.clip.attack for one in judged],
        llr=[one.verdict.llr for one in judged],
        verdict=[one.verdict.verdict for one in judged],
    )


def common(one: ClipScores, other: ClipScores) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """LLRs of both on the clips that both scored, and whether each is spoof: (N,), (N,), (N,) bool."""
    theirs = dict(zip(other.names, other.llr, strict=True))
    rows = [
        (llr, theirs[name], spoof)
        for name, llr, spoof in zip(one.names, one.llr, one.spoof, strict=True)
        if name in theirs
    ]
    if not rows:
        raise MeasureError("The two versions have no clip in common; score both on the same protocol")
    ours, others, spoof = zip(*rows, strict=True)
    return np.array(ours), np.array(others), np.array(spoof, dtype=bool)
