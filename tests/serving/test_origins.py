"""Where a clip changes its origin."""

import numpy as np
import pytest

from serving.origins import changes, cuts, joined, odds

A, B = np.array([0.0, 0.0, 0.0]), np.array([2.0, -1.0, 1.0])  # far apart
SIDE, APART = 16, 8


def heard(*parts: tuple[np.ndarray, int], noise: float = 0.3, seed: int = 0) -> np.ndarray:
    """Origins of so many frames each, (F, 3)."""
    origin = np.concatenate([np.tile(where, (count, 1)) for where, count in parts])
    return (origin + np.random.default_rng(seed).normal(0, noise, origin.shape)).astype(np.float32)


def test_a_cut_lies_where_the_origin_changes() -> None:
    origin = heard((A, 60), (B, 25), (A, 40))
    found, means = joined(cuts(origin, SIDE, APART), origin)
    assert len(found) == 3 and np.abs(found - [0, 60, 85]).max() <= 1
    np.testing.assert_allclose(means, [A, B, A], atol=0.3)


def test_the_change_is_the_squared_distance_of_both_sides_less_near_an_end() -> None:
    origin = heard((A, 40), (B, 40), noise=0.0)
    change = changes(origin, SIDE)
    assert len(change) == len(origin) - 1
    assert np.argmax(change) + 1 == 40
    assert change[39] == pytest.approx(((A - B) ** 2).sum())
    assert changes(heard((A, 4), (B, 40), noise=0.0), SIDE)[3] < change[39] / 2


def test_cuts_keep_apart_from_each_other_and_from_the_ends() -> None:
    noise = np.random.default_rng(1).normal(0, 3, (2000, 3))
    found = cuts(noise, SIDE, APART)
    assert len(found) > 20 and np.diff(found).min() >= APART
    assert len(noise) - found[-1] >= APART


def test_neighbours_of_one_origin_are_joined_and_others_not() -> None:
    origin = heard((A, 30), (A, 30), (B, 30))
    found, means = joined(np.array([0, 30, 60]), origin)
    assert list(found) == [0, 60]
    np.testing.assert_allclose(means[0], origin[:60].mean(axis=0), atol=1e-6)
    assert list(joined(np.array([0]), origin)[0]) == [0]


def test_the_odds_of_one_origin_are_even_at_one() -> None:
    found = odds(np.array([0.0, 1.0, 2.0, 1e9]))
    assert found[1] == 0.5 and found[0] > 0.99 and found[2] < 0.01 and found[3] == 0
