"""In-the-Wild (Mueller et al., 2022) -> clips: an evaluation set, so "test" only.

release_in_the_wild/meta.csv    (file,speaker,label with bona-fide or spoof)
release_in_the_wild/*.wav
"""

import csv
from pathlib import Path

from training.datasets.clip import Clip, label_of, make_clip, only_test, present

LAYOUT = "In-the-Wild: release_in_the_wild/ with meta.csv (file,speaker,label) and the clips"
FOLDER = "release_in_the_wild"
COLUMNS = ["file", "speaker", "label"]


def recognises(data: Path) -> bool:
    return _meta(data) is not None


def read(data: Path, split: str) -> list[Clip]:
    """Every clip of the corpus. Raises DataError for any split but "test"."""
    only_test(split, "In-the-Wild")
    meta = _meta(data) or data / "meta.csv"
    with meta.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    clips = []
    for number, row in enumerate(rows, start=2):
        label = label_of(row["label"], f"{meta}, line {number}")
        clips.append(make_clip(meta.parent / row["file"], label, "", row["speaker"], "in-the-wild", split))
    return present(clips, meta)


def _meta(data: Path) -> Path | None:
    for meta in (data / "meta.csv", data / FOLDER / "meta.csv"):
        if meta.is_file():
            with meta.open(encoding="utf-8-sig") as lines:
                if lines.readline().strip().split(",")[:3] == COLUMNS:
                    return meta
    return None
