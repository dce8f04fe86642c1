"""Changes from the models page: off without a token, closed to other sites, after a look at the gate."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from serving import jobs
from serving.jobs import Busy
from serving.models import LIGHT
from tests.serving.conftest import write_model

TOKEN = "a token of good length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
CHANGES = ("/api/models/2/gate", "/api/models/2/promote", "/api/models/rollback", "/api/models/refresh")
Page = Callable[..., FlaskClient]


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Stands in for the full environment's interpreter: notes what it is asked; version 3 fails the gate."""
    path = tmp_path / "python"
    path.write_text(
        f"""#!{sys.executable}
import json, os, sys
with open({str(tmp_path / "asked")!r}, "a") as file:
    file.write(json.dumps([sys.argv[1:], os.environ.get("PROMOTED_BY")]) + "\\n")
if "gate" in sys.argv:
    ok = "3" not in sys.argv
    print(json.dumps({{"checks": [dict(name="eer", ok=ok, found="0.1", expected="0.2", forceable=True)]}}))
    sys.exit(not ok)
"""
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def page(make_client: Page, tmp_path: Path, python: Path) -> Page:
    def make(**changes: Any) -> FlaskClient:
        bundle = tmp_path / "bundle"
        bundle.mkdir(exist_ok=True)
        settings = {"admin_token": TOKEN, "registry_python": python, "mlruns": tmp_path / "mlruns", **changes}
        return make_client(model=write_model(bundle / "detector.onnx"), **settings)

    return make


def asked(tmp_path: Path) -> list[Any]:
    return [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]


def finished(client: FlaskClient, answer: Any) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    end = time.monotonic() + 120
    while time.monotonic() < end:
        found: dict[str, Any] = client.get(f"/api/models/jobs/{answer.json['id']}", headers=BEARER).json
        if found["state"] != "running":
            return found
        time.sleep(0.05)
    raise AssertionError(f"still running: {found}")


@pytest.mark.parametrize("path", CHANGES)
def test_changes_are_off_without_a_token(page: Page, path: str) -> None:
    for token, words in (("", "not set"), ("short", "shorter than 16")):
        client = page(admin_token=token)
        answer = client.post(path, json={}, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 403 and words in answer.json["message"]
        assert not client.get("/api/models").json["can_change"]


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("header", ["", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer é"])
def test_a_wrong_token_is_refused(page: Page, path: str, header: str) -> None:
    answer = page().post(path, json={}, headers={"Authorization": header})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", CHANGES)
def test_another_sites_request_is_refused_even_with_the_token(page: Page, path: str) -> None:
    for origin in ("https://elsewhere.example", "null"):
        assert page().post(path, json={}, headers={**BEARER, "Origin": origin}).status_code == 403


def test_no_answer_lets_another_site_read_or_send(page: Page) -> None:
    for answer in (page().get("/api/models"), page().options("/api/models/2/gate")):
        assert not any(name.startswith("Access-Control") for name, _ in answer.headers)


def test_a_gate_that_passed_allows_its_own_version_alone(page: Page, tmp_path: Path) -> None:
    client = page()
    gate = finished(
        client, client.post("/api/models/2/gate", headers={**BEARER, "Origin": "http://localhost"})
    )
    assert gate["code"] == 0 and gate["checks"][0]["name"] == "eer"
    other = client.post("/api/models/4/promote", json={"gate": gate["id"]}, headers=BEARER)
    assert other.status_code == 409 and "Run the gate on this version first" in other.json["message"]
    promoted = finished(
        client, client.post("/api/models/2/promote", json={"gate": gate["id"]}, headers=BEARER)
    )
    assert promoted["code"] == 0
    words, who = asked(tmp_path)[-1]
    places = ["--bundle", str(tmp_path / "bundle"), "--mlruns", str(tmp_path / "mlruns")]
    assert words == ["-m", "export.registry", "promote", *places, "2", "--json", "--reason="]
    assert who == "models page"


def test_a_failed_gate_needs_force_and_a_reason(page: Page, tmp_path: Path) -> None:
    client = page()
    gate = finished(client, client.post("/api/models/3/gate", headers=BEARER))
    assert gate["code"] == 1
    for body in ({}, {"force": True}, {"force": True, "reason": " "}, {"reason": "please"}):
        answer = client.post("/api/models/3/promote", json={"gate": gate["id"], **body}, headers=BEARER)
        assert answer.status_code == 409 and "gate refused" in answer.json["message"]
    body = {"gate": gate["id"], "force": True, "reason": "--help; rm"}
    finished(client, client.post("/api/models/3/promote", json=body, headers=BEARER))
    assert asked(tmp_path)[-1][0][-2:] == ["--reason=--help; rm", "--force"]


@pytest.mark.parametrize("version", ["--help", "champion", "1;2"])
def test_only_numbers_name_a_version(page: Page, version: str) -> None:
    assert page().post(f"/api/models/{version}/gate", headers=BEARER).status_code == 400


def test_rollback_passes_its_reason_on(page: Page, tmp_path: Path) -> None:
    client = page()
    assert client.post("/api/models/rollback", data="reason=x", headers=BEARER).status_code == 400
    finished(client, client.post("/api/models/rollback", json={"reason": "worse"}, headers=BEARER))
    assert asked(tmp_path)[-1][0][2] == "rollback" and asked(tmp_path)[-1][0][-1] == "--reason=worse"


def test_without_the_full_environment_the_page_says_so(page: Page, tmp_path: Path) -> None:
    client = page(registry_python=tmp_path / "none")
    assert "no registry" in client.get("/api/models").json["why_not"]
    assert client.post("/api/models/2/gate", headers=BEARER).status_code == 503


def test_where_the_light_version_is_served_nothing_is_promoted_over_it(
    make_client: Callable[..., FlaskClient], python: Path, tmp_path: Path
) -> None:
    client = make_client(model=LIGHT, admin_token=TOKEN, registry_python=python, mlruns=tmp_path)
    assert client.get("/api/models").json["can_change"] is False
    answer = client.post("/api/models/rollback", json={"reason": "no"}, headers=BEARER)
    assert answer.status_code == 403 and "light version" in answer.get_data(as_text=True)
    assert not (LIGHT.parent / "history.jsonl").exists()


def test_overview_shows_what_the_registry_and_the_log_left(page: Page, tmp_path: Path) -> None:
    client = page()
    found = client.get("/api/models").json
    assert (found["served"]["version"], found["versions"], found["history"]) == ("7", [], [])
    (tmp_path / "mlruns").mkdir(exist_ok=True)
    (tmp_path / "mlruns" / "models.json").write_text(
        json.dumps({"at": "2026", "versions": [{"number": "2"}]})
    )
    (tmp_path / "mlruns" / "compare.json").write_text("{half")
    (tmp_path / "bundle" / "history.jsonl").write_text('{"id": "old"}\n{"id": "new"}\n')
    found = client.get("/api/models").json
    assert found["versions"] == [{"number": "2"}] and found["compared"] == {}
    assert [change["id"] for change in found["history"]] == ["new", "old"]


def test_comparison_is_shown_without_scripts(page: Page, tmp_path: Path) -> None:
    client = page()
    assert client.get("/models/compare").status_code == 404
    (tmp_path / "mlruns").mkdir(exist_ok=True)
    (tmp_path / "mlruns" / "compare.html").write_text("<p>plots</p>")
    answer = client.get("/models/compare")
    assert answer.status_code == 200 and "script-src" not in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_one_job_runs_at_a_time_and_a_killed_one_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "jobs"
    pid = tmp_path / "pid"
    command = [
        sys.executable,
        "-c",
        f"import os,time; open({str(pid)!r},'w').write(str(os.getppid())); time.sleep(20)",
    ]
    first = jobs.start(folder, "gate", "1", command, {})
    while not pid.exists() or not pid.read_text():
        time.sleep(0.05)
    with pytest.raises(Busy):
        jobs.start(folder, "gate", "2", command, {})
    assert jobs.running(folder) == first
    os.kill(int(pid.read_text()), signal.SIGKILL)
    end = time.monotonic() + 60
    while (job := jobs.read(folder, first.id)) and job.state == "running" and time.monotonic() < end:
        time.sleep(0.1)
    assert job is not None and job.state == "lost"
    assert jobs.start(folder, "gate", "2", [sys.executable, "-c", ""], {}).state == "running"


@pytest.mark.parametrize("identity", ["none", "../../etc/passwd", "0" * 32])
def test_an_unknown_job_is_not_found(page: Page, identity: str) -> None:
    assert page().get(f"/api/models/jobs/{identity}", headers=BEARER).status_code == 404
