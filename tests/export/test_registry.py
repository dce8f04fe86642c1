"""The commands behind make compare, export, promote, rollback and history, on a registry of tiny models."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from export import bundle, registry
from export.footprint import Footprint
from export.gate import Gate
from export.promotion import Desk
from export.to_onnx import manifest_of
from serving.detector import Detector
from serving.models import ModelSlot, stated_sha256
from tests.export import tiny
from tests.export.conftest import RegisterTiny
from training import tracking

PIVOT = -4.9
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    desk: Desk, mlruns: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs `python -m export.registry ...` in this process; gives exit code, stdout and stderr."""
    quick = Gate.read()
    quick = dataclasses.replace(quick, flips=dataclasses.replace(quick.flips, clips=4))
    monkeypatch.setattr(Gate, "read", lambda: quick)
    for module in ("verify", "standing"):
        monkeypatch.setattr(f"export.{module}.measure", lambda *_: Footprint(0.1, 100.0, 10))

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        name, *rest = words
        places = ["--bundle", str(desk.folder), "--mlruns", str(mlruns)]
        code = registry.main([name, *places, *rest])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_train_compare_export_promote_rollback_history(
    desk: Desk, register: RegisterTiny, command: Command, tones: Path
) -> None:
    run_id = register(1.0, PIVOT).run_id
    assert command("promote", "1")[0] == 0
    first = (desk.folder / bundle.MODEL).read_bytes()
    code, out, _ = command("export", run_id, "--data", str(tones))
    assert code == 0 and "Version 2" in out
    exported = desk.store.folder / f"{desk.registry.version('2').sha256}.onnx"
    manifest = Detector.open(exported).manifest
    assert [entry["split"] for entry in manifest.metrics] == ["dev", "test"]
    assert manifest.metrics[1]["figures"]["eer"] == 0.0
    assert sum(manifest.reference["histograms"]["llr"]) == 48 and len(manifest.operating_points) > 10
    code, out, _ = command("promote", "2")
    assert code == 0 and "no difference shown" in out
    assert command("rollback", "--reason", "second thoughts")[0] == 0
    assert (desk.folder / bundle.MODEL).read_bytes() == first
    lines = command("history")[1].splitlines()
    assert [line.split("  ")[2] for line in lines] == ["promote", "promote", "rollback"]
    assert lines[2].endswith("2 -> 1 (" + desk.served().sha256[:12] + ") - second thoughts")


def test_a_refused_promotion_says_every_reason_and_changes_nothing(
    desk: Desk, register: RegisterTiny, command: Command
) -> None:
    register(-2.0, PIVOT, smoke=True, licence="")
    code, out, err = command("promote", "1")
    assert code == 1
    assert "FAIL  manifest" in out and "FAIL  smoke" in out and "FAIL  eer" in out
    assert "does not pass: manifest, smoke, eer, cllr" in err
    assert not (desk.folder / bundle.MODEL).exists()
    assert command("promote", "1", "--force")[0] == 1
    assert command("promote", "1", "--force", "--reason", "try it out")[0] == 0
    assert "FORCED over manifest, smoke, eer, cllr - try it out" in command("history")[1]


def test_gate_alone_promotes_nothing(desk: Desk, register: RegisterTiny, command: Command) -> None:
    register(2.0, PIVOT)
    code, out, _ = command("gate", "1", "--json")
    assert code == 0 and all(check["ok"] for check in json.loads(out)["checks"])
    assert not (desk.folder / bundle.MODEL).exists()


def test_compare_prints_a_table_and_writes_a_page(
    desk: Desk, register: RegisterTiny, command: Command, mlruns: Path
) -> None:
    register(1.0, PIVOT)
    register(-1.0, PIVOT)
    register(1.0, PIVOT + 0.01)
    command("promote", "1")
    page = mlruns / "page" / "compare.html"
    code, out, _ = command("compare", "--out", str(page))
    assert code == 0
    first, second = (line.split() for line in out.splitlines()[2:4])
    assert first[:1] == ["1"] and first[-1] == "champion" and second[-1].endswith("/4")
    assert "version 2 against version 1 on dev: eer" in out and ": worse" in out
    assert "version 3 against version 1 on test: eer" in out and ": no difference shown" in out
    text = page.read_text()
    assert text.count("<svg") == 6 and "<script" not in text and "http-equiv" not in text
    assert (
        json.loads(page.with_suffix(".json").read_text())["versions"][desk.served().sha256]["flips"]["codec"]
        == 0
    )


def test_compare_of_nothing_says_what_to_do(command: Command) -> None:
    code, _, err = command("compare")
    assert code == 1 and "make export" in err


