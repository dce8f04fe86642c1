"""Models beside the served one, as /v2 lists them: opened once, again when changed, left out in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from serving.detector import Detector
from serving.shelf import MOST_OPEN
from tests.serving.conftest import MANIFEST, write_model

MakeClient = Callable[..., FlaskClient]


def test_files_beyond_the_most_are_named_as_left_out(tmp_path: Path, make_client: MakeClient) -> None:
    for number in range(MOST_OPEN + 2):
        write_model(tmp_path / f"{number}.onnx", replace(MANIFEST, version=str(10 + number)))
    client = make_client(
        model=write_model(tmp_path / "served.model"), models=tmp_path, challenger=tmp_path / "none"
    )

    def states() -> dict[str, str]:
        return {
            one["version"] or one["name"]: one["state"] for one in client.post("/v2/repository/index").json
        }

    ready = dict.fromkeys(("7", *(str(10 + number) for number in range(MOST_OPEN))), "READY")
    assert states() == ready | {"4.onnx": "UNAVAILABLE", "5.onnx": "UNAVAILABLE"}
    (tmp_path / "0.onnx").unlink()
    assert states()["14"] == "READY" and "10" not in states()


def test_a_model_file_that_changes_is_opened_again(tmp_path: Path, make_client: MakeClient) -> None:
    others = tmp_path / "others"
    others.mkdir()
    client = make_client(
        model=write_model(tmp_path / "served.onnx"), models=others, challenger=tmp_path / "none.onnx"
    )

    def versions() -> list[str]:
        return [entry["version"] for entry in client.post("/v2/repository/index").json]

    assert versions() == ["7"]
    write_model(others / "a.onnx", replace(MANIFEST, version="20"))
    assert versions() == ["7", "20"]
    write_model(others / "a.onnx", replace(MANIFEST, version="21"))
    assert versions() == ["7", "21"]
    (others / "a.onnx").unlink()
    assert versions() == ["7"]


def test_a_broken_file_is_opened_once_and_named_without_its_folder(
    tmp_path: Path, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    real = Detector.open
    monkeypatch.setattr(
        Detector, "open", lambda path, *rest, **more: opened.append(path) or real(path, *rest, **more)
    )
    others = tmp_path / "others"
    others.mkdir()
    (others / "broken.onnx").write_bytes(b"no model")
    client = make_client(
        model=write_model(tmp_path / "served.onnx"), models=others, challenger=tmp_path / "none"
    )
    for _ in range(3):
        *_, broken = client.post("/v2/repository/index").json
        assert broken["name"] == "broken.onnx" and broken["reason"]
        assert str(tmp_path) not in broken["reason"]
    assert opened.count(others / "broken.onnx") == 1
