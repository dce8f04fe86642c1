"""The slot keeps the last good model, whatever is offered next."""

import hashlib
from pathlib import Path

import pytest

from serving import models
from serving.models import ModelSlot
from tests.serving.conftest import write_model


def state_hash(path: Path, sha256: str | None = None) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(path.name + ".sha256").write_text(f"{sha256 or found}  {path.name}\n")


def test_a_good_model_is_taken(model_path: Path) -> None:
    slot = ModelSlot()
    assert not slot.ready and slot.problem
    assert slot.load(model_path)
    assert slot.ready and not slot.problem


def test_a_bad_model_leaves_the_last_good_one_in_place(model_path: Path, tmp_path: Path) -> None:
    slot = ModelSlot()
    slot.load(model_path)
    good = slot.detector
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(model_path.read_bytes()[:-40])
    assert not slot.load(bad)
    assert slot.detector is good
    assert "bad.onnx" in slot.problem and not slot.ready
    assert slot.load(model_path) and slot.ready


def test_a_flipped_byte_is_found_by_the_hash_beside_the_file(tmp_path: Path) -> None:
    path = write_model(tmp_path / "detector.onnx")
    state_hash(path)
    assert ModelSlot().load(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    slot = ModelSlot()
    assert not slot.load(path)
    assert "sha256" in slot.problem


@pytest.mark.parametrize("text", [b"", b"abc", b"hello world", b"\xff\xfe" + 62 * b"0"])
def test_a_hash_file_without_a_hash_is_refused(tmp_path: Path, text: bytes) -> None:
    path = write_model(tmp_path / "detector.onnx")
    path.with_name("detector.onnx.sha256").write_bytes(text)
    slot = ModelSlot()
    assert not slot.load(path)
    assert "holds no sha256" in slot.problem


def test_the_shipped_bundle_needs_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_model(tmp_path / "detector.onnx")
    monkeypatch.setattr(models, "BUNDLE", path)
    slot = ModelSlot()
    assert not slot.load(path)
    assert "is missing" in slot.problem
    state_hash(path)
    assert slot.load(path)
