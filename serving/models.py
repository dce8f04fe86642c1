"""The model that a process serves now: one slot, swapped whole, never emptied by a bad file."""

from pathlib import Path

from serving.detector import Detector
from serving.errors import ModelError

BUNDLE = Path(__file__).resolve().parent / "bundle" / "detector.onnx"


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
        """Open `path` and swap it in; on a bad file keep what there is, set `problem` and return False."""
        try:
            self.swap(Detector.open(path, threads, stated_sha256(path)))
        except ModelError as error:
            self.problem = str(error)
            return False
        return True


def stated_sha256(path: Path) -> str | None:
    """The hash in `path`.sha256 (as sha256sum writes it), None without such a file.

    Raises ModelError for the shipped bundle without one and for a file that holds no hash.
    """
    beside = path.with_name(path.name + ".sha256")
    if not beside.exists():
        if path == BUNDLE and path.exists():
            raise ModelError(f"{beside} is missing. Restore it, or promote a version again.")
        return None
    words = beside.read_text().split()
    if not words or len(words[0]) != 64:
        raise ModelError(f"{beside} holds no sha256. Write it with `sha256sum {path.name}`.")
    return words[0]
