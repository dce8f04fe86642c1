"""Sections of one origin are found, say one thing each, and a cut alone says nothing."""

import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest

from serving.activity import FRAME_SAMPLES, Activity
from serving.sections import (
    BLOCK_S,
    CONTRAST,
    MOST_AGAIN,
    REACH_S,
    SETTLED_S,
    Sectioner,
    Sections,
    asked,
)
from tests.serving.conftest import ALL_SPEECH

RATE, HOP, WINDOW = 16_000, 640, 30_720
BLOCK_WINDOWS = round(BLOCK_S * RATE / WINDOW)
SIZE = WINDOW // HOP  # frames a window
REACH = round(REACH_S * RATE / HOP)  # frames
A, B = (0.0, 0.0), (2.0, -1.0)  # origins that are far apart
Part = tuple[tuple[float, float], int, float]  # origin, frames, LLR


class Clip:
    """Samples that a graph would hear as these parts: each holds its LLR, and the frames are noisy."""

    def __init__(self, *parts: Part, noise: float = 0.15, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.llr = np.concatenate([np.full(count, llr) for _, count, llr in parts])
        self.frames = (self.llr + rng.normal(0, noise, len(self.llr))).astype(np.float32)
        origin = np.concatenate([np.tile(where, (count, 1)) for where, count, _ in parts])
        self.origin = (origin + rng.normal(0, 2 * noise, origin.shape)).astype(np.float32)
        self.samples = np.repeat(self.llr, HOP).astype(np.float32)
        self.asked: list[np.ndarray] = []
        self.activity = ALL_SPEECH

    def windows(self) -> list[int]:
        """First frames, the last one off the grid where the others leave a tail."""
        starts = list(range(0, max(1, len(self.llr) - SIZE + 1), SIZE))
        return starts if starts[-1] + SIZE >= len(self.llr) else [*starts, len(self.llr) - SIZE]

    def again(self, rows: np.ndarray) -> np.ndarray:
        """What a graph says that hears the mean of what it is given."""
        self.asked.extend(rows)
        return np.asarray(rows.mean(axis=1), np.float32)

    def sections(self, said: float | None = None, together: int = 1) -> Sections:
        """Windows say the mean of what they hear, or all the same; so many go together."""
        sectioner = Sectioner(WINDOW, HOP, RATE, self.again)
        starts = self.windows()
        grid = [start for start in starts if start % SIZE == 0]
        groups: list[Sequence[int]] = [grid[at : at + together] for at in range(0, len(grid), together)]
        groups += [[start] for start in starts if start % SIZE]
        for group in groups:
            own = slice(group[0], group[-1] + SIZE)
            llr = [self.llr[start : start + SIZE].mean() if said is None else said for start in group]
            sectioner.add(
                group[0] * HOP,
                np.resize(self.samples[own.start * HOP : own.stop * HOP], len(group) * WINDOW),
                np.array(llr, np.float32),
                np.resize(self.frames[own], len(group) * SIZE),
                np.resize(self.origin[own], (len(group) * SIZE, 2)),
            )
        return sectioner.done(len(self.samples), self.activity)


def test_an_insert_is_found_with_sharp_edges_and_what_surrounds_it_speaks_as_one() -> None:
    found = Clip((A, 60, -3.0), (B, 25, 3.0), (A, 40, -1.0)).sections().curve()
    edges = np.flatnonzero(np.abs(np.diff(found)) > 1) + 1
    assert len(edges) == 2 and np.abs(edges - [60, 85]).max() <= 2
    # Before and after it the same voice speaks: -3 over 60 frames and -1 over 40.
    np.testing.assert_allclose(found[[0, 30, 100, 124]], -2.2, atol=0.3)
    assert found[72] == pytest.approx(3.0, abs=0.4)


def test_a_cut_between_two_of_one_label_is_no_evidence() -> None:
    found = Clip((A, 60, -2.0), (B, 25, -2.0), (A, 40, -2.0)).sections().curve()
    np.testing.assert_allclose(found, -2.0, atol=0.15)


def test_a_clip_of_one_origin_says_one_thing_and_nothing_is_asked_again() -> None:
    clip = Clip((A, 50, -2.0), (A, 40, 2.0))
    found = clip.sections()
    assert list(found.frames) == [90] and not clip.asked
    assert np.ptp(found.curve()) == 0
    assert found.llr[0] == pytest.approx(clip.frames.mean(), abs=0.25)


def test_a_window_of_one_origin_joins_its_frames() -> None:
    np.testing.assert_allclose(
        Clip((A, SIZE, 0.0)).sections(said=8.0).curve(), 4.0, atol=0.2
    )  # half and half


def test_of_a_window_of_two_origins_each_is_asked_again_alone() -> None:
    clip = Clip((A, 24, -4.0), (B, 24, 4.0))
    found = clip.sections(said=50.0).curve()  # what the window says of both together does not count
    assert len(clip.asked) == 2
    for row, llr in zip(clip.asked, (-4.0, 4.0), strict=True):
        assert row.shape == (WINDOW,)
        assert row.mean() == pytest.approx(llr, abs=0.7)  # a frame or two of the other one
    np.testing.assert_allclose([found[0], found[-1]], [-4.0, 4.0], atol=0.6)


def test_what_lies_too_far_off_is_not_asked() -> None:
    near, far = (
        Clip((A, 48, 4.0), (B, between, 0.0), (A, 48, 0.0), noise=0.05).sections().curve()
        for between in (round(0.5 * REACH), 2 * REACH)
    )
    assert near[:40].mean() == pytest.approx(2.0, abs=0.3)
    assert far[:40].mean() == pytest.approx(4.0, abs=0.3)


def test_a_second_is_not_outvoted_by_minutes_around_it() -> None:
    found = Clip((A, 5000, -3.0), (B, 25, 4.0), (A, 5000, -3.0)).sections().curve()
    assert found[5012] > 3.5
    np.testing.assert_allclose(found[[0, 4900, 5100, -1]], -3.0, atol=0.1)


@pytest.mark.parametrize("frames", [1, 2, 7, 16, 17, 49, 16 * SIZE + 3])
def test_clips_of_any_length_have_a_curve(frames: int) -> None:
    sections = Clip((A, frames, 1.0)).sections()
    for found in (sections.curve(), sections.evidence()):
        assert found.shape == (frames,)
        np.testing.assert_allclose(found, 1.0, atol=0.5)


SETTLED = round(SETTLED_S * RATE / HOP)  # frames


def evidence_beyond_the_curve(*parts: Part) -> np.ndarray:
    """Of sections as they are, without a graph: (F,)."""
    origins, lengths, llrs = zip(*parts, strict=True)
    found = Sections(
        np.array(lengths), np.array(lengths, float), np.array(origins), np.array(llrs), REACH, SETTLED
    )
    return found.evidence() - found.curve()


def test_what_lies_above_the_rest_of_its_recording_is_stronger_evidence() -> None:
    found = evidence_beyond_the_curve((A, SETTLED, -3.0), (B, 25, 1.0), (A, SETTLED, -3.0))
    assert found[SETTLED + 12] == pytest.approx(CONTRAST * 4.0 * 2 / 3, abs=0.02)  # two thirds: 4 s of others
    assert not found[[0, -1]].any()  # what lies below the rest


def test_the_less_there_is_to_compare_with_the_less_it_counts() -> None:
    few, many = (
        evidence_beyond_the_curve((A, count, -3.0), (B, 25, 1.0))[-1]
        for count in (SETTLED // 10, 9 * SETTLED)
    )
    assert few == pytest.approx(CONTRAST * 4.0 / 11, abs=0.05)
    assert many == pytest.approx(CONTRAST * 4.0 * 0.9, abs=0.05)


@pytest.mark.parametrize(
    "parts",
    [
        [(A, 100, 2.0)],  # nothing else
        [(A, 100, 2.0), (A, 100, -3.0)],  # the same origin: they speak as one
        [(A, 200, -3.0), (B, 100, -0.5)],  # above the rest, but likelier real than fake
    ],
)
def test_without_another_origin_or_likelier_real_nothing_is_added(parts: list[Part]) -> None:
    assert np.abs(evidence_beyond_the_curve(*parts)).max() < 0.02


def test_what_is_far_off_is_not_compared_with() -> None:
    long = 2 * REACH
    found = evidence_beyond_the_curve((A, 500, -3.0), (B, long, 1.0), (B, 25, 1.0), (B, 25, 1.0))
    assert found[510] > 1.0  # the section begins beside the others
    np.testing.assert_allclose(found[500 + long :], 0.0, atol=1e-6)


def test_the_same_origin_further_on_is_not_among_the_rest() -> None:
    found = evidence_beyond_the_curve((B, 25, 1.0), (A, SETTLED, -3.0), (B, 25, 1.0))
    np.testing.assert_allclose(found[[0, -1]], CONTRAST * 4.0 / 2, atol=0.02)


def test_silence_says_nothing_of_its_section_nor_of_others() -> None:
    """Half of the first section is silence of which the graph says absurd things, and a section is silent."""
    clip = Clip((A, 80, 1.0), (B, 40, -9.0), (A, 60, 1.0), noise=0.05)
    clip.frames[:40] = -9.0
    speech = np.repeat(np.r_[np.zeros(40), np.ones(40), np.zeros(40), np.ones(60)] > 0, HOP)
    clip.activity = Activity(speech.reshape(-1, FRAME_SAMPLES).all(axis=1))
    found = clip.sections(said=1.0)
    llr, evidence = found.curve(), found.evidence()
    np.testing.assert_allclose(llr[[10, 60, 150]], 1.0, atol=0.1)
    assert np.isneginf(llr[100])
    np.testing.assert_allclose(evidence, llr, atol=1e-4)  # nothing to compare with


def test_sections_are_the_same_however_windows_were_handed_over() -> None:
    parts: list[Part] = [
        ((A, B)[number % 2], (40, 70, 55)[number % 3], 3.0 * (number % 2)) for number in range(60)
    ]
    one, some = (Clip(*parts).sections(together=number) for number in (1, 7))
    assert len(one.llr) > 2 * len(parts) / 3 and one.frames.sum() > BLOCK_WINDOWS * SIZE
    for name in ("frames", "speech", "origins", "llr"):
        np.testing.assert_array_equal(getattr(one, name), getattr(some, name))


@pytest.mark.parametrize("samples", [45_400, 77_000, 20_000])
def test_what_is_heard_again_is_of_the_clip_as_it_is(samples: int) -> None:
    """A ramp whose value is its place, off the grid of frames: no sample comes twice, none is lost."""
    ramp = np.arange(samples, dtype=np.float32)
    heard: list[np.ndarray] = []

    def again(rows: np.ndarray) -> np.ndarray:
        heard.extend(rows)
        return np.zeros(len(rows), np.float32)

    sectioner = Sectioner(WINDOW, HOP, RATE, again)
    starts = [*range(0, max(1, samples - WINDOW + 1), WINDOW)]
    starts += [samples - WINDOW] if samples > WINDOW else []
    for start in starts:
        origin = np.array([A, B], np.float32)[[(start + HOP * frame) // 9_000 % 2 for frame in range(SIZE)]]
        waveform = np.resize(ramp[start : start + WINDOW], WINDOW)
        sectioner.add(start, waveform, np.zeros(1, np.float32), np.zeros(SIZE, np.float32), origin)
    sectioner.done(samples, ALL_SPEECH)
    assert heard
    for row in heard:
        steps = np.diff(row)
        assert set(steps[steps != 1].tolist()) <= {float(steps.min())}  # once more from the part's start
        assert row.max() <= samples - 1


def test_a_clip_that_changes_all_the_time_costs_no_more_than_so_much() -> None:
    rng = np.random.default_rng(3)
    wild = Clip(*[(tuple(rng.normal(0, 3, 2)), 12, 0.0) for _ in range(8 * BLOCK_WINDOWS)])
    wild.sections()
    assert len(wild.windows()) < len(wild.asked) <= MOST_AGAIN * len(wild.windows())


def test_parts_lie_inside_their_section_and_cover_what_was_mixed() -> None:
    starts, lengths = np.array([0, 10, 200]), np.array([10, 190, 8])
    mixed = np.zeros(208, bool)
    mixed[5:150] = mixed[206:] = True
    found = asked(mixed, starts, lengths, SIZE, 13)
    assert [end - first for first, end in found] == sorted(
        (end - first for first, end in found), reverse=True
    )
    covered = np.zeros(208, int)
    for first, end in found:
        section = int(np.searchsorted(starts, first, side="right")) - 1
        assert starts[section] <= first and end <= starts[section] + lengths[section]
        assert min(13, lengths[section]) <= end - first <= SIZE
        covered[first:end] += 1
    assert covered[mixed].all()


def test_five_hours_take_no_more_than_the_answer() -> None:
    sectioner = Sectioner(WINDOW, HOP, RATE, lambda rows: np.zeros(len(rows), np.float32))
    clip = Clip(*[(where, 50, 0.0) for where in (A, B)] * 12)
    frames, samples = np.resize(clip.frames, SIZE), np.zeros(WINDOW, np.float32)
    count = 5 * 3600 * RATE // WINDOW
    tracemalloc.start()
    try:
        for number in range(count):
            origin = np.resize(np.roll(clip.origin, 7 * number, axis=0), (SIZE, 2))
            sectioner.add(number * WINDOW, samples, np.zeros(1, np.float32), frames, origin)
        found = sectioner.done(count * WINDOW, ALL_SPEECH).curve()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.shape == (count * SIZE,)
    assert peak < 3.3 * found.nbytes
