"""Promotion, rollback and the log: all or nothing, byte for byte, and nothing forgotten."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from export import bundle, history
from export.gate import Check
from export.history import HistoryError
from export.promotion import Desk, Refused, promote, rollback, who
from export.versions import CHALLENGER, CHAMPION, PREVIOUS, RegistryError
from serving.detector import Detector
from serving.session import EXACT
from tests.export.conftest import RegisterTiny

GOOD = [Check("all", True, "well", "well")]
BAD = [Check("eer", False, "0.4", "0.1")]


def test_promotion_serves_the_version_and_moves_the_aliases(desk: Desk, register: RegisterTiny) -> None:
    first, second = register(2.0), register(3.0)
    promote(desk, first, GOOD, "")
    promote(desk, second, GOOD, first.sha256)
    served = Detector.open(desk.folder / bundle.MODEL, expected_sha256=second.sha256)
    assert served.manifest.version == second.number == "2"
    assert (desk.folder / bundle.DIGEST).read_text() == f"{second.sha256}  {bundle.MODEL}\n"
    assert desk.registry.version(CHAMPION).number == "2"
    assert desk.registry.version(PREVIOUS).number == "1"


def test_rollback_restores_the_bytes_even_when_the_kept_file_is_gone(
    desk: Desk, register: RegisterTiny
) -> None:
    first, second = register(2.0), register(3.0)
    promote(desk, first, GOOD, "")
    before = (desk.folder / bundle.MODEL).read_bytes()
    promote(desk, second, GOOD, first.sha256)
    (desk.store.folder / f"{first.sha256}.onnx").unlink()
    rollback(desk, "worse in the field")
    assert (desk.folder / bundle.MODEL).read_bytes() == before
    assert desk.registry.version(CHAMPION).number == "1"
    assert [change.action for change in history.read(desk.folder)] == ["promote", "promote", "rollback"]
    assert history.read(desk.folder)[-1].reason == "worse in the field"


def test_rollback_of_a_rollback_goes_further_back(desk: Desk, register: RegisterTiny) -> None:
    versions = [register(gain) for gain in (2.0, 3.0, 4.0)]
    judged = ""
    for version in versions:
        promote(desk, version, GOOD, judged)
        judged = version.sha256
    rollback(desk)
    rollback(desk)
    assert desk.served().version == "1"
    with pytest.raises(Refused, match="no earlier bundle"):
        rollback(desk)


def test_a_shipped_bundle_of_no_registry_is_rolled_back_to(desk: Desk, register: RegisterTiny) -> None:
    shipped = register(2.5)
    desk.folder.mkdir(parents=True)
    content = desk.registry.file(shipped)
    (desk.folder / bundle.MODEL).write_bytes(content)
    desk.registry.client.delete_model_version("bonafide", shipped.number)
    (desk.store.folder / f"{shipped.sha256}.onnx").unlink()
    promote(desk, register(3.0), GOOD, shipped.sha256)
    rollback(desk)
    assert (desk.folder / bundle.MODEL).read_bytes() == content


def test_failed_checks_refuse_and_name_themselves(desk: Desk, register: RegisterTiny) -> None:
    version = register()
    with pytest.raises(Refused, match="does not pass: eer"):
        promote(desk, version, BAD, "")
    assert not (desk.folder / bundle.MODEL).exists()
    assert history.read(desk.folder) == []


def test_force_needs_a_reason_and_is_logged(desk: Desk, register: RegisterTiny) -> None:
    version = register()
    with pytest.raises(Refused, match="needs a reason"):
        promote(desk, version, BAD, "", force=True, reason="  ")
    change = promote(desk, version, BAD, "", force=True, reason="demonstration")
    assert (change.forced, change.reason, change.who) == (True, "demonstration", "tester")
    assert history.read(desk.folder) == [change]
    assert history.read(desk.folder)[0].gate[0]["found"] == "0.4"


def test_force_does_not_promote_what_cannot_be_served(desk: Desk, register: RegisterTiny) -> None:
    unservable = [Check("file", False, "no ONNX", "ONNX", forceable=False)]
    with pytest.raises(Refused, match="file cannot be forced"):
        promote(desk, register(), unservable, "", force=True, reason="please")


def test_promotion_is_refused_when_the_champion_changed_since_the_gate(
    desk: Desk, register: RegisterTiny
) -> None:
    first, second = register(2.0), register(3.0)
    promote(desk, first, GOOD, "")
    with pytest.raises(Refused, match="champion changed"):
        promote(desk, second, GOOD, "")


def test_a_registered_file_that_was_altered_is_not_promoted(desk: Desk, register: RegisterTiny) -> None:
    version = register()
    (desk.store.folder / f"{version.sha256}.onnx").unlink()
    artefact = Path(version.source.removeprefix("file://")) / bundle.MODEL
    artefact.write_bytes(artefact.read_bytes()[:-1] + b"!")
    with pytest.raises(RegistryError, match="registered was"):
        promote(desk, version, GOOD, "")
    assert not (desk.folder / bundle.MODEL).exists()


def test_challenger_alias_goes_when_it_becomes_champion(desk: Desk, register: RegisterTiny) -> None:
    version = register()
    desk.registry.point(CHALLENGER, version)
    promote(desk, version, GOOD, "")
    assert desk.registry.version("1").aliases == (CHAMPION,)


def test_an_edited_log_is_noticed(desk: Desk, register: RegisterTiny) -> None:
    first, second = register(2.0), register(3.0)
    promote(desk, first, BAD, "", force=True, reason="hurry")
    promote(desk, second, GOOD, first.sha256)
    path = desk.folder / history.NAME
    path.write_text(path.read_text().replace("hurry", "approved"))
    with pytest.raises(HistoryError, match="edited"):
        history.read(desk.folder)


def test_any_text_may_be_a_reason(desk: Desk, register: RegisterTiny) -> None:
    reason = "pasted\u2028from\x85a page\nwith \u201cquotes\u201d"
    promote(desk, register(), GOOD, "", reason=reason)
    assert [change.reason for change in history.read(desk.folder)] == [reason]


def test_log_lines_are_json_that_name_both_sides(desk: Desk, register: RegisterTiny) -> None:
    version = register()
    promote(desk, version, GOOD, "")
    line = json.loads((desk.folder / history.NAME).read_text())
    assert line["before"]["sha256"] == "" and line["after"] == {
        "version": "1",
        "sha256": version.sha256,
        "run_id": version.run_id,
    }


def test_mlflow_itself_loads_the_registered_version(desk: Desk, register: RegisterTiny) -> None:
    import mlflow
    import numpy as np

    register()
    model = mlflow.pyfunc.load_model("models:/bonafide/1")
    found = model.predict({"waveform": np.full((1, 8000), 0.1, np.float32)})
    assert found["window_llr"].shape == (1, 1)
    session = model.get_raw_model()
    assert session.get_session_options().get_session_config_entry(EXACT) == "1"  # sums as serving's


def test_where_there_is_no_git_and_no_name_the_user_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.delenv("PROMOTED_BY", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("getpass.getuser", nameless)
    assert who() == str(os.getuid())
