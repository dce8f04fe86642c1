"""Batches hold what they say: pairs share a channel, halves are even, masks and silence are where they
are.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training.batches import JOINED, Batches, Composition, join
from training.datasets import Clip
from training.pool import Part, Pool

WINDOW = 30_720


def clip(name: str, label: str, attack: str = "-") -> Clip:
    return Clip(Path(f"{name}.flac"), label, attack, "unknown", "here", "train")


@pytest.fixture
def batches() -> Batches:
    clips = [clip("a", "bonafide"), clip("b", "bonafide"), clip("c", "spoof", "tts")]
    twins = [clip("x/a", "spoof", "copy:v"), clip("x/b", "spoof", "copy:v")]
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((3, 40_000)) * 3000
    waves = np.concatenate([noise, -noise[:2]]).astype(np.int16)  # a twin is its original upside down
    part = Part({v: waves.reshape(-1) for v in ("plain", "coded")}, np.arange(6) * 40_000)
    composition = Composition(pairs=3, real=2, spoof=2, splice_share=0.0)
    return Batches(clips, twins, Pool([part]), composition, (WINDOW, 640, 48), strength=0.0, seed=1)


def test_a_pair_is_one_stretch_of_a_clip_and_of_its_twin(batches: Batches) -> None:
    batch = next(iter(batches))
    for k in range(3):
        assert torch.allclose(batch.waveform[2 * k], -batch.waveform[2 * k + 1], atol=2e-4)
        assert batch.spoof[2 * k : 2 * k + 2].tolist() == [0.0, 1.0]


def test_a_pair_is_played_at_one_speed(batches: Batches) -> None:
    batches.composition = replace(batches.composition, speed=0.1)
    pairs = next(iter(batches)).waveform[: 2 * batches.composition.pairs].reshape(-1, 2, WINDOW)
    assert torch.allclose(pairs[:, 0], -pairs[:, 1], atol=2e-3)


def test_every_second_clip_is_played_faster_or_slower(batches: Batches) -> None:
    tone = np.sin(2 * np.pi * 1000 / 16_000 * np.arange(40_000)) * 20_000
    waves = np.tile(tone, 5).astype(np.int16)
    batches.pool = Pool([Part(dict.fromkeys(("plain", "coded"), waves), np.arange(6) * 40_000)])
    batches.composition = replace(batches.composition, speed=0.1)
    rng = np.random.default_rng(0)
    spectra = np.abs([np.fft.rfft(batches._crop(0, rng) * np.hanning(WINDOW)) for _ in range(60)])
    hz = spectra.argmax(axis=1) * 16_000 / WINDOW
    assert 15 < np.sum(np.abs(hz - 1000) < 1) < 45
    assert hz.min() > 895 and hz.max() < 1105 and np.ptp(hz) > 100


def test_a_batch_is_half_real(batches: Batches) -> None:
    batch = next(iter(batches))
    assert batch.spoof.mean() == 0.5
    assert torch.equal(batch.frame_spoof, batch.spoof[:, None].expand(-1, 48))


def test_a_batch_names_sources_of_real_clips_and_generators() -> None:
    """Levels tell the clips of the batch; a source and a generator of one name are two kinds."""
    named = [("bonafide", "a", "-"), ("bonafide", "b", "-"), ("spoof", "a", "a"), ("spoof", "a", "c")]
    clips = [Clip(Path(f"{k}.flac"), *one[::2], "unknown", one[1], "train") for k, one in enumerate(named)]
    levels = np.repeat(np.arange(1, 5) * 4000, WINDOW).astype(np.int16)
    part = Part(dict.fromkeys(("plain", "coded"), levels), np.arange(5) * WINDOW)
    composition = Composition(pairs=4, real=6, spoof=6, source_share=0.5, splice_share=0.0)
    batches = Batches(clips, [], Pool([part]), composition, (WINDOW, 640, 48), 0.0, 1)
    batch = next(iter(batches))
    level = (batch.waveform[:, 0] * 32768 / 4000).round().int().tolist()
    assert set(level) == {1, 2, 3, 4}
    found = set(zip(level, batch.kind.tolist(), strict=True))
    assert len(found) == len({kind for _, kind in found}) == 4


def test_what_is_made_of_two_clips_has_no_name(batches: Batches) -> None:
    batches.composition = replace(batches.composition, pairs=8, splice_share=0.5)
    batch = next(iter(batches))
    partial = (batch.frame_spoof.mean(dim=1) > 0) & (batch.frame_spoof.mean(dim=1) < 1)
    assert 1 < partial.sum() < 8  # the other pairs are joined within each label
    assert (batch.kind[1:16:2] == JOINED).all() and (batch.kind[16:] != JOINED).all()
    assert torch.equal(batch.kind[:16:2] == JOINED, ~partial[1:16:2])


def test_the_same_seed_gives_the_same_batches(batches: Batches) -> None:
    first, second = next(iter(batches)), next(iter(batches))
    assert torch.equal(first.waveform, second.waveform)


def test_clean_clips_are_those_heard_before_channel_and_codec(batches: Batches) -> None:
    """Coded clips here are the plain ones at half the level; clean ones have neither that nor a channel."""
    plain = batches.pool.parts[0].samples["plain"]
    bounds = batches.pool.parts[0].bounds
    batches.pool = Pool([Part({"plain": plain, "coded": plain // 2}, bounds)])
    batches.composition = replace(batches.composition, coded_share=0.5, speed=0.1)
    batches.with_clean = True
    found = []
    for strength in (0.0, 1.0):
        batches.strength = strength
        endless = iter(batches)
        found.append([next(endless) for _ in range(3)])
    gains = []
    for quiet, changed in zip(*found, strict=True):
        assert quiet.clean is not None and changed.clean is not None
        assert torch.equal(changed.clean, quiet.clean)
        assert not torch.allclose(changed.waveform, quiet.waveform, atol=1e-2)
        gain = (quiet.waveform.norm(dim=1) / quiet.clean.norm(dim=1)).mul(2).round() / 2
        assert torch.allclose(quiet.waveform, gain[:, None] * quiet.clean, atol=2e-4)
        gains += gain.tolist()
    assert set(gains) == {0.5, 1.0}


def test_all_of_a_batch_goes_to_a_device(batches: Batches) -> None:
    moved = next(iter(batches)).to(torch.device("meta"))
    assert {part.device.type for part in vars(moved).values() if part is not None} == {"meta"}


def test_silent_frames_carry_no_weight(batches: Batches) -> None:
    waveform = np.random.default_rng(0).standard_normal((1, WINDOW)).astype(np.float32)
    waveform[:, : WINDOW // 2] *= 1e-4
    _, weight = batches._frame_facts(waveform)
    assert weight[0, :23].sum() == 0 and weight[0, 25:].min() == 1


def test_a_join_replaces_exactly_the_masked_stretch() -> None:
    base, insert = np.full(WINDOW, 0.1, np.float32), np.full(WINDOW, -0.1, np.float32)
    joined, mask = join(base, insert, np.random.default_rng(4))
    inside = np.flatnonzero(mask)
    assert 0.3 * 16_000 <= len(inside) <= 1.2 * 16_000
    middle = inside[len(inside) // 2]
    assert joined[middle] == pytest.approx(-0.1) and mask[middle] == 1
    far = np.convolve(mask, np.ones(800), mode="same") == 0
    assert np.allclose(joined[far], 0.1)


def levelled_sources(source_share: float, held_out: frozenset[str]) -> torch.Tensor:
    """Sources a, b and c with a real and a spoof clip each, known by levels 1 to 6: those of a batch."""
    clips = [
        Clip(Path(f"{source}-{label}.flac"), label, label, "unknown", source, "train")
        for source in "abc"
        for label in ("bonafide", "spoof")
    ]
    levels = np.repeat(np.arange(1, 7) * 4000, WINDOW).astype(np.int16)
    part = Part(dict.fromkeys(("plain", "coded"), levels), np.arange(7) * WINDOW)
    composition = Composition(pairs=8, real=8, spoof=8, source_share=source_share, splice_share=0.0)
    made = Batches(clips, [], Pool([part]), composition, (WINDOW, 640, 48), 0.0, 1, held_out)
    return (next(iter(made)).waveform[:, 0] * 32768 / 4000).round().int()


def test_a_pair_of_one_source_is_of_one_source() -> None:
    level = levelled_sources(1.0, frozenset())[:16].reshape(8, 2)
    assert set(level[:, 0].tolist()) > {1}  # more than one source is drawn
    assert (level[:, 1] == level[:, 0] + 1).all()


@pytest.mark.parametrize("source_share", [0.0, 1.0])
def test_a_source_that_is_held_out_is_never_drawn(source_share: float) -> None:
    assert set(levelled_sources(source_share, frozenset("b")).tolist()) == {1, 2, 5, 6}
