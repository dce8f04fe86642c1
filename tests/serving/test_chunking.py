"""Windows of a clip: how many, where, and that cutting a stream into blocks and chunks changes nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.chunking import chunks, fit_window


def windows_of(samples: np.ndarray, block: int, window: int, hop: int, most: int) -> dict[int, np.ndarray]:
    """Start -> samples of every window, through chunks."""
    found: dict[int, np.ndarray] = {}
    blocks = (samples[at : at + block] for at in range(0, len(samples), block))
    for start, content in chunks(blocks, window, hop, most):
        count = 1 + (len(content) - window) // hop
        assert len(content) == window + (count - 1) * hop and 1 <= count <= most
        for index in range(count):
            assert start + index * hop not in found, "a window comes twice"
            found[start + index * hop] = content[index * hop : index * hop + window]
    return found


@pytest.mark.parametrize(
    ("count", "starts"), [(7, [0]), (8, [0]), (9, [0, 1]), (16, [0, 4, 8]), (18, [0, 4, 8, 10])]
)
def test_window_counts_around_one_and_two_windows(count: int, starts: list[int]) -> None:
    assert list(windows_of(np.arange(count, dtype=np.float32), 5, 8, 4, 16)) == starts


def test_no_samples_give_no_window() -> None:
    assert windows_of(np.zeros(0, np.float32), 5, 8, 4, 16) == {}


@given(
    count=st.integers(1, 200),
    block=st.integers(1, 60),
    window=st.integers(1, 20),
    hop=st.integers(1, 25),
    most=st.integers(1, 5),
)
def test_every_window_is_there_once_with_its_own_samples(
    count: int, block: int, window: int, hop: int, most: int
) -> None:
    samples = np.arange(count, dtype=np.float32)
    found = windows_of(samples, block, window, hop, most)
    if count < window:
        assert list(found) == [0]
        return
    expected = list(range(0, count - window + 1, hop))
    expected += [count - window] if expected[-1] != count - window else []  # the last full window is kept
    assert list(found) == expected
    for start, content in found.items():
        np.testing.assert_array_equal(content, samples[start : start + window])


def test_a_short_clip_is_repeated_to_one_window() -> None:
    np.testing.assert_array_equal(fit_window(np.array([1, 2, 3], np.float32), 8), [1, 2, 3, 1, 2, 3, 1, 2])
    np.testing.assert_array_equal(windows_of(np.array([1, 2, 3], np.float32), 2, 5, 1, 4)[0], [1, 2, 3, 1, 2])


def test_a_clip_of_a_window_or_more_is_left_alone() -> None:
    samples = np.arange(9, dtype=np.float32)
    assert fit_window(samples, 8) is samples


def test_chunks_hold_no_more_than_they_need() -> None:
    """Of an endless stream, no more is kept than a chunk, a block and a hop."""
    block = np.zeros(100, np.float32)
    for number, (_, content) in enumerate(chunks((block for _ in range(100_000)), 80, 20, 4)):
        base = content if content.base is None else content.base
        assert len(base) <= 80 + 3 * 20 + 2 * 100 + 4 * 20
        if number > 50:
            break
