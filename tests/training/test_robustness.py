"""Changes do what their names say, and a verdict that they turn round is counted once and named."""

import json
from pathlib import Path

import numpy as np
import pytest

from serving.audio import SAMPLE_RATE
from serving.detector import Detector
from tests.serving.conftest import noise
from training import robustness
from training.changes import CHANGES, LONG_PAD_S, NOISE_DB, PAD_S, TRIM_S
from training.datasets import Clip, protocol

TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32)


def changed(name: str, samples: np.ndarray = TONE) -> np.ndarray:
    return robustness.changed_clips(samples, {name: CHANGES[name]})[name]


def power(samples: np.ndarray) -> float:
    return float(np.mean(samples.astype(np.float64) ** 2))


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_keeps_a_clip_sound_and_repeats(name: str) -> None:
    before = TONE.copy()
    first = changed(name)
    np.testing.assert_array_equal(first, changed(name))
    np.testing.assert_array_equal(TONE, before)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.abs(first).max() <= 1
    if not name.startswith("edge"):
        assert len(first) == len(TONE)


def test_edges_are_trimmed_and_padded_on_both_sides() -> None:
    ramp = np.linspace(0, 1, len(TONE), dtype=np.float32)
    cut = round(TRIM_S * SAMPLE_RATE)
    np.testing.assert_array_equal(changed("edge trim", ramp), ramp[cut:-cut])
    for name, pad in (("edge silence", PAD_S), ("edge silence 3 s", LONG_PAD_S)):
        samples, padded = round(pad * SAMPLE_RATE), changed(name, ramp)
        np.testing.assert_array_equal(padded[samples:-samples], ramp)
        assert not padded[:samples].any()
        assert not padded[-samples:].any()


def test_trimming_leaves_half_a_second() -> None:
    assert len(changed("edge trim", TONE[: SAMPLE_RATE // 2])) == SAMPLE_RATE // 2
    assert len(changed("edge trim", TONE[: int(0.6 * SAMPLE_RATE)])) == SAMPLE_RATE // 2


def test_levels_and_noise_are_those_named() -> None:
    assert power(changed("-20 dB")) == pytest.approx(power(TONE) / 100, rel=1e-3)
    assert power(changed("+6 dB")) == pytest.approx(power(TONE) * 10**0.6, rel=1e-3)
    assert power(changed("noise 20 dB") - TONE) == pytest.approx(
        power(TONE) / 10 ** (NOISE_DB / 10), rel=0.05
    )
    assert power(changed("light reverberation")) == pytest.approx(power(TONE), rel=1e-3)


def test_the_telephone_band_loses_what_lies_above_it() -> None:
    spectrum = np.abs(np.fft.rfft(changed("G.711 band", noise(2.0))))
    hertz = np.fft.rfftfreq(2 * SAMPLE_RATE, 1 / SAMPLE_RATE)
    assert power(spectrum[hertz > 4200]) < 0.01 * power(spectrum[(hertz > 500) & (hertz < 3000)])


def test_codecs_keep_a_tone_where_it_is() -> None:
    for name in ("MP3 64k", "Opus 16k", "AAC 48k", "G.711 band"):
        middle = slice(SAMPLE_RATE // 2, -SAMPLE_RATE // 2)
        assert np.corrcoef(changed(name)[middle], TONE[middle])[0, 1] > 0.95, name


def test_flips_are_counted_by_direction_and_named(loud_detector: Detector, loud_protocol: Path) -> None:
    clips = protocol.read_file(loud_protocol, "test")
    found = robustness.measure(loud_detector, clips, {name: CHANGES[name] for name in ("-20 dB", "+6 dB")})
    # The detector hears loudness: -20 dB turns the three loud clips and leaves s2 out of the zone;
    # +6 dB turns r3 from real to inconclusive at most.
    down, up = found["-20 dB"], found["+6 dB"]
    assert (down.clips, down.real_to_fake, down.fake_to_real, down.flips) == (8, 0, 3, 3)
    assert {Path(path).stem for path in down.flipped} == {"r4", "s1", "s3"}
    assert down.to_or_from_inconclusive == 1
    assert down.mean_shift == pytest.approx(-9.2, abs=0.1)
    assert up.fake_to_real == 0
    assert up.mean_shift > 0


def test_clips_are_drawn_evenly_over_labels_and_sources() -> None:
    clips = [Clip(Path(f"a{n}"), "spoof", source="big") for n in range(50)]
    clips += [Clip(Path(f"b{n}"), "spoof", source="small") for n in range(3)]
    clips += [Clip(Path(f"c{n}"), "bonafide", source="real") for n in range(20)]
    chosen = robustness.choose(clips, 20)
    assert [clip.label for clip in chosen].count("spoof") == 10
    assert [clip.source for clip in chosen].count("small") == 3
    assert chosen == robustness.choose(clips, 20)
    assert len(robustness.choose(clips, 60)) == 60
    assert len(robustness.choose(clips, 100)) == 73


def test_the_command_writes_a_report(loud_model: Path, loud_protocol: Path, tmp_path: Path) -> None:
    arguments = [
        "--protocol",
        str(loud_protocol),
        "--model",
        str(loud_model),
        "--out",
        str(tmp_path),
        "--clips",
        "4",
    ]
    assert robustness.main(arguments) == 0
    report = json.loads((tmp_path / "robustness.json").read_text())
    assert set(report["changes"]) == set(CHANGES)
    assert "| -20 dB | 4 |" in (tmp_path / "robustness.md").read_text()
    assert (
        robustness.main(["--protocol", "gone.tsv", "--model", str(loud_model), "--out", str(tmp_path)]) == 2
    )
