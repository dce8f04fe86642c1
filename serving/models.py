"""The model that a process serves now: one slot, swapped whole, never emptied by a bad file."""

import re
from pathlib import Path

from serving.detector import Detector
from serving.errors import ModelError
from serving.whole import sha256_of

BUNDLE = Path(__file__).resolve().parent / "bundle" / "detector.onnx"
LIGHT = BUNDLE.parents[1] / "light" / BUNDLE.name  # a smaller version, served where a setting names it
MLRUNS = BUNDLE.parents[2] / "mlruns"
SHA256 = re.compile(r"[0-9a-fA-F]{64}")
CHALLENGER = MLRUNS / "challenger" / "detector.onnx"


class ModelSlot:
    """Holds the current Detector. A failed load keeps the last good one and is told by `problem`."""

    def __init__(self) -> None:
        self.problem = "No model has been loaded yet."
        self._detector: Detector | None = None

    @property
    def detector(self) -> Detector | None:
        """The current model. Take it once a request: everything in an answer then comes from one version."""
        return self._detector

    @property
    def ready(self) -> bool:
        return self._detector is not None and not self.problem

    def swap(self, detector: Detector) -> None:
        """Put an opened and warmed model in place; requests under way finish on the old one."""
        self._detector = detector
        self.problem = ""

    def load(self, path: Path, threads: int = 1) -> bool:
        """Open `path` and swap it in; on a bad file keep what there is, set `problem` and return False.

        A file that is the current model's already is not opened again.
        """
        try:
            expected = stated_sha256(path)
            if not self._holds(path, expected):
                self.swap(Detector.open(path, threads, expected))
        except (ModelError, OSError) as error:
            self.problem = str(error)
            return False
        self.problem = ""
        return True

    def _holds(self, path: Path, expected: str | None) -> bool:
        if self._detector is None or expected not in (None, self._detector.sha256):
            return False
        return path.exists() and sha256_of(path.read_bytes()) == self._detector.sha256


def digest_path(path: Path) -> Path:
    """Where the hash of a model file is stated."""
    return path.with_name(path.name + ".sha256")


def stated_sha256(path: Path) -> str | None:
    """The hash in `path`.sha256 (as sha256sum writes it), None without such a file.

    During a promotion the file states the old and the new hash: then it is the one that `path` has.
    Raises ModelError for the shipped bundle without one and for a file that holds no hash.
    """
    beside = digest_path(path)
    if not beside.exists():
        if path == BUNDLE and path.exists():
            raise ModelError(f"{beside} is missing. Restore it, or promote a version again.")
        return None
    digests = [line.split()[0] for line in beside.read_text(errors="replace").splitlines() if line.split()]
    if not digests or not all(SHA256.fullmatch(digest) for digest in digests):
        raise ModelError(f"{beside} holds no sha256. Write it with `sha256sum {path.name}`.")
    if len(digests) > 1 and path.exists() and (found := sha256_of(path.read_bytes())) in digests:
        return found
    return digests[0]
