"""The sidecar against MLflow itself: its sqlite file, its server while it runs, and after it stopped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from export.bundle import Store
from export.promotion import Desk, promote
from export.versions import Registry
from serving.detector import Detector
from serving.pull import MODEL, pull
from tests.export.conftest import RegisterTiny

CHAMPION = "models:/bonafide@champion"


def test_alias_and_number_are_read_from_mlflows_sqlite(
    desk: Desk, register: RegisterTiny, tmp_path: Path
) -> None:
    first, second = register(1.0), register(3.0)
    promote(desk, second, [], "")
    tracking, folder = os.environ["MLFLOW_TRACKING_URI"], tmp_path / "model"
    assert pull(CHAMPION, tracking, folder).sha256 == second.sha256
    assert Detector.open(folder / MODEL).manifest.version == "2"
    assert pull("models:/bonafide/1", tracking, folder).sha256 == first.sha256
    assert "no bonafide @other" in pull("models:/bonafide@other", tracking, folder).problem
    assert Detector.open(folder / MODEL).manifest.version == "1"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`mlflow server` with its own artefact store, on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = tmp_path / "server"
    store.mkdir()
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1",
        "--backend-store-uri", f"sqlite:///{store / 'mlflow.db'}",
        "--artifacts-destination", str(store / "artifacts"),
    ]  # fmt: skip
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait(30)


def _wait(address: str) -> None:
    for _ in range(1800):
        try:
            urllib.request.urlopen(address, timeout=2)
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{address} did not answer")


def test_a_running_mlflow_server_is_pulled_from_and_its_stop_is_survived(
    server: tuple[str, subprocess.Popen[bytes]], register: RegisterTiny, desk: Desk, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    address, process = server
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    store = Store(tmp_path / "remote")
    desk.registry.__dict__.update(Registry(store).__dict__)  # `register` writes to the server from here on
    version = register(1.0)
    desk.registry.point("champion", version)
    folder = tmp_path / "model"
    status = pull(CHAMPION, address, folder)
    assert (status.problem, status.sha256) == ("", version.sha256)
    process.terminate()
    process.wait(30)
    assert "can't be reached" in pull(CHAMPION, address, folder).problem
    assert Detector.open(folder / MODEL, expected_sha256=version.sha256).manifest.version == "1"
