"""Commands of the registry for the models page, in processes that outlive the worker that asked.

    python -m serving.jobs FOLDER ID COMMAND...      runs COMMAND, leaves FOLDER/ID.json

A job's file says what was asked, whether it runs, and then its exit code and output. One job runs at a time,
over all workers: the folder's lock is held by the running process and ends with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from serving.whole import write_whole

ID = re.compile(r"[0-9a-f]{32}")
RUNNING, DONE, LOST = "running", "done", "lost"
MOST_OUTPUT = 200_000  # characters kept of each stream
RELEASE_TRIES, RELEASE_PAUSE_S = 40, 0.05  # that a job which is done may take to let the lock go
KEPT = 50  # files of old jobs


class Busy(Exception):
    """Another job runs."""


@dataclass(frozen=True)
class Job:
    """What a job's file holds."""

    id: str
    kind: str  # gate, promote, rollback, list
    version: str  # empty where the kind has none
    started: float  # UNIX time
    state: str = RUNNING
    code: int | None = None
    out: str = ""
    err: str = ""


def start(folder: Path, kind: str, version: str, command: Sequence[str], variables: dict[str, str]) -> Job:
    """Runs the command on its own; raises Busy where a job runs already."""
    folder.mkdir(parents=True, exist_ok=True)
    if running(folder) is not None or not _free_soon(folder):
        raise Busy("Another command is running. Wait until it has ended.")
    _forget_old(folder)
    job = Job(uuid.uuid4().hex, kind, version, time.time())
    _write(folder, job)
    root = Path(__file__).resolve().parents[1]
    subprocess.Popen(
        [sys.executable, "-m", "serving.jobs", str(folder), job.id, *command],
        cwd=root, start_new_session=True,
        env={**os.environ, **variables}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return job


def read(folder: Path, identity: str) -> Job | None:
    """The job, `lost` where its process ended without a word; None where there is none of that id."""
    if not ID.fullmatch(identity):
        return None
    try:
        job = Job(**json.loads((folder / f"{identity}.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    if job.state == RUNNING and time.time() - job.started > 5 and _free(folder):
        return Job(**{**asdict(job), "state": LOST, "err": "The command was killed."})
    return job


def running(folder: Path) -> Job | None:
    """The job that runs now, if any."""
    for path in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)[:5]:
        job = read(folder, path.stem)
        if job is not None and job.state == RUNNING:
            return job
    return None


def _write(folder: Path, job: Job) -> None:
    write_whole(folder / f"{job.id}.json", json.dumps(asdict(job)).encode())


def _forget_old(folder: Path) -> None:
    paths = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in paths[KEPT:]:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Whether the lock was free; held inside."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
    finally:
        os.close(handle)


def _free(folder: Path) -> bool:
    with _lock(folder) as free:
        return free


def _free_soon(folder: Path) -> bool:
    """Whether the lock is free, or becomes so: a job says that it is done a moment before it lets go."""
    for _ in range(RELEASE_TRIES):
        if _free(folder):
            return True
        time.sleep(RELEASE_PAUSE_S)
    return False


def main() -> int:
    """Runs the command of one job."""
    folder, identity, command = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    job = read(folder, identity)
    if job is None:
        return 1
    with _lock(folder) as free:
        if not free:
            _write(
                folder, Job(**{**asdict(job), "state": DONE, "code": 1, "err": "Another command is running."})
            )
            return 1
        child = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        ended = {"state": DONE, "code": child.returncode}
        output = {"out": child.stdout[-MOST_OUTPUT:], "err": child.stderr[-MOST_OUTPUT:]}
        _write(folder, Job(**{**asdict(job), **ended, **output}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
