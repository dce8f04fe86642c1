"""A request -> the clip's bytes as an open file without a name, gone when it is closed."""

import contextlib
import hashlib
import io
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from flask import Request, request
from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    RequestEntityTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
)

from serving.audio import Limits
from serving.errors import TooLarge

IN_MEMORY_BYTES = 2**20  # larger ones go to an unnamed file on disk
PIECE_BYTES = 2**16
STALL_S = 20.0
REFUSED_STALL_S = 1.0
MULTIPART_BYTES = 2**16  # boundaries and part headers around the clip
RAW_TYPES = ("audio/", "application/ogg", "application/octet-stream")


class Pieces:
    """A body in pieces as large as they are asked for. gunicorn's own stream fetches 1 KiB at a time from its
    reader, which for 10 s of WAV takes longer than to decode them.
    """

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, fewer only at the end; below 0 all that is left."""
        found: bytes = self._reader.read(sys.maxsize if size < 0 else size)
        return found


class UploadRequest(Request):
    """A request whose file parts land where the decoder can read them by descriptor, without another copy."""

    max_form_parts = 8

    def __init__(self, environ: dict[str, Any], *args: Any, **options: Any) -> None:
        reader = getattr(environ["wsgi.input"], "reader", None)
        if reader is not None:
            environ["wsgi.input"] = Pieces(reader)
        super().__init__(environ, *args, **options)

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        return nameless_file(total_content_length)


def nameless_file(size: int | None) -> IO[bytes]:
    """An empty file with a descriptor and no name, in memory if it is known to stay small."""
    if size is not None and size <= IN_MEMORY_BYTES and hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("upload"), "w+b")
    return tempfile.TemporaryFile()


def receive(limits: Limits) -> IO[bytes]:
    """The clip of the current request: multipart field `file`, or the body with an audio content type.

    Raises TooLarge, and werkzeug's BadRequest, UnsupportedMediaType and RequestTimeout. The caller closes the
    file.
    """
    try:
        return _field() if request.mimetype == "multipart/form-data" else _body()
    except RequestEntityTooLarge:
        most = request.max_content_length
        if most is not None and request.content_length is not None and request.content_length <= most:
            raise BadRequest(
                f"The form has more than {UploadRequest.max_form_parts} parts or a long field without a file "
                "name. Send the clip alone, as a file named 'file'."
            ) from None
        raise too_large(limits) from None


def too_large(limits: Limits) -> TooLarge:
    return TooLarge(
        f"The upload is larger than {limits.max_bytes / 2**20:g} MiB. "
        "Send a shorter clip or a smaller format."
    )


def _field() -> IO[bytes]:
    with stalls_noticed():
        part = request.files.get("file")
    if part is None:
        raise BadRequest("The form has no file field named 'file'. Send the clip in it.")
    return part.stream


def _body() -> IO[bytes]:
    if not request.mimetype.startswith(RAW_TYPES):
        raise UnsupportedMediaType(
            f"The content type is {request.mimetype or 'missing'}. "
            "Send multipart/form-data with a field 'file', or the clip itself as audio/*."
        )
    return body()


def body() -> IO[bytes]:
    """The current request's body as it comes; the caller closes the file.

    Raises RequestEntityTooLarge, RequestTimeout.
    """
    file = nameless_file(request.content_length)
    with stalls_noticed():
        while piece := request.stream.read(PIECE_BYTES):
            file.write(piece)
    return file


@contextlib.contextmanager
def stalls_noticed(within_s: float = STALL_S) -> Iterator[None]:
    """A client that sends nothing for `within_s` gives its place and its connection up: gunicorn itself would
    wait for ever, and what it has read of a piece is lost.

    Raises RequestTimeout.
    """
    connection = request.environ.get("gunicorn.socket")
    if connection is None:
        yield
        return
    connection.settimeout(within_s)
    try:
        yield
    except (TimeoutError, ClientDisconnected) as error:  # werkzeug takes one for the other
        if not isinstance(error.__context__ or error, TimeoutError):
            raise
        _read_no_more(connection)
        raise RequestTimeout(f"Nothing came for {within_s:g} s. Send the clip again.") from None
    finally:
        connection.settimeout(None)


def discard_body() -> None:
    """Read what a small request still sends: unread, it would cost the client its connection.

    One that is large, or stalls, loses it: gunicorn would wait for the rest, in a thread that others need.
    """
    if (request.content_length or 0) <= IN_MEMORY_BYTES:
        with contextlib.suppress(RequestTimeout, ClientDisconnected), stalls_noticed(REFUSED_STALL_S):
            while request.stream.read(PIECE_BYTES):
                pass
            return
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        _read_no_more(connection)


def _read_no_more(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the client may be gone
        connection.shutdown(socket.SHUT_RD)


def digest(file: IO[bytes]) -> tuple[str, int]:
    """sha256 and length of an open file."""
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return found, file.seek(0, io.SEEK_END)
