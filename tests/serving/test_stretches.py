"""Stretches read as tuples and held as columns."""

import tracemalloc

import numpy as np
import pytest

from serving.stretches import Stretch, Stretches

TABLE = np.array([[0.0, 1.0, -2.5, 0.1], [1.0, 2.0, 3.5, 0.9], [2.0, 2.5, 0.0, 0.5]])


def test_each_reads_as_a_stretch() -> None:
    found = Stretches(TABLE)
    assert list(found) == [Stretch(*row) for row in TABLE.tolist()]
    assert found[-1] == Stretch(2.0, 2.5, 0.0, 0.5) and type(found[0].llr) is float
    assert list(found[1:]) == list(found)[1:] and len(found[1:]) == 2


def test_none_are_none() -> None:
    assert not Stretches() and list(Stretches()) == []
    with pytest.raises(IndexError):
        Stretches()[0]


def test_the_same_numbers_are_the_same_stretches() -> None:
    assert Stretches(TABLE) == Stretches(TABLE.copy()) != Stretches(TABLE[:2])


def test_reading_one_after_another_takes_little_more_than_the_numbers() -> None:
    found = Stretches(np.tile(TABLE, (10_000, 1)))
    tracemalloc.start()
    try:
        assert sum(1 for _ in found) == 30_000
        assert tracemalloc.get_traced_memory()[1] < 30_000 * 4 * 8 / 2
    finally:
        tracemalloc.stop()
