"""Frames of a clip's chunks -> one row of frames."""

from typing import Any

import numpy as np
import numpy.typing as npt

LLRs = npt.NDArray[np.float32]


class FrameTrack:
    """Frames of overlapping chunks -> one row of frames; what two chunks cover is taken from the first."""

    def __init__(self, frame_hop: int, width: int = 1, kind: type[np.floating[Any]] = np.float32) -> None:
        """Of `width` numbers a frame, held as `kind`."""
        self._frame_hop, self._width, self._kind = frame_hop, width, np.dtype(kind)
        self._row = bytearray()  # in one piece: a list of five hours' chunks takes several times as much

    def add(self, start_sample: int, values: LLRs) -> None:
        """Frames from this sample of the clip on, (frames * width,) or (frames, width)."""
        # The last chunk may start between two frames: half a frame is the most that rounding moves it.
        first = round(start_sample / self._frame_hop)
        size = self._width * self._kind.itemsize
        held = len(self._row) // size
        # Windows further apart than they are long leave a gap that says nothing.
        self._row.extend(bytes(max(0, first - held) * size))
        new = values.reshape(-1, self._width)[max(0, held - first) :]
        self._row.extend(new.astype(self._kind, copy=False).tobytes())

    def joined(self, total_samples: int) -> npt.NDArray[Any]:
        """(F,), or (F, width) above 1, without the frames of a short clip's repetitions; after it none can be
        added.
        """
        frames = np.frombuffer(self._row, self._kind).reshape(-1, self._width)
        return (frames[:, 0] if self._width == 1 else frames)[: -(-total_samples // self._frame_hop)]
