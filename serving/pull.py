"""A model registry -> a verified model file that web workers watch: the sidecar, or a step before them.

    MODEL_URI=models:/bonafide@champion MLFLOW_TRACKING_URI=http://mlflow:5000 \\
        python -m serving.pull --into DIR [--every SECONDS | --once]

Workers started with BONAFIDE_MODEL=DIR/detector.onnx never speak to the registry. A registry that is down,
slow or lying leaves the last good file in place; DIR/pull.json says what happened, for /readyz and /metrics.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from serving.detector import Detector
from serving.errors import ModelError
from serving.registry import Found, RegistryError, find
from serving.whole import replace_model, sha256_of, write_whole

MODEL, STATUS = "detector.onnx", "pull.json"
EVERY_S = 15.0
LATE = 4  # looks missed, after which a sidecar is said to be late


@dataclass(frozen=True)
class Status:
    """How the last look at the registry went."""

    uri: str
    at: float  # UNIX time
    problem: str  # empty: what the registry names is in place
    version: str  # in place, empty before the first
    sha256: str
    every_s: float = EVERY_S  # between looks

    @property
    def summary(self) -> str:
        """In words for /readyz; a sidecar that has died looks no more."""
        age_s = time.time() - self.at
        late = f"last looked {age_s:.0f} s ago" if age_s > LATE * max(self.every_s, EVERY_S) else ""
        return "; ".join(filter(None, (self.problem, late))) or "ok"


def pull(uri: str, tracking: str, folder: Path, every_s: float = EVERY_S) -> Status:
    """One look: fetches, verifies and places what the registry names unless it is there. Never raises."""
    before = read_status(folder)
    version, sha256 = (before.version, before.sha256) if before else ("", "")
    try:
        found = find(uri, tracking)
        if not _in_place(folder, found.sha256):
            _place(folder, found)
        status = Status(uri, time.time(), "", found.version, found.sha256, every_s)
    except (RegistryError, ModelError, OSError, ValueError) as error:
        status = Status(uri, time.time(), str(error) or type(error).__name__, version, sha256, every_s)
    try:
        write_whole(folder / STATUS, json.dumps(asdict(status)).encode())
    except OSError as error:
        return replace(status, problem=f"{folder / STATUS} can't be written: {error.strerror or error}")
    return status


def _in_place(folder: Path, sha256: str) -> bool:
    path = folder / MODEL
    return path.exists() and sha256_of(path.read_bytes()) == sha256


def _place(folder: Path, found: Found) -> None:
    """Fetches and opens the file beside the one in use; only one that opens takes its place."""
    content = found.fetch()
    if sha256_of(content) != found.sha256:
        raise RegistryError(
            f"Version {found.version} came with sha256 {sha256_of(content)}, "
            f"the registry states {found.sha256}. "
            "Register the run again."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as beside:
        trial = Path(beside) / MODEL
        trial.write_bytes(content)
        Detector.open(trial, expected_sha256=found.sha256)
    replace_model(folder / MODEL, content)


def read_status(folder: Path) -> Status | None:
    """What the last look left, None where none was made; a status file never raises."""
    try:
        return Status(**json.loads((folder / STATUS).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def metric_lines(folder: Path) -> list[str]:
    """Prometheus series of the last look, none where no sidecar fills the folder."""
    status = read_status(folder)
    if status is None:
        return []
    return [
        "# HELP bonafide_registry_ok 1 if what the registry names is in place.",
        "# TYPE bonafide_registry_ok gauge",
        f"bonafide_registry_ok {int(not status.problem)}",
        "# HELP bonafide_registry_age_seconds Since the sidecar last looked.",
        "# TYPE bonafide_registry_age_seconds gauge",
        f"bonafide_registry_age_seconds {max(0.0, time.time() - status.at):.1f}",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; with --once, 1 where nothing usable is in place."""
    parser = argparse.ArgumentParser(
        description="Fetch the model that a registry names, verify it, place it."
    )
    parser.add_argument("--into", type=Path, required=True, help="folder for detector.onnx and pull.json")
    parser.add_argument("--uri", default=os.environ.get("MODEL_URI"), help="default: MODEL_URI")
    parser.add_argument(
        "--tracking", default=os.environ.get("MLFLOW_TRACKING_URI"), help="default: MLFLOW_TRACKING_URI"
    )
    parser.add_argument("--every", type=float, default=EVERY_S, help="seconds between looks (%(default)s)")
    parser.add_argument("--once", action="store_true", help="look once and end")
    chosen = parser.parse_args(arguments)
    if not chosen.uri or not chosen.tracking:
        parser.error(
            "Say which model: MODEL_URI=models:/bonafide@champion and MLFLOW_TRACKING_URI=http://..."
        )
    said = None
    while True:
        status = pull(chosen.uri, chosen.tracking, chosen.into, chosen.every)
        line = status.problem or f"Version {status.version} is in place ({status.sha256[:12]})."
        if line != said:
            print(line, file=sys.stderr, flush=True)
            said = line
        if chosen.once:
            return 0 if (chosen.into / MODEL).exists() else 1
        time.sleep(chosen.every)


if __name__ == "__main__":
    sys.exit(main())
