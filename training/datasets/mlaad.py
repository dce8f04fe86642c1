"""MLAAD (Mueller et al., 2024), which is fake speech alone, and M-AILABS, its real side -> clips.

    fake/<language>/<model>/meta.csv     parted by |: path|original_file|language|...|model_name|...
    fake/<language>/<model>/*.wav
    real/                                or M-AILABS' folders (en_US/by_book/...), here or in mailabs/

No official splits: a generator goes where a hash of its name puts it, so that those of test were never
trained on; a real recording goes by its name.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from training.datasets.clip import Clip, DataError, audio_files, hashed_split, make_clip, present

LAYOUT = "MLAAD: fake/<language>/<model>/meta.csv, with real speech in real/ or M-AILABS' by_book/ folders"


def recognises(data: Path) -> bool:
    return data.is_dir() and next(data.glob("fake/*/*/meta.csv"), None) is not None


def read(data: Path, split: str) -> list[Clip]:
    """Clips of one split. Raises DataError when no real speech is beside the fake: half a corpus teaches
    nothing."""
    real = [
        make_clip(path, "bonafide", "", "", "m-ailabs", split)
        for folder in _real_folders(data)
        for path in audio_files(folder)
        if hashed_split(path.stem) == split
    ]
    if not real and not _real_folders(data):
        raise DataError(
            f"{data} holds fake speech only; expected real speech in {data / 'real'}. Put M-AILABS there."
        )
    fake = [
        clip
        for meta in sorted(data.glob("fake/*/*/meta.csv"))
        for clip in _fakes(data, meta)
        if clip.split == split
    ]
    return real + fake


def _real_folders(data: Path) -> list[Path]:
    plain = [data / "real"] if (data / "real").is_dir() else []
    return plain + sorted([*data.glob("*/by_book"), *data.glob("mailabs/*/by_book")])


def _fakes(data: Path, meta: Path) -> Iterator[Clip]:
    with meta.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="|", quoting=csv.QUOTE_NONE))
    if rows and "path" not in rows[0]:
        raise DataError(f"{meta} has columns {', '.join(rows[0])}; path not found. Fields are parted by |.")
    clips = []
    for row in rows:
        # Paths are written as ./fake/<language>/<model>/x.wav; the file lies beside its meta.csv.
        attack = row.get("model_name") or meta.parent.name
        path = meta.parent / Path(row["path"]).name
        language = meta.parent.parent.name
        clips.append(make_clip(path, "spoof", attack, "", f"mlaad/{language}", hashed_split(attack)))
    yield from present(clips, meta)
