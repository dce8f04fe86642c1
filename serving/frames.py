"""Frames of a clip's chunks -> one row of frames."""

from array import array

import numpy as np
import numpy.typing as npt

LLRs = npt.NDArray[np.float32]


class FrameTrack:
    """Frames of overlapping chunks -> one row of frames; what two chunks cover is taken from the first."""

    def __init__(self, frame_hop: int) -> None:
        self._frame_hop = frame_hop
        self._row = array("f")  # in one piece: a list of five hours' chunks takes several times as much

    def add(self, start_sample: int, frames: LLRs) -> None:
        # The last chunk may start between two frames: half a frame is the most that rounding moves it.
        first = round(start_sample / self._frame_hop)
        # Windows further apart than they are long leave a gap that says nothing.
        self._row.extend([0.0] * (first - len(self._row)))
        self._row.frombytes(frames[len(self._row) - first :].astype(np.float32, copy=False).tobytes())

    def joined(self, total_samples: int) -> LLRs:
        """(F,), without the frames of a short clip's repetitions; after it none can be added."""
        return np.frombuffer(self._row, np.float32)[: -(-total_samples // self._frame_hop)]
