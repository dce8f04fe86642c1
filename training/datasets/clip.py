"""What every reader gives, `Clip`, and the rules that readers share: labels, missing files, splits."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "dev", "test")
LABELS = {
    "bonafide": "bonafide",
    "bona-fide": "bonafide",
    "real": "bonafide",
    "spoof": "spoof",
    "fake": "spoof",
}
AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"})
REAL_ATTACK = "-"  # attack of a clip that no generator made
DEV_PERCENT, TEST_PERCENT = 10, 10  # of groups, where a corpus has no official splits


class DataError(ValueError):
    """A corpus is not as its reader expects; the message says what was found, what was expected and what to
    do."""


class NoSplit(DataError):
    """The corpus is as its reader expects, but has no clips for the split."""


@dataclass(frozen=True)
class Clip:
    """One recording and what its corpus says of it."""

    path: Path
    label: str  # "bonafide" or "spoof"
    attack: str = REAL_ATTACK  # generator; "-" for bona fide, "unknown" where the corpus does not say
    speaker: str = "unknown"
    source: str = "unknown"  # corpus, or the part of it that shares recording conditions
    split: str = "train"


def label_of(text: str, where: str) -> str:
    """A corpus' own word for the label -> "bonafide" or "spoof". Raises DataError on any other word."""
    label = LABELS.get(text.strip().lower())
    if label is None:
        raise DataError(f"{where}: label is {text!r}; expected one of {', '.join(LABELS)}.")
    return label


def make_clip(path: Path, label: str, attack: str, speaker: str, source: str, split: str) -> Clip:
    """A Clip whose attack agrees with its label: "-" for bona fide, never "-" or empty for spoof."""
    named = attack.strip()
    if label == "bonafide":
        named = REAL_ATTACK
    elif named in ("", REAL_ATTACK):
        named = "unknown"
    return Clip(path, label, named, speaker.strip() or "unknown", source.strip() or "unknown", split)


def present(clips: list[Clip], listed_in: Path) -> list[Clip]:
    """The same clips, when every file is there. Raises DataError that counts the missing ones."""
    missing = [clip.path for clip in clips if not clip.path.is_file()]
    if missing:
        raise DataError(
            f"{listed_in} names {len(clips)} clips but {len(missing)} are not there, first {missing[0]}. "
            "Finish unpacking the audio, or remove those rows."
        )
    return clips


def audio_files(folder: Path) -> Iterator[Path]:
    """Audio files anywhere under a folder, in order of their names; hidden files are left out."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".") and path.is_file():
            yield path


def hashed_split(group: str) -> str:
    """Split of a group (speaker, utterance, generator) where the corpus defines none: 80/10/10 by a hash of
    its name.

    The same on every machine and unmoved by clips added later; a group is never in two splits.
    """
    bucket = int.from_bytes(hashlib.sha256(group.encode()).digest()[:4], "big") % 100
    if bucket < TEST_PERCENT:
        return "test"
    return "dev" if bucket < TEST_PERCENT + DEV_PERCENT else "train"


def only_test(split: str, corpus: str) -> None:
    """Raise NoSplit unless split is "test", for corpora that their authors made for evaluation alone."""
    if split != "test":
        raise NoSplit(
            f"{corpus} is an evaluation set: it has a test split only, {split!r} was asked for. "
            "To train on it, list the clips you choose in a protocol TSV."
        )


def data_fingerprint(clips: Iterable[Clip]) -> str:
    """sha256 (hex) over each clip's name relative to the clips' common folder, label and size in bytes.

    Unmoved by the order of the clips and by where the corpus lies. Contents are not read: sizes stand for
    them.
    """
    clips = list(clips)
    lines = (
        f"{name}\t{clip.label}\t{clip.path.stat().st_size}\n"
        for name, clip in zip(relative_names(clips), clips, strict=True)
    )
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def relative_names(clips: Sequence[Clip]) -> list[str]:
    """Each clip's path from the clips' common folder: the same wherever the corpus lies, however it is
    spelt.
    """
    if not clips:
        return []
    root = os.path.commonpath([clip.path.parent.absolute() for clip in clips])
    return [Path(os.path.relpath(clip.path.absolute(), root)).as_posix() for clip in clips]
