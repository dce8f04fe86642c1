"""Clips decoded in a process of their own: a decoder that crashes on hostile bytes costs one answer only.

The process gets a file descriptor and limits over a socket and sends blocks of samples back. It knows no
secrets (its environment holds paths only), may use bounded memory, and ends when the socket does. A message
is a kind (one byte), a length (uint32) and that many bytes: R ready, F facts, B block, E error, Z end.
"""

import contextlib
import json
import os
import queue
import resource
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from serving.audio import LOCAL, ClipFacts, ClipStream, Limits, Samples
from serving.errors import ClipError, DecoderFailed, clip_error
from serving.memory import keep_freed
from serving.source import Source, open_source

HEADER = struct.Struct("<cI")
START_S = 30.0  # to import numpy, soundfile and soxr on a busy machine
ANSWER_S = 20.0  # to give the next block; a block takes milliseconds
MEMORY_BYTES = 2**30  # address space of the process
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
ROOT = Path(__file__).resolve().parent.parent


class DecoderProcess:
    """Decodes one clip at a time, for one thread. Starts when first needed and again after a crash."""

    def __init__(self, answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Start the process and wait until it answers. Raises OSError if it doesn't."""
        if self._process is not None and self._process.poll() is None:
            return
        self.stop()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "serving.decoder", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # the MP3 decoder comments on what it reads
            )
        self._socket = ours
        ours.settimeout(START_S)
        if _receive(ours)[0] != b"R":
            self.stop()
            raise OSError("The decoder process did not start. Run `python -m serving.decoder` to see why.")
        ours.settimeout(self._answer_s)

    @contextlib.contextmanager
    def open(self, source: Source, limits: Limits = LOCAL) -> Iterator["RemoteClip"]:
        """A clip for one pass, as `serving.audio.stream` gives. Raises ClipError, OSError."""
        clip = self._hand_over(source, limits)
        try:
            clip.read_facts()
            yield clip
        finally:
            if not clip.finished:  # crashed, stuck or abandoned: what it would still send belongs to no one
                self.stop()

    def _hand_over(self, source: Source, limits: Limits) -> "RemoteClip":
        fd = open_source(source)
        try:
            self.start()
            assert self._socket is not None
            socket.send_fds(self._socket, [json.dumps(asdict(limits)).encode()], [fd])
        except ConnectionError:
            self.stop()
            raise DecoderFailed("The decoder process is gone. Send the clip again.") from None
        finally:
            os.close(fd)
        return RemoteClip(self._socket)

    def stop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class DecoderPool:
    """A decoder process for each of `count` threads that decode at the same time."""

    def __init__(self, count: int) -> None:
        self._processes = [DecoderProcess() for _ in range(count)]
        self._free: queue.LifoQueue[DecoderProcess] = queue.LifoQueue()  # the last one used is the warmest
        for process in self._processes:
            self._free.put(process)

    def start(self) -> None:
        """Start them ahead of need, one after another: a core stays free for the model.

        Clips that come meanwhile wait for one. What can't start is left to the clip that needs it to say so.
        """
        held = [self._free.get() for _ in self._processes]
        for process in held:
            with contextlib.suppress(OSError):
                process.start()
            self._free.put(process)

    @contextlib.contextmanager
    def open(self, source: Source, limits: Limits = LOCAL) -> Iterator["RemoteClip"]:
        """A clip from a process that is free, as DecoderProcess gives it."""
        process = self._free.get()
        try:
            with process.open(source, limits) as clip:
                yield clip
        finally:
            self._free.put(process)

    def stop(self) -> None:
        for process in self._processes:
            process.stop()


def _environment() -> dict[str, str]:
    """Where Python and its libraries are, and nothing else: no token or address of this process."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**kept, "OPENBLAS_NUM_THREADS": "1"}


class RemoteClip:
    """A clip that the decoder process is reading."""

    facts: ClipFacts

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.finished = False

    def read_facts(self) -> None:
        self.facts = ClipFacts(**json.loads(self._next(b"F")))

    def __iter__(self) -> Iterator[Samples]:
        while block := self._next(b"B"):
            yield np.frombuffer(block, np.float32)

    def _next(self, expected: bytes) -> bytearray:
        """Content of the next message, empty at the clip's end. Raises ClipError."""
        kind, content = _receive(self._socket)
        if kind == expected:
            return content
        self.finished = kind in (b"Z", b"E")
        if kind == b"Z":
            return bytearray()
        if kind == b"E":
            raise clip_error(**json.loads(content))
        raise DecoderFailed("The decoder gave up on this file: it is damaged or hostile. Export it again.")


def _receive(connection: socket.socket) -> tuple[bytes, bytearray]:
    """Kind and content of one message; kind is empty if the other side is gone or silent for too long."""
    try:
        header = _receive_exactly(connection, HEADER.size)
        kind, length = HEADER.unpack(header)
        return kind, _receive_exactly(connection, length)
    except OSError:  # includes TimeoutError
        return b"", bytearray()


def _receive_exactly(connection: socket.socket, length: int) -> bytearray:
    content = bytearray(length)
    view = memoryview(content)
    while view:
        count = connection.recv_into(view)
        if not count:
            raise ConnectionResetError("decoder process ended")
        view = view[count:]
    return content


def _send(connection: socket.socket, kind: bytes, content: bytes | memoryview = b"") -> None:
    connection.sendall(HEADER.pack(kind, len(content)))
    if len(content):
        connection.sendall(content)


def serve(connection: socket.socket) -> None:
    """The process' loop: one clip after another until the socket closes."""
    keep_freed()
    _send(connection, b"R")
    while True:
        request, fds, _, _ = socket.recv_fds(connection, 4096, 1)
        if not request:
            return
        with os.fdopen(fds[0], "rb") as source:
            _answer(connection, source, Limits(**json.loads(request)))


def _answer(connection: socket.socket, source: Source, limits: Limits) -> None:
    try:
        with ClipStream(source, limits) as clip:
            _send(connection, b"F", json.dumps(asdict(clip.facts)).encode())
            for block in clip:
                _send(connection, b"B", np.ascontiguousarray(block).data.cast("B"))
        _send(connection, b"Z")
    except ClipError as error:
        _send(connection, b"E", json.dumps({"code": error.code, "message": error.message}).encode())


def main(descriptor: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=int(descriptor)) as connection, contextlib.suppress(ConnectionError):
        serve(connection)


if __name__ == "__main__":
    main(sys.argv[1])
