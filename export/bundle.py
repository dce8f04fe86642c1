"""The served bundle, replaced all or nothing: `detector.onnx`, its digest and the audit log in one folder.

The rename of detector.onnx is the moment of change. Before it, a note of the intended change is on disk and
the digest file names both files, so that a server may verify whichever it finds (`replace_model`). Whoever
comes next after a kill reads the note and the file that is there, and takes the change back or completes it
(`recover`). Promoted files are also kept by digest in a store, so that a rollback restores the same bytes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from export import history
from export.history import Bundle, Change
from serving.whole import replace_model, sha256_of, sync_folder, write_digests, write_whole

MODEL = "detector.onnx"
DIGEST = "detector.onnx.sha256"
NOTE = ".pending.json"


class BundleError(Exception):
    """The bundle cannot be read or replaced."""


class Store:
    """Model files by digest; each is verified whenever it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, model: bytes) -> str:
        """Stores the file once; gives its digest."""
        digest = sha256_of(model)
        path = self.folder / f"{digest}.onnx"
        if not path.exists() or sha256_of(path.read_bytes()) != digest:
            write_whole(path, model)
        return digest

    def get(self, digest: str) -> bytes | None:
        """The file of that digest, or None where it is missing or damaged."""
        path = self.folder / f"{digest}.onnx"
        if not digest or not path.exists():
            return None
        model = path.read_bytes()
        return model if sha256_of(model) == digest else None


def digest_of(folder: Path) -> str:
    """SHA-256 of the served file, empty where there is none."""
    path = folder / MODEL
    return sha256_of(path.read_bytes()) if path.exists() else ""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One change at a time; the lock is on the folder itself and dies with its process."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def swap(folder: Path, store: Store, model: bytes, change: Change, settle: Callable[[Change], None]) -> None:
    """Puts `model` in place and calls `settle` (registry aliases); call it inside `locked`, after `recover`.

    Raises BundleError where the folder no longer holds `change.before` or `model` is not `change.after`.
    """
    if digest_of(folder) != change.before.sha256:
        raise BundleError("The served bundle changed meanwhile; try again")
    if sha256_of(model) != change.after.sha256:
        raise BundleError(
            f"Model has sha256 {sha256_of(model)}, expected {change.after.sha256}; export it again"
        )
    if change.before.sha256:
        store.keep((folder / MODEL).read_bytes())
    store.keep(model)
    write_whole(folder / NOTE, json.dumps(dataclasses.asdict(change)).encode())
    replace_model(folder / MODEL, model)
    _finish(folder, change, settle)


def recover(folder: Path, settle: Callable[[Change], None]) -> str:
    """Completes or takes back an interrupted change; gives a sentence on what it did, empty for nothing."""
    for name in (MODEL, NOTE, history.NAME):
        for leftover in folder.glob(f".{name}.*"):
            leftover.unlink(missing_ok=True)  # temporary files of a killed writer
    note = folder / NOTE
    if not note.exists():
        return ""
    change = Change.from_dict(json.loads(note.read_text("utf-8")))
    if digest_of(folder) == change.after.sha256:
        _finish(folder, change, settle)
        return f"Completed the interrupted {change.action} of version {change.after.version}."
    if change.before.sha256:
        write_digests(folder / MODEL, change.before.sha256)
    else:
        _remove(folder / DIGEST)
    _remove(note)
    return f"Took back the interrupted {change.action} of version {change.after.version}."


def _finish(folder: Path, change: Change, settle: Callable[[Change], None]) -> None:
    """What follows the rename; each step may be done twice."""
    write_digests(folder / MODEL, change.after.sha256)
    history.append(folder, change)
    settle(change)
    _remove(folder / NOTE)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


__all__ = ["DIGEST", "MODEL", "Bundle", "BundleError", "Store", "digest_of", "locked", "recover", "swap"]
