"""The gate lets a sound version pass and refuses each kind of bad one, with its reason."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from export import bundle
from export.footprint import Footprint, measure
from export.gate import Check, Gate, GateFileError, passed
from export.promotion import Desk, Refused, promote
from export.verify import judge
from export.versions import Version
from serving.whole import sha256_of
from tests.export.conftest import RegisterTiny

PIVOT = -4.9  # between the tones' levels: nearly perfect
Judge = Callable[..., dict[str, Check]]


@pytest.fixture
def gate() -> Gate:
    gate = Gate.read()
    metric = dataclasses.replace(gate.metric, resamples=200)
    return dataclasses.replace(gate, metric=metric, flips=dataclasses.replace(gate.flips, clips=8))


@pytest.fixture
def judged(desk: Desk, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """Runs the gate; the cost of serving, which starts a process, is measured in a test of its own."""
    monkeypatch.setattr("export.verify.measure", lambda *_: Footprint(0.1, 100.0, 10))

    def run(version: Version, data: Path | None = None, **changes: Any) -> dict[str, Check]:
        checks = judge(desk, version, data, tmp_path / "scores", dataclasses.replace(gate, **changes))
        return {check.name: check for check in checks}

    return run


def failures(checks: dict[str, Check]) -> list[str]:
    return [name for name, check in checks.items() if not check.ok]


def serve(desk: Desk, version: Version) -> None:
    promote(desk, version, [], bundle.digest_of(desk.folder))


def test_a_sound_first_version_passes(register: RegisterTiny, judged: Judge) -> None:
    checks = judged(register(2.0, PIVOT))
    assert failures(checks) == []
    assert list(checks) == [
        *("file", "manifest", "smoke", "torch = ONNX", "alone = batched", "finite"),
        *("size", "latency", "memory", "eer", "cllr"),
        *("flips under trim", "flips under gain", "flips under codec"),
    ]  # fmt: skip


def test_a_version_as_good_as_the_champion_passes(desk: Desk, register: RegisterTiny, judged: Judge) -> None:
    serve(desk, register(2.0, PIVOT))
    checks = judged(register(2.0, PIVOT + 0.01))
    assert failures(checks) == []
    assert "no difference shown" in checks["eer"].found


def test_a_worse_ranking_is_refused(desk: Desk, register: RegisterTiny, judged: Judge) -> None:
    serve(desk, register(2.0, PIVOT))
    assert {"eer", "cllr"} <= set(failures(judged(register(-2.0, PIVOT))))


def test_worse_calibration_is_refused(desk: Desk, register: RegisterTiny, judged: Judge) -> None:
    serve(desk, register(2.0, PIVOT))
    checks = judged(register(2.0, -1.0))
    assert "cllr" in failures(checks) and "eer" not in failures(checks)
    assert "worse" in checks["cllr"].found


def test_a_first_version_that_guesses_is_refused(register: RegisterTiny, judged: Judge) -> None:
    assert "eer" in failures(judged(register(-2.0, PIVOT)))


def test_new_flips_are_refused(desk: Desk, register: RegisterTiny, judged: Judge) -> None:
    serve(desk, register(2.0, PIVOT, inconclusive=[-100.0, 100.0]))
    checks = judged(register(2.0, PIVOT))
    assert failures(checks) == ["flips under gain"]
    assert "champion 0" in checks["flips under gain"].found


def test_another_network_than_the_runs_is_refused(desk: Desk, register: RegisterTiny, judged: Judge) -> None:
    first = register(2.0, PIVOT)
    other = register(2.0, PIVOT + 0.1)
    swapped = desk.registry.add(desk.registry.file(other), first.run_id)
    assert failures(judged(swapped)) == ["torch = ONNX"]


def test_a_run_without_a_checkpoint_is_refused(desk: Desk, register: RegisterTiny, judged: Judge) -> None:
    version = register(2.0, PIVOT)
    run = desk.registry.client.create_run(desk.registry.client.get_run(version.run_id).info.experiment_id)
    copy = desk.registry.add(desk.registry.file(version), run.info.run_id)
    assert "no checkpoint" in judged(copy, desk.registry.data_of_run(version.run_id))["torch = ONNX"].found


def test_a_window_that_hears_its_neighbours_is_refused(register: RegisterTiny, judged: Judge) -> None:
    assert failures(judged(register(2.0, PIVOT, architecture="leaky"))) == ["alone = batched"]


def test_scores_that_are_not_finite_are_refused_for_good(register: RegisterTiny, judged: Judge) -> None:
    checks = judged(register(2.0, PIVOT, architecture="fragile"))
    assert checks["finite"].found == "not finite on silence"
    assert "not finite" in checks["flips"].found  # long silence is a harmless change
    assert not passed(list(checks.values()), forced=True)


@pytest.mark.parametrize(
    ("name", "limit"),
    [("size", {"max_bytes": 100}), ("latency", {"max_ms_per_window": 0.01}), ("memory", {"max_mb": 50})],
)
def test_a_broken_budget_is_refused(
    name: str, limit: dict[str, float], register: RegisterTiny, judged: Judge
) -> None:
    assert failures(judged(register(2.0, PIVOT), **limit)) == [name]


@pytest.mark.parametrize(("share", "refused"), [(0.8, []), (1.2, ["latency"])])
def test_on_a_slow_machine_the_champions_time_is_the_budget(
    share: float,
    refused: list[str],
    desk: Desk,
    register: RegisterTiny,
    judged: Judge,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    champion, candidate = register(2.0, PIVOT), register(2.0, PIVOT + 0.01)
    serve(desk, champion)

    def slow(path: Path, clip_s: float) -> Footprint:
        theirs = sha256_of(path.read_bytes()) == champion.sha256
        return Footprint(30.0, 100.0, 40) if theirs else Footprint(60.0 * share, 100.0, 20)

    monkeypatch.setattr("export.verify.measure", slow)
    checks = judged(candidate, max_ms_per_window=20.0)
    assert failures(checks) == refused
    assert f"{share:.2f} of the champion's time" in checks["latency"].found


def test_an_incomplete_manifest_is_refused(register: RegisterTiny, judged: Judge) -> None:
    checks = judged(register(2.0, PIVOT, licence="", metrics=[]))
    assert failures(checks) == ["manifest"]
    assert checks["manifest"].found == "empty: licence, metrics"


def test_a_smoke_model_is_barred(desk: Desk, register: RegisterTiny, judged: Judge) -> None:
    version = register(2.0, PIVOT, smoke=True)
    checks = judged(version)
    assert failures(checks) == ["smoke"]
    with pytest.raises(Refused, match="smoke"):
        promote(desk, version, list(checks.values()), "")


def test_a_file_that_serving_cannot_open_is_refused_for_good(
    desk: Desk, register: RegisterTiny, judged: Judge
) -> None:
    version = register(2.0, PIVOT)
    broken = desk.registry.file(version)[:-200]
    digest = desk.store.keep(broken)
    desk.registry.client.set_model_version_tag("bonafide", version.number, "sha256", digest)
    checks = judged(desk.registry.version(version.number))
    assert failures(checks) == ["file"] and not checks["file"].forceable


def test_without_a_protocol_nothing_passes(register: RegisterTiny, judged: Judge, tmp_path: Path) -> None:
    checks = judged(register(2.0, PIVOT, data=None))
    assert failures(checks) == ["metrics", "flips"]
    assert "no protocol named" in checks["metrics"].found
    assert "does not exist" in judged(register(2.0, PIVOT, data=None), tmp_path / "none.tsv")["metrics"].found


def test_cost_is_measured_in_a_process_of_its_own(desk: Desk, register: RegisterTiny, tmp_path: Path) -> None:
    path = tmp_path / "detector.onnx"
    path.write_bytes(desk.registry.file(register(2.0, PIVOT)))
    cost = measure(path, 10.0)
    assert cost.windows == 39 and 0 < cost.ms_per_window < 50 and 20 < cost.peak_mb < 400


def test_gate_file_with_an_unknown_key_is_rejected(tmp_path: Path) -> None:
    facts = json.loads(Path("export/gate.json").read_text())
    path = tmp_path / "gate.json"
    path.write_text(json.dumps({**facts, "typo": 1}))
    with pytest.raises(GateFileError, match="typo"):
        Gate.read(path)
