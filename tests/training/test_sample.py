"""The smoke sample: made offline, the same each time, and never mistaken for a corpus."""

from pathlib import Path

import numpy as np
import pytest

from serving import audio
from training import sample
from training.datasets import Clip, data_fingerprint, read
from training.espeak import Espeak

SIZES = {"train": 3, "dev": 2, "test": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample.make(tmp_path_factory.mktemp("smoke") / "sample", SIZES)


def test_it_reads_as_a_protocol_with_as_many_clips_of_each_label(made: Path) -> None:
    for split, size in SIZES.items():
        labels = [clip.label for clip in read(made, split)]
        assert labels.count("spoof") == labels.count("bonafide") == size


def test_every_clip_is_sound_that_the_decoder_accepts(made: Path) -> None:
    for clip in read(made, "train"):
        samples = audio.load(clip.path)
        assert 1.4 < len(samples) / audio.SAMPLE_RATE <= sample.LONGEST_S
        assert np.isfinite(samples).all()
        assert 0.02 < np.abs(samples).max() <= 1


def test_it_is_known_as_smoke_from_any_of_its_clips(made: Path) -> None:
    clips = read(made, "train")
    assert {clip.source for clip in clips} == {"smoke:espeak-ng", "smoke:stand-in"}
    assert all(sample.is_smoke([clip]) for clip in clips)
    assert not sample.is_smoke([Clip(Path("a.wav"), "spoof", source="corpus")])
    assert not sample.is_smoke([])


def test_no_speaker_is_in_two_splits(made: Path) -> None:
    speakers = [{clip.speaker for clip in read(made, split)} for split in SIZES]
    assert len(set.union(*speakers)) == sum(map(len, speakers))


def test_the_same_seed_gives_the_same_sample(made: Path, tmp_path: Path) -> None:
    again = read(sample.make(tmp_path / "again", SIZES), "dev")
    first = read(made, "dev")
    assert data_fingerprint(again) == data_fingerprint(first)
    assert [clip.speaker for clip in again] == [clip.speaker for clip in first]
    for here, there in zip(first, again, strict=True):
        if here.label == "bonafide":
            np.testing.assert_array_equal(audio.load(here.path), audio.load(there.path))


def test_another_seed_gives_another_sample(made: Path, tmp_path: Path) -> None:
    other = read(sample.make(tmp_path / "other", SIZES, seed=2), "dev")
    assert data_fingerprint(other) != data_fingerprint(read(made, "dev"))


def test_a_sample_that_is_there_is_left_as_it_is(made: Path) -> None:
    before = made.stat().st_mtime_ns
    assert sample.make(made.parent, SIZES) == made
    assert made.stat().st_mtime_ns == before


def test_an_unknown_voice_is_refused() -> None:
    with pytest.raises(ValueError, match="no voice 'klingonese'"):
        Espeak().say("hello", "klingonese", 160, 50, 50, seed=0)
