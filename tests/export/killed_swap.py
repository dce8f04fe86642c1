"""Swaps a bundle and kills itself with SIGKILL before the n-th file operation: killed_swap.py FOLDER N.

Exits 0 where there were fewer operations than that.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from export import bundle
from export.bundle import Bundle, Store
from export.history import Change
from serving.whole import sha256_of

OLD, NEW = b"the old model", b"the new model"
OLD_BUNDLE, NEW_BUNDLE = Bundle("1", sha256_of(OLD), "run1"), Bundle("2", sha256_of(NEW), "run2")
CHANGE = Change("id", "2026-01-01T00:00:00+00:00", "tester", "promote", OLD_BUNDLE, NEW_BUNDLE)


def settle(folder: Path) -> Any:
    """Stands in for the registry: the alias is a file."""
    return lambda change: (folder.parent / "champion").write_text(change.after.version)


def die_at(count: int) -> None:
    left = count

    def counted(operation: Any) -> Any:
        def run(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return operation(*arguments, **options)

        return run

    for module, name in (
        (os, "replace"),
        (os, "fsync"),
        (os, "unlink"),
        (os, "chmod"),
        (os, "fdopen"),
        (tempfile, "mkstemp"),
        (Path, "unlink"),
    ):
        setattr(module, name, counted(getattr(module, name)))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    die_at(int(sys.argv[2]))
    with bundle.locked(folder):
        bundle.swap(folder, Store(folder.parent / "store"), NEW, CHANGE, settle(folder))
