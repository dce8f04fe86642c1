"""Other sounds against speech by a model that calls loud windows novel."""

import json
from pathlib import Path

import pytest

from tests.serving.conftest import encode, noise, spoken, write_model
from training import outsiders


@pytest.fixture
def laid_out(tmp_path: Path) -> Path:
    """Two quiet clips of each label in a protocol, and a folder of three loud sounds and one text."""
    rows = ["file\tlabel\n"]
    for number in range(4):
        (tmp_path / f"{number}.wav").write_bytes(encode(spoken(2, number, rms=0.04)))
        rows.append(f"{number}.wav\t{'bonafide' if number < 2 else 'spoof'}\n")
    (tmp_path / "test.tsv").write_text("".join(rows))
    other = tmp_path / "other"
    other.mkdir()
    for number in range(3):
        (other / f"{number}.wav").write_bytes(encode(noise(2, number, rms=0.2)))
    (other / "broken.wav").write_bytes(b"no sound")
    return tmp_path


def measured(folder: Path, novelty: bool) -> int:
    model = write_model(folder / "model.onnx", novelty=novelty)
    arguments = [
        "--protocol",
        str(folder / "test.tsv"),
        "--model",
        str(model),
        "--other",
        str(folder / "other"),
    ]
    return outsiders.main([*arguments, "--out", str(folder / "found")])


def test_other_sounds_are_noted_and_speech_is_not(laid_out: Path) -> None:
    assert measured(laid_out, novelty=True) == 0
    kinds = json.loads((laid_out / "found/outsiders.json").read_text())["kinds"]
    assert [kinds[name]["clips"] for name in ("real speech", "fake speech", "other sounds")] == [2, 2, 3]
    assert [kinds[name]["noted"] for name in ("real speech", "fake speech", "other sounds")] == [0, 0, 1]
    assert kinds["real speech"]["auc"] == kinds["fake speech"]["auc"] == 1
    assert "| other sounds | 3 |" in (laid_out / "found/outsiders.md").read_text()


def test_a_model_without_novelty_is_refused_with_what_to_do(
    laid_out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measured(laid_out, novelty=False) == 2
    assert "training.familiar" in capsys.readouterr().err
