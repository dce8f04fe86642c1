"""Protocol TSV -> clips: a header line, columns `file` (relative to the TSV's folder) and `label`; `attack`,
`speaker`, `source` and `split` where they are known, any other column is ignored.

Give one file (`train.tsv`; its siblings `dev.tsv` and `test.tsv` serve the other splits) or the folder that
holds them.
"""

import csv
from pathlib import Path

from training.datasets.clip import SPLITS, Clip, DataError, NoSplit, label_of, make_clip, present

LAYOUT = "protocol: FILE.tsv with columns file and label, or a folder with train.tsv, dev.tsv, test.tsv"
REQUIRED = ("file", "label")


def recognises(data: Path) -> bool:
    if data.is_file():
        return data.suffix.lower() == ".tsv"
    return any((data / f"{split}.tsv").is_file() for split in SPLITS)


def read(data: Path, split: str) -> list[Clip]:
    """Clips of one split. Raises DataError when no file or `split` column serves it."""
    file = _file_for(data, split)
    clips = read_file(file, split)
    if file.stem in SPLITS or not _has_splits(file):
        return clips
    return [clip for clip in clips if clip.split == split]


def read_file(file: Path, split: str) -> list[Clip]:
    """Every row of one TSV as a clip; `split` is used where the file has no such column."""
    if not file.is_file():
        raise DataError(f"{file} does not exist; expected a protocol TSV. Check the path.")
    rows = _rows(file)
    clips = [_clip(file, number, row, split) for number, row in enumerate(rows, start=2)]
    return present(clips, file)


def _file_for(data: Path, split: str) -> Path:
    if data.is_dir():
        file = data / f"{split}.tsv"
    elif data.stem == split:
        return data
    elif data.stem in SPLITS:
        file = data.with_name(f"{split}.tsv")
    elif split == "train" or _has_splits(data):
        return data
    else:
        file = data.with_name(f"{split}.tsv")
    if not file.is_file():
        raise NoSplit(
            f"{data} has no {split} split: expected {file} or a `split` column. Write that protocol."
        )
    return file


def _header(file: Path) -> list[str]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return next(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE), [])


def _has_splits(file: Path) -> bool:
    return "split" in _header(file)


def _rows(file: Path) -> list[dict[str, str]]:
    header = _header(file)
    lacking = [name for name in REQUIRED if name not in header]
    if lacking:
        raise DataError(
            f"{file} has columns {', '.join(header) or '(none)'}; {' and '.join(lacking)} not found. "
            "Put a header line first, fields parted by tabs."
        )
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def _clip(file: Path, number: int, row: dict[str, str], split: str) -> Clip:
    where = f"{file}, line {number}"
    if not row.get("file") or row.get("label") is None:
        raise DataError(f"{where}: found {list(row.values())}; expected a file and a label, parted by tabs.")
    label = label_of(row["label"], where)
    fields = {name: row.get(name) or "" for name in ("attack", "speaker", "source", "split")}
    path = file.parent / row["file"]
    source = fields["source"] or file.parent.resolve().name
    return make_clip(path, label, fields["attack"], fields["speaker"], source, fields["split"] or split)
