"""A checkpoint becomes one file that says what torch says, with its manifest inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export.graph import open_session
from export.parity import TOLERANCE, largest_difference, probe_clips
from export.to_onnx import ExportError, export, main, read_checkpoint
from serving.detector import Detector
from tests.export import tiny


@pytest.fixture(scope="module")
def checkpoint_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_checkpoint(tmp_path_factory.mktemp("run") / "checkpoint.pt")


def test_torch_and_onnx_agree_around_every_window_count(checkpoint_path: Path) -> None:
    checkpoint = read_checkpoint(checkpoint_path)
    clips = probe_clips(tiny.WINDOW_SAMPLES, tiny.HOP_SAMPLES)
    assert {1 + (len(clip) - tiny.WINDOW_SAMPLES) // tiny.HOP_SAMPLES for clip in clips} == {1, 2, 3, 5}
    assert largest_difference(checkpoint.module(), export(checkpoint), clips) < TOLERANCE


def test_a_difference_between_torch_and_onnx_is_seen(checkpoint_path: Path) -> None:
    model = export(read_checkpoint(checkpoint_path))
    clips = probe_clips(tiny.WINDOW_SAMPLES, tiny.HOP_SAMPLES)
    assert largest_difference(tiny.Tiny(2.0, -4.001), model, clips) > TOLERANCE


def test_export_is_refused_where_torch_and_onnx_differ(
    checkpoint_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.to_onnx.largest_difference", lambda *_: 2 * TOLERANCE)
    with pytest.raises(ExportError, match="torch and ONNX differ by 0.0002"):
        export(read_checkpoint(checkpoint_path))


def test_axes_are_dynamic_and_named(checkpoint_path: Path) -> None:
    session = open_session(export(read_checkpoint(checkpoint_path)))
    assert session.get_inputs()[0].shape == ["batch", "samples"]
    assert session.get_outputs()[0].shape == ["batch", "windows"]
    found = session.run(None, {"waveform": np.zeros((3, 3 * tiny.WINDOW_SAMPLES), np.float32)})[0]
    assert found.shape == (3, 5)


def test_file_holds_its_manifest_and_nothing_of_this_machine(checkpoint_path: Path, tmp_path: Path) -> None:
    model = export(read_checkpoint(checkpoint_path), run_id="abc", version="7")
    path = tmp_path / "detector.onnx"
    path.write_bytes(model)
    manifest = Detector.open(path).manifest
    assert (manifest.run_id, manifest.version, manifest.window_samples) == ("abc", "7", tiny.WINDOW_SAMPLES)
    assert str(Path(__file__).resolve().parents[2]).encode() not in model
    graph = onnx.load_from_string(model)
    assert [entry.key for entry in graph.metadata_props] == ["manifest"]


def test_command_writes_a_file_and_refuses_what_is_no_checkpoint(
    checkpoint_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made" / "detector.onnx"
    assert main([str(checkpoint_path), "--out", str(out)]) == 0
    assert Detector.open(out).manifest.architecture == "tiny"
    bad = tmp_path / "bad.pt"
    bad.write_bytes(b"no checkpoint")
    assert main([str(bad), "--out", str(tmp_path / "none.onnx")]) == 1
    assert "not a training checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "none.onnx").exists()


def test_incomplete_manifest_is_named(checkpoint_path: Path, tmp_path: Path) -> None:
    content = torch.load(checkpoint_path, weights_only=True)
    del content["manifest"]["threshold"]
    path = tmp_path / "checkpoint.pt"
    torch.save(content, path)
    with pytest.raises(ExportError, match="lacks threshold"):
        export(read_checkpoint(path))
