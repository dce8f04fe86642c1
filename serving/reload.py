"""A promoted file -> the running worker: noticed within a second, opened beside the old model, swapped.

A file that does not verify, load or keep its contract changes nothing but readiness and /metrics: the last
good model serves on. At a cold start with such a file, the shipped bundle serves in its place.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import NamedTuple

from serving.models import BUNDLE, ModelSlot, digest_path
from serving.telemetry import Board, Metric

SETTLE_S = 0.2  # within which a digest follows its file
POLL_S = 0.5
FIRST_PAUSES_S = (0.0, 0.1, 0.4)  # before each attempt of a process that starts
LONGEST_PAUSE_S = 30.0  # between attempts at a file that stays bad
METRICS = (
    Metric("bonafide_reloads_total", "counter", "Models swapped in while serving, over all workers."),
    Metric("bonafide_reload_failures_total", "counter", "Attempts to load a changed file that failed."),
)

Stamp = tuple[tuple[int, int, int] | None, ...]
log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """What the last look at the file led to."""

    stamp: Stamp
    pause_s: float  # before the same file is tried again; 0 after a success
    at: float  # time.monotonic()


def load_first(slot: ModelSlot, path: Path, threads: int) -> None:
    """The model that a process starts with; for a bad `path` the shipped one, and a problem to report."""
    # A file may be seen between its rename and its digest's, and a worker may start at any moment.
    for pause_s in FIRST_PAUSES_S:
        time.sleep(pause_s)
        if slot.load(path, threads):
            return
    if path == BUNDLE:
        return
    problem = slot.problem
    if slot.load(BUNDLE, threads):
        slot.problem = f"{problem} The shipped model serves in its place."
    else:
        slot.problem = problem


class Reloader:
    """Watches one file for a slot; `start` it in each worker."""

    def __init__(self, slot: ModelSlot, path: Path, threads: int, board: Board, loaded: Stamp) -> None:
        """`loaded` is the file's stamp from before the slot's model was read: what came since is new."""
        self._slot, self._path, self._threads, self._board = slot, path, threads, board
        self._last = Outcome(loaded, 0.0 if slot.ready else POLL_S, time.monotonic())
        self._stopping = threading.Event()

    def start(self) -> None:
        """Looks every POLL_S from a thread of its own, until `stop`."""
        threading.Thread(target=self._watch, name="reload", daemon=True).start()

    def stop(self) -> None:
        """Ends the thread after its current look."""
        self._stopping.set()

    def _watch(self) -> None:
        while not self._stopping.wait(POLL_S):
            try:
                self.look()
            except Exception as error:  # whatever a file may do, the next one is to be noticed
                log.exception("Looking at %s failed", self._path)
                self._slot.problem = f"{self._path} can't be read: {error!r}."

    def look(self) -> bool:
        """One look at the file; True where a new model was swapped in."""
        stamp, now = self._stamp(), time.monotonic()
        changed = stamp != self._last.stamp
        due = self._last.pause_s > 0 and now - self._last.at >= self._last.pause_s
        if not changed and not due:
            return False
        before = self._slot.detector
        if not self._slot.load(self._path, self._threads):
            if changed and self._moves_on(stamp):
                return False
            pause_s = POLL_S if changed else min(2 * self._last.pause_s, LONGEST_PAUSE_S)
            self._last = Outcome(stamp, pause_s, now)
            self._board.add("bonafide_reload_failures_total")
            return False
        self._last = Outcome(stamp, 0.0, now)
        swapped = self._slot.detector is not before
        if swapped:
            self._board.add("bonafide_reloads_total")
        return swapped

    def _moves_on(self, stamp: Stamp) -> bool:
        """Whether a file was seen between its rename and its digest's, which is no failure."""
        self._stopping.wait(SETTLE_S)
        return self._stamp() != stamp

    def _stamp(self) -> Stamp:
        """What a rename changes, of the model and of its digest."""
        return stamp_of(self._path)


def stamp_of(path: Path) -> Stamp:
    """Changes when a model file or its digest is replaced."""
    return tuple(_file_stamp(part) for part in (path, digest_path(path)))


def _file_stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
