"""Protocol TSV -> clips: a header line, columns `file` (relative to the TSV's folder) and `label`; `attack`,
`speaker`, `source` and `split` where they are known, any other column is ignored.

Give one file (`train.tsv`; its siblings `dev.tsv` and `test.tsv` serve the other splits) or the folder that
holds them.
"""

from pathlib import Path

from serving import tsv
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
    _check_header(file)
    return present([_clip(file, number, row, split) for number, row in tsv.rows(file)], file)


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


def _has_splits(file: Path) -> bool:
    return "split" in tsv.header(file)


def _check_header(file: Path) -> None:
    header = tsv.header(file)
    lacking = [name for name in REQUIRED if name not in header]
    if lacking:
        raise DataError(
            f"{file} has columns {', '.join(header) or '(none)'}; {' and '.join(lacking)} not found. "
            "Put a header line first, fields parted by tabs."
        )


def _clip(file: Path, number: int, row: dict[str, str | None], split: str) -> Clip:
    where = f"{file}, line {number}"
    name, word = row["file"], row["label"]
    if not name or word is None:
        raise DataError(f"{where}: found {list(row.values())}; expected a file and a label, parted by tabs.")
    label = label_of(word, where)
    fields = {name: row.get(name) or "" for name in ("attack", "speaker", "source", "split")}
    path = file.parent / name
    source = fields["source"] or file.parent.resolve().name
    return make_clip(path, label, fields["attack"], fields["speaker"], source, fields["split"] or split)
