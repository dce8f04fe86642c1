"""A plain folder -> clips: `real/` and `fake/`, or `train/`, `dev/` and `test/` that each hold them.

A subfolder of `fake/` names the generator, one of `real/` the source. Without split folders, files are split
by a hash of their name without suffix, so that a fake and its real twin of the same name land in the same
split.
"""

from pathlib import Path

from training.datasets.clip import SPLITS, Clip, audio_files, hashed_split, make_clip

LAYOUT = "folder: real/ and fake/, or train/, dev/, test/ with real/ and fake/ in each"
LABEL_FOLDERS = {"real": "bonafide", "fake": "spoof"}


def recognises(data: Path) -> bool:
    return _holds_labels(data) or any(_holds_labels(data / split) for split in SPLITS)


def read(data: Path, split: str) -> list[Clip]:
    """Clips of one split; an absent split folder gives none."""
    if _holds_labels(data):
        return [clip for clip in _clips(data, data.resolve().name) if clip.split == split]
    return _clips(data / split, data.resolve().name, split)


def _holds_labels(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in LABEL_FOLDERS)


def _clips(folder: Path, source: str, split: str = "") -> list[Clip]:
    clips = []
    for name, label in LABEL_FOLDERS.items():
        for path in audio_files(folder / name):
            parts = path.relative_to(folder / name).parts
            group = parts[0] if len(parts) > 1 else ""
            attack = group if label == "spoof" else ""
            origin = group if label == "bonafide" and group else source
            clips.append(make_clip(path, label, attack, "", origin, split or hashed_split(path.stem)))
    return clips