def test_a_registry_that_is_down_is_said_in_a_sentence(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    code, _, err = command("list")
    assert code == 1 and err.startswith("The registry at http://127.0.0.1:1 can't be used")


def test_unknown_version_names_those_there_are(register: RegisterTiny, command: Command) -> None:
    register()
    code, _, err = command("promote", "9")
    assert code == 1 and "registered: 1" in err


def test_challenger_is_named_and_placed_for_the_shadow(
    desk: Desk, register: RegisterTiny, command: Command, mlruns: Path
) -> None:
    version = register()
    assert command("challenge", "1")[0] == 0
    placed = mlruns / "challenger" / bundle.MODEL
    assert Detector.open(placed, expected_sha256=version.sha256).manifest.version == "1"
    assert desk.registry.version("challenger").number == "1"
    assert command("challenge", "none")[0] == 0 and not placed.exists()


def test_a_version_is_placed_beside_what_is_served_and_changes_nothing_there(
    desk: Desk, register: RegisterTiny, command: Command, tmp_path: Path
) -> None:
    first, second = register(1.0, PIVOT), register(2.0, PIVOT)
    command("promote", first.number)
    placed = tmp_path / "light" / bundle.MODEL
    assert command("place", second.number, "--folder", str(placed.parent))[0] == 0
    slot = ModelSlot()
    assert slot.load(placed) and slot.detector is not None
    assert slot.detector.sha256 == second.sha256 == stated_sha256(placed)
    assert bundle.digest_of(desk.folder) == first.sha256
    assert desk.registry.version("champion").number == first.number
    assert len(command("history", "--json")[1].split('"action"')) == 2
    code, _, err = command("place", second.number, "--folder", str(desk.folder))
    assert code == 1 and "promote does that, through the gate" in err
    assert bundle.digest_of(desk.folder) == first.sha256


def test_a_challenger_that_is_promoted_shadows_no_more(
    register: RegisterTiny, command: Command, mlruns: Path
) -> None:
    register()
    command("challenge", "1")
    placed = mlruns / "challenger" / bundle.MODEL
    assert placed.exists()
    assert command("promote", "1", "--force", "--reason", "try it out")[0] == 0
    assert not placed.exists()


@pytest.fixture
def heard_of(tones: Path, tmp_path: Path) -> Path:
    """The tones with training clips, which are those of dev."""
    folder = Path(shutil.copytree(tones, tmp_path / "tones"))
    shutil.copy(folder / "dev.tsv", folder / "train.tsv")
    return folder


def test_a_version_with_short_sums_is_registered_beside_the_first(
    register: RegisterTiny, command: Command, desk: Desk, heard_of: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []

    def shortened(model: bytes, clips: Sequence[np.ndarray]) -> bytes:
        heard.extend(len(clip) for clip in clips)
        return model

    first = register(1.0, PIVOT)
    monkeypatch.setattr("export.int8.shortened", shortened)
    code, out, _ = command("shorten", "1", "--data", str(heard_of))
    assert code == 0 and "Version 2: version 1 with short sums" in out
    second = desk.registry.version("2")
    assert second.run_id == first.run_id
    created = [manifest_of(onnx.load_from_string(desk.registry.file(one))).created for one in (first, second)]
    assert created[1] > created[0]
    assert set(heard) == {tiny.WINDOW_SAMPLES}


def test_what_has_no_sums_of_integers_is_said(
    register: RegisterTiny, command: Command, heard_of: Path
) -> None:
    register(1.0, PIVOT)
    code, _, err = command("shorten", "1", "--data", str(heard_of))
    assert code == 1 and "no weights in integers" in err


def test_a_copied_repository_still_finds_its_files(
    desk: Desk, register: RegisterTiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register()
    copy = tmp_path / "elsewhere"
    shutil.copytree(desk.store.folder.parent, copy)
    shutil.rmtree(desk.store.folder.parent)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{copy / 'mlflow.db'}")
    there = Desk(
        tmp_path / "bundle", bundle.Store(copy / "bundles"), registry.Registry(bundle.Store(copy / "bundles"))
    )
    assert bundle.sha256_of(there.registry.file(there.registry.version("1"))) == version.sha256


def test_tracking_address_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert tracking.tracking_uri() == "http://127.0.0.1:1"
    assert tracking.artifact_location("http://127.0.0.1:1") is None


@pytest.mark.parametrize(
    "name",
    ["list", "compare", "export", "shorten", "gate", "promote", "challenge", "rollback", "history", "place"],
)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        registry.main([name, "--help"])
    assert stopped.value.code == 0 and "--bundle" in capsys.readouterr().out
