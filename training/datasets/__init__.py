"""Corpora on disk -> lists of `Clip`; one module reads one layout.

    from training.datasets import read
    clips = read(Path("corpus/train.tsv"), "train")

`read` picks the reader by looking at the path; no corpus is ever downloaded.
"""

from pathlib import Path
from types import ModuleType

from training.datasets import (
    asvspoof5,
    asvspoof2019,
    asvspoof2021,
    fake_or_real,
    folder,
    in_the_wild,
    mlaad,
    partialspoof,
    protocol,
    wavefake,
)
from training.datasets.clip import (
    AUDIO_SUFFIXES,
    SPLITS,
    Clip,
    DataError,
    NoSplit,
    data_fingerprint,
    relative_names,
)

__all__ = [
    "AUDIO_SUFFIXES",
    "READERS",
    "SPLITS",
    "Clip",
    "DataError",
    "NoSplit",
    "data_fingerprint",
    "read",
    "reader_of",
    "relative_names",
]

# PartialSpoof before the plain folder, and the plain folder last: it recognises the least.
READERS: tuple[ModuleType, ...] = (
    protocol,
    fake_or_real,
    asvspoof2019,
    asvspoof2021,
    asvspoof5,
    partialspoof,
    in_the_wild,
    mlaad,
    wavefake,
    folder,
)


def read(data: Path, split: str) -> list[Clip]:
    """Clips of one split ("train", "dev" or "test"), sorted by path.

    Raises NoSplit when it has no clip of the split, and DataError when the path is not there, is laid out
    like no known corpus, or names files that are missing.
    """
    if split not in SPLITS:
        raise DataError(f"Split is {split!r}; expected one of {', '.join(SPLITS)}.")
    clips: list[Clip] = reader_of(data).read(data, split)
    if not clips:
        raise NoSplit(
            f"{data} has no clips for split {split!r}; expected at least one. Look at the folder or protocol."
        )
    return sorted(clips, key=lambda clip: str(clip.path))


def reader_of(data: Path) -> ModuleType:
    """The module that reads this path's layout. Raises DataError when there is none."""
    if not data.exists():
        raise DataError(f"{data} does not exist; expected a protocol file or a corpus folder. Check DATA.")
    for reader in READERS:
        if reader.recognises(data):
            return reader
    found = ", ".join(sorted(p.name for p in data.iterdir())[:6]) if data.is_dir() else data.name
    known = "\n".join(f"  - {reader.LAYOUT}" for reader in READERS)
    raise DataError(f"{data} holds {found or 'nothing'}, which is no known layout. Expected one of:\n{known}")
