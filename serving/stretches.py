"""Windows and spans of a clip, in seconds: read one by one, held as columns of numbers."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Stretch(NamedTuple):
    """A window or a span, in seconds from the clip's start."""

    start_s: float
    end_s: float
    llr: float
    probability: float  # of spoof


class Stretches(Sequence[Stretch]):
    """K of them in order. As Python's own numbers those of five hours would take six times the room."""

    def __init__(self, table: Floats | None = None) -> None:
        """(K, 4), columns as Stretch has them; none without."""
        self._table = np.zeros((0, len(Stretch._fields))) if table is None else table

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, index: int) -> Stretch: ...
    @overload
    def __getitem__(self, index: slice) -> "Stretches": ...
    def __getitem__(self, index: int | slice) -> "Stretch | Stretches":
        found = self._table[index]
        return Stretches(found) if isinstance(index, slice) else Stretch._make(found.tolist())

    def __iter__(self) -> Iterator[Stretch]:
        return (Stretch._make(row.tolist()) for row in self._table)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stretches):
            return NotImplemented
        return np.array_equal(self._table, other._table)
