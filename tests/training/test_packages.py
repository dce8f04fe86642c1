"""Speech from packages: which files count, and how a recording becomes a clip."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from serving.audio import SAMPLE_RATE, load
from training.packages import recorded
from training.packages.recorded import Package, by_voice, licences
from training.packages.shape import KEPT_SAMPLES, MAX_SAMPLES, clip_of, trim
from training.packages.spoken import CLIPS, LICENCES, TEXTS, lines
from training.storage import write_clip, write_protocol, written


def tone(seconds: float) -> np.ndarray:
    at = np.arange(round(seconds * SAMPLE_RATE))
    return (0.5 * np.sin(2 * np.pi * 200 * at / SAMPLE_RATE)).astype(np.float32)


def test_outer_silence_goes_but_a_twentieth_of_a_second() -> None:
    silence = np.zeros(SAMPLE_RATE, np.float32)
    assert len(trim(np.concatenate([silence, tone(1.0), silence]))) == SAMPLE_RATE + 2 * KEPT_SAMPLES


def test_silence_inside_stays() -> None:
    pause = np.zeros(SAMPLE_RATE, np.float32)
    assert len(trim(np.concatenate([tone(1.0), pause, tone(1.0)]))) == 3 * SAMPLE_RATE


@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.5])
def test_too_little_sound_is_no_clip(seconds: float) -> None:
    assert clip_of(tone(seconds), np.random.default_rng(0)) is None


def test_a_long_recording_is_cropped_to_three_seconds() -> None:
    clip = clip_of(tone(10.0), np.random.default_rng(0))
    assert clip is not None and len(clip) == MAX_SAMPLES


def test_digital_silence_is_no_clip() -> None:
    assert clip_of(np.zeros(2 * SAMPLE_RATE, np.float32), np.random.default_rng(0)) is None


def test_files_are_grouped_by_the_voice_in_their_path() -> None:
    paths = [Path("/p/sounds/de/nase.wav"), Path("/p/sounds/ru/nos.wav"), Path("/p/sounds/de/nase.txt")]
    package = Package("toy", r"/sounds/(?P<voice>de)/", 5)
    assert by_voice(paths, package) == {"de": [paths[0]]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Files: *\nLicense: GPL-2+\n\nFiles: b\nLicense: CC0\n\nLicense: GPL-2+\n text", "GPL-2+, CC0"),
        ("It is free.", "see copyright of debian:toy"),
    ],
)
def test_licences_come_from_the_packages_own_copyright(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "toy/usr/share/doc/toy/copyright"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert licences(tmp_path / "toy") == expected


def test_each_generator_says_as_many_lines_and_the_seed_repeats_them() -> None:
    said = lines(np.random.default_rng(1))
    assert said == lines(np.random.default_rng(1))
    assert {a: sum(line.attack == a for line in said) for a in LICENCES} == dict.fromkeys(LICENCES, CLIPS)
    assert {line.language for line in said} == {language[:2] for language in TEXTS}


def test_a_written_clip_is_found_again_and_reads_back(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a", tone(1.0), np.random.default_rng(0))
    assert written(tmp_path / "a") == path
    assert written(tmp_path / "b") is None
    assert len(load(path)) == pytest.approx(SAMPLE_RATE, abs=SAMPLE_RATE // 50)


def test_a_protocol_holds_its_columns_alone(tmp_path: Path) -> None:
    write_protocol(tmp_path / "p.tsv", [{"file": "a.flac", "label": "spoof", "note": "x"}], ("file", "label"))
    assert (tmp_path / "p.tsv").read_text().splitlines() == ["file\tlabel", "a.flac\tspoof"]


def test_recordings_in_a_zip_are_found_once_the_package_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str | Path], **_: object) -> None:
        if command[0] == "apt-get":
            (tmp_path / "toy_1_all.deb").touch()
        else:
            inner = Path(command[-1]) / "usr/games/base.wz"
            inner.parent.mkdir(parents=True)
            with zipfile.ZipFile(inner, "w") as file:
                file.writestr("audio/ann/go.ogg", "sound")

    monkeypatch.setattr(recorded.subprocess, "run", run)
    package = Package("toy", r"/audio/(?P<voice>ann)/", 5, "en", "base.wz")
    root = recorded.unpacked(package, tmp_path)
    [(found, most)] = recorded.recordings(package, root, np.random.default_rng(0))
    assert [one.path.relative_to(root).as_posix() for one in found] == ["usr/games/base/audio/ann/go.ogg"]
    assert (found[0].voice, found[0].language, most) == ("ann", "en", 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toy"]
