"""Models that can be asked for by name and version: the served one, the challenger, and others beside them.

Others are `*.onnx` files in the folder that BONAFIDE_MODELS names, the first few by name. Each is opened when
it is first asked for, and again when its file changes.
"""

from __future__ import annotations

import threading
from pathlib import Path

from serving.detector import Detector
from serving.errors import ModelError
from serving.models import ModelSlot, stated_sha256
from serving.reload import Stamp, stamp_of

MOST_OPEN = 4  # beside the served one; each takes memory


class Shelf:
    """Models by name and version. A file that is not opened is left out; `problems` says why."""

    def __init__(self, slot: ModelSlot, challenger: Path, folder: Path | None, threads: int) -> None:
        self._slot, self._challenger, self._folder, self._threads = slot, challenger, folder, threads
        self._open: dict[Path, tuple[Stamp, Detector | None]] = {}  # None: it can't be opened
        self._lock = threading.Lock()
        self.problems: dict[str, str] = {}  # file name -> why it is left out

    def models(self) -> list[Detector]:
        """Every model there is, the served one first; of two with one name and version the first counts."""
        served = self._slot.detector
        found = {(served.manifest.name, served.manifest.version): served} if served else {}
        paths = self._paths()
        held, beyond = paths[:MOST_OPEN], paths[MOST_OPEN:]
        with self._lock:
            self._forget_all_but(held)
            for path in beyond:
                self.problems[path.name] = f"There are more than {MOST_OPEN} files: remove one before it."
        for path in held:
            detector = self._get(path)
            if detector is not None:
                found.setdefault((detector.manifest.name, detector.manifest.version), detector)
        return list(found.values())

    def find(self, name: str, version: str | None) -> Detector | None:
        """The served version where none is asked for, else the one that is; None where there is none."""
        served = self._slot.detector
        if served is not None and served.manifest.name == name and version in (None, served.manifest.version):
            return served
        named = [detector for detector in self.models() if detector.manifest.name == name]
        if version is None:
            return named[0] if named else None
        return next((detector for detector in named if detector.manifest.version == version), None)

    def _paths(self) -> list[Path]:
        others = sorted(self._folder.glob("*.onnx")) if self._folder is not None else []
        return [path for path in (self._challenger, *others) if path.exists()]

    def _forget_all_but(self, paths: list[Path]) -> None:
        self._open = {path: held for path, held in self._open.items() if path in paths}
        names = {path.name for path in paths}
        self.problems = {name: problem for name, problem in self.problems.items() if name in names}

    def _get(self, path: Path) -> Detector | None:
        stamp = stamp_of(path)
        with self._lock:
            held = self._open.get(path)
            if held is not None and held[0] == stamp:
                return held[1]
            detector = None
            try:
                detector = Detector.open(path, self._threads, stated_sha256(path))
                self.problems.pop(path.name, None)
            except (ModelError, OSError) as error:
                self.problems[path.name] = str(error).replace(str(path), path.name)  # anyone may ask for it
            self._open[path] = (stamp, detector)
            return detector
