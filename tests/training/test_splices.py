"""Splices have the spans they state, no level gives them away, and a detector that hears them scores well."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serving.audio import SAMPLE_RATE
from serving.detector import Detector
from tests.serving.conftest import noise, spoken
from training import joining, splices
from training.datasets import Clip
from training.joining import FADE_SAMPLES, KINDS, Samples, Splice

CLIPS = [Clip(Path(f"r{n}"), "bonafide", source="a") for n in range(6)]
CLIPS += [Clip(Path(f"s{n}"), "spoof", source="b") for n in range(6)]


def tone(clip: Clip) -> Samples:
    """3 s; real clips are a tone of 200 Hz, fakes of 3 kHz, each at a level of its own."""
    level = 0.05 + 0.1 * int(clip.path.name[1:])
    hertz = 200 if clip.label == "bonafide" else 3000
    return (level * np.sin(2 * np.pi * hertz * np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32)


def spliced(kind: str, seed: int = 0) -> Splice:
    return joining.splice(kind, CLIPS, tone, np.random.default_rng(seed))


def high_share(samples: np.ndarray) -> float:
    """Share of the power above 1 kHz."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(power[np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE) > 1000].sum() / power.sum())


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", KINDS)
def test_a_splice_is_spoof_in_the_spans_it_states_and_nowhere_else(kind: str, seed: int) -> None:
    made = spliced(kind, seed)
    assert 3.9 < made.duration_s < 11.1
    assert made.insert[1] - made.insert[0] == pytest.approx(1.0)
    cells = np.zeros(len(made.samples), dtype=bool)
    for start_s, end_s in made.spoof:
        cells[round(start_s * SAMPLE_RATE) : round(end_s * SAMPLE_RATE)] = True
    margin = FADE_SAMPLES
    for start in range(0, len(cells) - 800, 800):
        inside = cells[max(0, start - margin) : start + 800 + margin]
        if inside.all() or not inside.any():
            share = high_share(made.samples[start : start + 800])
            assert share > 0.9 if inside.all() else share < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_no_jump_in_level_gives_an_insert_away(kind: str) -> None:
    made = spliced(kind, 3)
    start, end = (round(edge * SAMPLE_RATE) for edge in made.insert)
    inside = joining.level(made.samples[start + FADE_SAMPLES : end - FADE_SAMPLES])
    outside = joining.level(
        np.concatenate([made.samples[: start - FADE_SAMPLES], made.samples[end + FADE_SAMPLES :]])
    )
    assert inside == pytest.approx(outside, rel=0.05)


def test_a_splice_never_holds_the_same_clip_as_host_and_insert() -> None:
    for seed in range(20):
        made = spliced("real in real", seed)
        assert made.clips[-1] not in made.clips[:-1]


def test_the_same_seed_gives_the_same_splice() -> None:
    np.testing.assert_array_equal(spliced("fake in real", 4).samples, spliced("fake in real", 4).samples)
    assert len(spliced("fake in real", 4).samples) != len(spliced("fake in real", 5).samples)


def test_a_join_is_as_long_as_its_parts_less_the_fade() -> None:
    ones = np.ones(1000, np.float32)
    whole = joining.joined([ones, ones, ones])
    assert len(whole) == 3000 - 2 * FADE_SAMPLES
    assert whole[: 1000 - FADE_SAMPLES].tolist() == ones[: 1000 - FADE_SAMPLES].tolist()
    assert 1 <= whole.max() <= 2**0.5 + 1e-6


def test_silence_does_not_count_for_a_level() -> None:
    loud = np.full(SAMPLE_RATE, 0.5, np.float32)
    assert joining.level(np.concatenate([loud, np.zeros(SAMPLE_RATE, np.float32)])) == pytest.approx(0.5)


def test_without_clips_of_a_label_or_long_enough_no_splice_is_made() -> None:
    with pytest.raises(ValueError, match="no clip for a host"):
        joining.splice("real in fake", CLIPS[:6], tone, np.random.default_rng(0))
    with pytest.raises(ValueError, match="none is 1.01 s long"):
        joining.splice("fake in real", CLIPS, lambda clip: tone(clip)[:8000], np.random.default_rng(0))


def loud_splice(kind: str, spoof: tuple[tuple[float, float], ...], seconds: float = 6.0) -> Splice:
    """What the loudness detector can hear: spoof is loud, the rest quiet."""
    samples = spoken(seconds, 1, 0.01)
    for start_s, end_s in spoof:
        samples[round(start_s * SAMPLE_RATE) : round(end_s * SAMPLE_RATE)] *= 20
    return Splice(kind, np.clip(samples, -1, 1), spoof, (2.0, 3.0), ("a", "b"))


def test_a_detector_that_hears_the_difference_scores_near_the_top(loud_detector: Detector) -> None:
    made = [
        loud_splice("fake in real", ((1.0, 4.0),)),
        loud_splice("real in real", ()),
        loud_splice("fake in fake", ((0.0, 6.0),)),
    ]
    report = splices.figures(splices.locate(loud_detector, made))
    assert report["mixed"]["clips"] == 1
    assert report["mixed"]["span_iou"] > 0.5
    assert report["mixed"]["frame_f1"] > 0.7
    assert report["mixed"]["segment_eer"] < 0.2
    assert report["mixed"]["found"] == 1
    assert report["controls_flagged"] == {"real in real": 0, "fake in fake, under half flagged": 0}
    assert report["kinds"]["fake in fake"]["span_iou"] == pytest.approx(1)
    assert np.isnan(report["kinds"]["real in real"]["segment_eer"])


def test_a_detector_that_flags_the_wrong_part_scores_low(loud_detector: Detector) -> None:
    right = loud_splice("fake in real", ((1.0, 4.0),))
    wrong = Splice("fake in real", right.samples, ((4.5, 6.0),), (4.5, 6.0), ("a", "b"))
    flagged_control = Splice("real in real", right.samples, (), (2.0, 3.0), ("a", "b"))
    report = splices.figures(splices.locate(loud_detector, [wrong, flagged_control]))
    assert report["mixed"]["span_iou"] < 0.1
    assert report["mixed"]["segment_eer"] > 0.5
    assert report["mixed"]["found"] == 0 and report["mixed"]["any_flagged"] == 1
    assert report["controls_flagged"]["real in real"] == 1


def test_the_command_writes_tables_and_maps(loud_model: Path, tmp_path: Path) -> None:
    rows = ["file\tlabel\tsource"]
    for number in range(6):
        label, rms = ("bonafide", 0.01) if number % 2 else ("spoof", 0.2)
        soundfile.write(tmp_path / f"{number}.wav", noise(1.5, number, rms), SAMPLE_RATE)
        rows.append(f"{number}.wav\t{label}\tsrc")
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    rows.append("broken.wav\tspoof\tsrc")
    (tmp_path / "test.tsv").write_text("\n".join(rows) + "\n")
    out = tmp_path / "out"
    arguments = [
        "--protocol",
        str(tmp_path / "test.tsv"),
        "--model",
        str(loud_model),
        "--out",
        str(out),
        "--count",
        "1",
    ]
    assert splices.main(arguments) == 0
    report = json.loads((out / "splices.json").read_text())
    assert report["mixed"]["clips"] == 2
    assert "| fake in real | 1 |" in (out / "splices.md").read_text()
    assert len(list(out.glob("splice-*.png"))) == 4
    assert splices.main(["--protocol", "gone.tsv", "--model", str(loud_model), "--out", str(out)]) == 2
