"""python -m serving.score: rows, errors, exit code."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.audio import load
from serving.detection import judge
from serving.detector import Detector
from serving.score import main
from tests.serving.conftest import encode, noise

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clips = tmp_path / "clips"
    (clips / "deep").mkdir(parents=True)
    (clips / "a.wav").write_bytes(encode(noise(2)))
    (clips / "b.flac").write_bytes(encode(noise(3, 1, rms=0.01), "FLAC"))
    (clips / "deep" / "c.MP3").write_bytes(encode(noise(1), "MP3", "MPEG_LAYER_III"))
    (clips / "notes.txt").write_text("not a clip")
    return clips


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_a_folder_gives_a_row_a_clip(
    folder: Path, model_path: Path, detector: Detector, tmp_path: Path
) -> None:
    out = tmp_path / "scores.tsv"
    assert main(["--model", str(model_path), "--out", str(out), str(folder)]) == 0
    assert out.read_text().splitlines()[0] == "file\tllr\tprobability\tverdict\terror"
    rows = rows_of(out)
    assert [Path(row["file"]).name for row in rows] == ["a.wav", "b.flac", "c.MP3"]
    for row in rows:
        expected, _, _ = judge([load(Path(row["file"]))], detector)
        assert float(row["llr"]) == pytest.approx(expected.llr, abs=1e-5)
        assert float(row["probability"]) == pytest.approx(expected.probability, abs=1e-5)
        assert row["verdict"] == expected.verdict
        assert row["error"] == ""


def test_clips_that_cannot_be_read_get_error_rows_and_the_others_scores(
    folder: Path, model_path: Path, tmp_path: Path
) -> None:
    (folder / "b.flac").write_bytes(encode(noise(3), "FLAC")[:20_000])
    out = tmp_path / "scores.tsv"
    paths = [folder, folder / "notes.txt", folder / "missing.wav"]
    assert main(["--model", str(model_path), "--out", str(out), *map(str, paths)]) == 1
    errors = {Path(row["file"]).name: row["error"].partition(":")[0] for row in rows_of(out)}
    assert errors == {
        "a.wav": "",
        "b.flac": "truncated",
        "c.MP3": "",
        "notes.txt": "not_audio",
        "missing.wav": "not_readable",
    }
    bad = rows_of(out)[1]
    assert bad["llr"] == bad["probability"] == bad["verdict"] == ""


def test_a_protocol_names_clips_beside_it(folder: Path, model_path: Path, tmp_path: Path) -> None:
    protocol = folder / "test.tsv"
    protocol.write_text("label\tfile\nspoof\ta.wav\nbonafide\tdeep/c.MP3\n")
    out = tmp_path / "scores.tsv"
    assert main(["--model", str(model_path), "--out", str(out), "--protocol", str(protocol)]) == 0
    assert [row["file"] for row in rows_of(out)] == ["a.wav", "deep/c.MP3"]


def test_nothing_to_score_is_said(
    model_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    protocol = tmp_path / "p.tsv"
    protocol.write_text("path\nx.wav\n")
    out = tmp_path / "scores.tsv"
    for arguments, word in (
        ([str(tmp_path)], "nothing to score"),
        (["--protocol", str(protocol)], "'file'"),
        (["--protocol", str(tmp_path / "missing.tsv")], "missing.tsv"),
    ):
        assert main(["--model", str(model_path), "--out", str(out), *arguments]) == 2
        assert word in capsys.readouterr().err
    assert not out.exists()


def test_a_bad_model_is_said(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", str(tmp_path / "no.onnx"), str(folder)]) == 2
    assert "no.onnx" in capsys.readouterr().err


def test_the_command_writes_rows_to_stdout_and_progress_to_stderr(folder: Path, model_path: Path) -> None:
    command = [sys.executable, "-m", "serving.score", "--model", str(model_path), str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, env=dict(os.environ)
    )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 4
    assert "3/3" in done.stderr


def test_a_protocol_as_a_spreadsheet_saves_it(model_path: Path, folder: Path, tmp_path: Path) -> None:
    (folder / '"a".wav').write_bytes((folder / "a.wav").read_bytes())
    protocol, out = folder / "clips.tsv", tmp_path / "scores.tsv"
    protocol.write_text('file\tlabel\n"a".wav\tbonafide\nb.flac\tspoof\n', "utf-8-sig")
    assert main(["--model", str(model_path), "--out", str(out), "--protocol", str(protocol)]) == 0
    assert len(rows_of(out)) == 2


def test_a_row_without_a_file_is_named(
    model_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    protocol = folder / "clips.tsv"
    protocol.write_text("label\tfile\nbonafide\ta.wav\nspoof\n")
    assert main(["--model", str(model_path), "--protocol", str(protocol)]) == 2
    assert "line 3: found no file" in capsys.readouterr().err


def test_a_name_that_is_no_text_keeps_its_bytes(folder: Path, model_path: Path, tmp_path: Path) -> None:
    name = os.fsencode(folder) + b"/caf\xe9\tbar.wav"
    with open(name, "wb") as file:
        file.write(encode(noise(2)))
    out = tmp_path / "scores.tsv"
    assert main(["--model", str(model_path), "--out", str(out), str(folder)]) == 0
    lines = out.read_bytes().splitlines()
    assert len(lines) == 5
    assert sum(b"/caf\xe9 bar.wav\t" in line for line in lines) == 1  # a tab would part the name
