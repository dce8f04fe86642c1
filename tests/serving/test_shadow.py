"""The challenger scores a share of live clips off the response path; nothing it does fails a request."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from serving import challenger, shadow
from serving.app import create_app
from serving.settings import Settings
from serving.shadow import Shadow, summary
from tests.serving.conftest import MANIFEST, encode, spoken, write_model

Shadowed = Callable[..., FlaskClient]


@pytest.fixture
def shadowed(tmp_path: Path) -> Iterator[Shadowed]:
    """A client whose every clip is shadowed by a challenger with another threshold."""
    apps = []

    def make(share: float = 1.0, content: bytes | None = None, **changes: Any) -> FlaskClient:
        challenger = tmp_path / "challenger.onnx"
        write_model(challenger, replace(MANIFEST, version="8", **changes))
        if content is not None:
            challenger.write_bytes(content)
        served = write_model(tmp_path / "served.onnx")
        app = create_app(Settings(model=served, challenger=challenger, shadow_share=share))
        apps.append(app)
        return app.test_client()

    yield make
    for app in apps:
        app.extensions["bonafide"].stop()


def detect(client: FlaskClient, seconds: float = 2.0) -> None:
    answer = client.post("/api/detect", data=encode(spoken(seconds)), content_type="audio/wav")
    assert answer.status_code == 200 and answer.json["model"]["version"] == "7"


def state(client: FlaskClient) -> dict[str, Any]:
    service = client.application.extensions["bonafide"]
    return summary(service.board, service.shadow, service.settings.shadow_share)


def wait_for(client: FlaskClient, count: int, *outcomes: str) -> dict[str, Any]:
    """Until that many clips had one of these outcomes."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = state(client)
        if sum(found["outcomes"][outcome] for outcome in outcomes) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not {count} x {outcomes} but {state(client)}")


def test_agreement_shift_and_latencies_of_both_are_told(shadowed: Shadowed) -> None:
    client = shadowed()
    for _ in range(3):
        detect(client)
    found = wait_for(client, 3, "agreed")
    assert found["agreement"] == 1.0 and found["challenger"]["version"] == "8"
    assert abs(found["mean_llr_shift"]) < 1e-5
    assert 0 < found["challenger_ms"] < 1000 and 0 <= found["champion_ms"] < 1000
    text = client.get("/metrics").text
    assert 'bonafide_shadow_clips_total{outcome="agreed"} 3.0' in text
    assert "bonafide_shadow_challenger_seconds_count 3.0" in text


def test_a_challenger_that_decides_otherwise_disagrees(shadowed: Shadowed) -> None:
    client = shadowed(threshold=50.0, inconclusive=[50.0, 50.0])
    detect(client)
    assert wait_for(client, 1, "disagreed")["agreement"] == 0.0


def test_a_challenger_that_was_promoted_is_not_compared_with_itself(
    shadowed: Shadowed, tmp_path: Path
) -> None:
    client = shadowed(content=write_model(tmp_path / "same.onnx").read_bytes())
    service = client.application.extensions["bonafide"]
    for _ in range(2):
        detect(client)
    while not service.shadow._jobs.empty():
        time.sleep(0.02)
    service.shadow.stop()
    assert sum(state(client)["outcomes"].values()) == 0


def test_without_a_share_nothing_is_held_and_nothing_started(shadowed: Shadowed) -> None:
    client = shadowed(share=0.0)
    detect(client)
    service = client.application.extensions["bonafide"]
    assert sum(state(client)["outcomes"].values()) == 0 and service.shadow._thread is None


def test_about_the_stated_share_is_chosen(shadowed: Shadowed) -> None:
    chooser: Shadow = shadowed(share=0.25).application.extensions["bonafide"].shadow
    assert 400 < sum(chooser.chosen() for _ in range(2000)) < 600


def test_a_challenger_that_is_no_model_fails_alone(shadowed: Shadowed) -> None:
    client = shadowed(content=b"no model")
    detect(client)
    assert "can load" in wait_for(client, 1, "failed")["problem"]
    detect(client)
    assert wait_for(client, 1, "dropped")["outcomes"]["failed"] == 1  # it is not started again at once


def test_a_challenger_that_is_killed_fails_alone_and_comes_back(
    shadowed: Shadowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = shadowed()
    detect(client)
    wait_for(client, 1, "agreed")
    service = client.application.extensions["bonafide"]
    os.kill(service.shadow._challenger._process.pid, signal.SIGKILL)
    detect(client)
    wait_for(client, 1, "failed")
    service.shadow._not_before = 0.0
    detect(client)
    wait_for(client, 2, "agreed")


def test_a_challenger_that_hangs_slows_nothing_and_is_killed(
    shadowed: Shadowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = shadowed()
    detect(client)
    wait_for(client, 1, "agreed")
    service = client.application.extensions["bonafide"]
    process = service.shadow._challenger._process
    os.kill(process.pid, signal.SIGSTOP)
    monkeypatch.setattr(challenger, "ANSWER_S", 2.0)
    start = time.monotonic()
    for _ in range(shadow.MOST_WAITING + 3):
        detect(client)
    assert time.monotonic() - start < 2.0 or state(client)["outcomes"]["dropped"] > 0
    wait_for(client, 1, "dropped")
    wait_for(client, 1, "failed")
    assert process.poll() is not None


def test_a_clip_beyond_a_minute_is_not_held(shadowed: Shadowed) -> None:
    client = shadowed()
    detect(client, 61.0)
    assert wait_for(client, 1, "too_long")["outcomes"]["agreed"] == 0


def test_another_challenger_starts_its_figures_anew(shadowed: Shadowed, tmp_path: Path) -> None:
    client = shadowed()
    detect(client)
    detect(client)
    wait_for(client, 2, "agreed")
    write_model(tmp_path / "challenger.onnx", replace(MANIFEST, version="9"))
    detect(client)
    end = time.monotonic() + 60
    while state(client)["challenger"].get("version") != "9" and time.monotonic() < end:
        time.sleep(0.02)
    assert wait_for(client, 1, "agreed")["outcomes"]["agreed"] == 1


def test_another_served_model_starts_the_figures_anew(shadowed: Shadowed, tmp_path: Path) -> None:
    client = shadowed()
    detect(client)
    detect(client)
    wait_for(client, 2, "agreed")
    write_model(tmp_path / "served.onnx", replace(MANIFEST, threshold=0.5))
    service = client.application.extensions["bonafide"]
    before = service.detector().sha256
    end = time.monotonic() + 60
    while service.detector().sha256 == before and time.monotonic() < end:
        time.sleep(0.02)
    detect(client)
    end = time.monotonic() + 60
    while (found := state(client)["outcomes"])["agreed"] != 1 and time.monotonic() < end:
        time.sleep(0.02)
    assert found["agreed"] == 1
