"""Files written whole: whoever reads, also after a kill or a power cut, sees all of a file or none of it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Writes beside `path` under a temporary name, flushes to disk, then renames; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp gives 0600; another user may serve what this one wrote
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes renames and removals inside `folder` outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(content: bytes) -> str:
    """Hexadecimal SHA-256 of `content`."""
    return hashlib.sha256(content).hexdigest()


def write_digests(model: Path, *digests: str) -> None:
    """States beside a model file which SHA-256 it may have, as sha256sum would."""
    beside = model.with_name(model.name + ".sha256")
    write_whole(beside, "".join(f"{digest}  {model.name}\n" for digest in digests).encode())


def replace_model(model: Path, content: bytes) -> None:
    """Puts a model file and its digest in place: whoever reads, after a kill too, finds what verifies.

    The rename of the model is the moment of change; around it the digest file states both files' digests.
    """
    new = sha256_of(content)
    if model.exists() and (old := sha256_of(model.read_bytes())) != new:
        write_digests(model, old, new)
    else:
        write_digests(model, new)
    write_whole(model, content)
    write_digests(model, new)
