"""Fake-or-Real (Reimao and Tzerpos, 2019) as Kaggle unpacks it -> clips, official splits only.

    for-norm/for-norm/{training,validation,testing}/{real,fake}/*.wav

Kaggle nests each version once more (for-2sec/for-2seconds, for-rerec/for-rerecorded); either level may be
given. The four versions hold the same recordings, so only one at a time is read.
"""

from pathlib import Path

from training.datasets.clip import Clip, DataError, audio_files, make_clip

LAYOUT = "Fake-or-Real: for-original, for-norm, for-2sec or for-rerec with training/, validation/, testing/"
FOLDERS = {"train": "training", "dev": "validation", "test": "testing"}
VERSIONS = {
    "for-original": "for-original",
    "for-norm": "for-norm",
    "for-2sec": "for-2seconds",
    "for-rerec": "for-rerecorded",
}


def recognises(data: Path) -> bool:
    return data.is_dir() and bool(_roots(data))


def read(data: Path, split: str) -> list[Clip]:
    """Clips of one official split. Raises DataError when the folder holds several versions or lacks the
    split."""
    roots = _roots(data)
    if len(roots) > 1:
        found = ", ".join(sorted(roots))
        raise DataError(
            f"{data} holds {found}, the same recordings over; expected one. "
            f"Use DATA={data}/{sorted(roots)[0]}."
        )
    ((version, root),) = roots.items()
    folder = root / FOLDERS[split]
    if not (folder / "real").is_dir() or not (folder / "fake").is_dir():
        raise DataError(f"{folder} lacks real/ or fake/; expected both. Unpack the whole of {version}.")
    source = f"fake-or-real/{version}"
    real = [make_clip(path, "bonafide", "", "", source, split) for path in audio_files(folder / "real")]
    return real + [make_clip(path, "spoof", "", "", source, split) for path in audio_files(folder / "fake")]


def _roots(data: Path) -> dict[str, Path]:
    """Version -> the folder that holds training/, validation/ and testing/, for what lies at or under
    data."""
    resolved = data.resolve()
    if _holds_splits(data):
        return {_version(resolved.name) or _version(resolved.parent.name) or resolved.name: data}
    found = {}
    for version, nested in VERSIONS.items():
        for root in (data / version / nested, data / version, data / nested):
            if _holds_splits(root):
                found[version] = root
                break
    return found


def _holds_splits(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in FOLDERS.values())


def _version(name: str) -> str:
    return next((version for version, nested in VERSIONS.items() if name in (version, nested)), "")
