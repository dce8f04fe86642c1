"""A clip as bytes, a path or an open file -> a file descriptor, which libsndfile reads by itself."""

import os
import tempfile
from pathlib import Path
from typing import IO

Source = bytes | Path | IO[bytes]


def open_source(source: Source) -> int:
    """A new file descriptor at the start of the clip's bytes; the caller closes it.

    libsndfile reads a descriptor without calling back into Python, and never sees a name to guess by."""
    if isinstance(source, Path):
        return os.open(source, os.O_RDONLY)
    if not isinstance(source, bytes):
        source.flush()
        fd = os.dup(source.fileno())
        os.lseek(fd, 0, os.SEEK_SET)
        return fd
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("clip")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    view = memoryview(source)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
