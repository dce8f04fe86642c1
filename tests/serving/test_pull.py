"""A registry that is down, slow or lying never takes the last good model away, not at a cold start either."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from serving import pull as pulling
from serving import registry
from serving.models import BUNDLE, ModelSlot
from serving.pull import MODEL, main, pull, read_status
from serving.reload import load_first
from serving.whole import sha256_of
from tests.serving.conftest import MANIFEST, write_model

CHAMPION = "models:/bonafide@champion"


class FakeRegistry:
    """Speaks the part of MLflow's REST interface that is asked; `lie` changes an answer."""

    def __init__(self, content: bytes, version: str) -> None:
        self.name(content, version)
        self.lie = ""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.fetches = 0
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def name(self, content: bytes, version: str) -> None:
        self.content, self.version, self.sha256 = content, version, sha256_of(content)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        if self.lie == "no HTTP":
            request.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")
            return None
        if self.lie == "error 500":
            return self.send(request, b"database is locked", 500)
        if path.endswith("/registered-models/alias") or path.endswith("/model-versions/get"):
            tags = [] if self.lie == "no sha256" else [{"key": "sha256", "value": self.sha256}]
            entry = {"version": self.version, "run_id": "r", "source": "s", "tags": tags}
            body = (
                b"<html>login</html>" if self.lie == "html" else json.dumps({"model_version": entry}).encode()
            )
            return self.send(request, body)
        if path.endswith("/get-download-uri"):
            where = "s3://bucket/x" if self.lie == "elsewhere" else "mlflow-artifacts:/1/r/artifacts/bundle-1"
            return self.send(request, json.dumps({"artifact_uri": where}).encode())
        assert path == "/api/2.0/mlflow-artifacts/artifacts/1/r/artifacts/bundle-1/detector.onnx"
        self.fetches += 1
        if self.lie == "slow":
            return self.drip(request)
        return self.send(request, self.content[:-9] + b"corrupted" if self.lie == "corrupt" else self.content)

    def send(self, request: BaseHTTPRequestHandler, body: bytes, status: int = 200) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def drip(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        for byte in self.content:
            try:
                request.wfile.write(bytes([byte]))
                request.wfile.flush()
            except OSError:
                return
            time.sleep(0.05)


def model(folder: Path, version: str, **changes: Any) -> bytes:
    return write_model(folder / f"{version}.onnx", replace(MANIFEST, version=version, **changes)).read_bytes()


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeRegistry]:
    registry = FakeRegistry(model(tmp_path, "1"), "1")
    yield registry
    registry.server.shutdown()
    registry.server.server_close()


def served(folder: Path) -> str:
    slot = ModelSlot()
    assert slot.load(folder / MODEL), slot.problem
    assert slot.detector is not None
    return slot.detector.manifest.version


def test_what_the_registry_names_is_placed_and_fetched_once(fake: FakeRegistry, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    for _ in range(3):
        status = pull(CHAMPION, fake.url, folder)
    assert (status.problem, status.version, served(folder), fake.fetches) == ("", "1", "1", 1)
    fake.name(model(tmp_path, "2"), "2")
    assert pull("models:/bonafide/2", fake.url, folder).version == served(folder) == "2"


LIES: dict[str, str] = {
    "error 500": "answered 500: database is locked",
    "html": "expected JSON",
    "no sha256": "states no sha256",
    "elsewhere": "s3://bucket/x",
    "corrupt": "the registry states",
    "slow": "took more than 0.5 s",
    "no HTTP": "can't be reached",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_registry_that_lies_or_dawdles_changes_nothing(
    lie: str, fake: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    pull(CHAMPION, fake.url, folder)
    fake.name(model(tmp_path, "2"), "2")
    fake.lie = lie
    with monkeypatch.context() as impatient:
        impatient.setattr(registry, "FETCH_S", 0.5 if lie == "slow" else registry.FETCH_S)
        status = pull(CHAMPION, fake.url, folder)
    assert LIES[lie] in status.problem.replace("timed out", LIES["slow"])
    assert (status.version, served(folder)) == ("1", "1")
    fake.lie = ""
    assert pull(CHAMPION, fake.url, folder).version == served(folder) == "2"


def test_a_token_is_not_passed_on_to_where_the_registry_points(
    fake: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str | None] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.append(self.headers.get("Authorization"))
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    def point(request: BaseHTTPRequestHandler) -> None:
        told.append(request.headers.get("Authorization"))
        request.send_response(302)
        request.send_header("Location", f"http://localhost:{elsewhere.server_port}/")
        request.end_headers()

    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    elsewhere = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
    monkeypatch.setattr(fake, "answer", point)
    assert "answered 404" in pull(CHAMPION, fake.url, tmp_path).problem
    elsewhere.shutdown()
    elsewhere.server_close()
    assert told == ["Bearer secret", None]


@pytest.mark.parametrize(
    "spoil", [lambda c: b"no onnx at all", lambda c: c.replace(b'"schema": 1', b'"schema": 9')]
)
def test_a_file_that_serving_cannot_open_is_never_placed(
    spoil: Callable[[bytes], bytes], fake: FakeRegistry, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    pull(CHAMPION, fake.url, folder)
    fake.name(spoil(model(tmp_path, "2")), "2")
    assert pull(CHAMPION, fake.url, folder).problem
    assert served(folder) == "1"


def test_a_registry_that_is_down_changes_nothing(fake: FakeRegistry, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    pull(CHAMPION, fake.url, folder)
    status = pull(CHAMPION, "http://127.0.0.1:1", folder)
    assert "can't be reached" in status.problem and status.version == served(folder) == "1"


def test_a_cold_start_while_the_registry_is_down_serves_the_shipped_model(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert main(["--once", "--into", str(folder), "--uri", CHAMPION, "--tracking", "http://127.0.0.1:1"]) == 1
    slot = ModelSlot()
    load_first(slot, folder / MODEL, 1)
    assert not slot.ready and "can't be read" in slot.problem
    assert (slot.detector is not None) == BUNDLE.exists()


def test_readiness_and_metrics_repeat_what_the_sidecar_saw(
    fake: FakeRegistry, tmp_path: Path, make_client: Callable[..., Any]
) -> None:
    folder = tmp_path / "model"
    pull(CHAMPION, fake.url, folder)
    client = make_client(model=folder / MODEL)
    assert client.get("/readyz").json["registry"] == "ok"
    assert "bonafide_registry_ok 1" in client.get("/metrics").text
    pull(CHAMPION, "http://127.0.0.1:1", folder)
    answer = client.get("/readyz")
    assert answer.status_code == 200 and "can't be reached" in answer.json["registry"]
    assert "bonafide_registry_ok 0" in client.get("/metrics").text


@pytest.mark.parametrize("uri", ["models:/bonafide", "runs:/1/x", "bonafide", "models:/a/b/c"])
def test_an_address_of_another_form_is_explained(uri: str, tmp_path: Path) -> None:
    assert "expected models:/NAME@ALIAS" in pull(uri, "http://127.0.0.1:1", tmp_path).problem


def test_a_damaged_status_file_is_no_status(tmp_path: Path) -> None:
    (tmp_path / pulling.STATUS).write_text('{"half": ')
    assert read_status(tmp_path) is None


def test_a_status_that_cannot_be_written_ends_nothing(fake: FakeRegistry, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / pulling.STATUS).mkdir(parents=True)
    status = pull(CHAMPION, fake.url, folder)
    assert served(folder) == status.version == "1"
    assert "can't be written" in status.problem


def test_a_sidecar_that_looks_no_more_is_late(tmp_path: Path) -> None:
    status = pulling.Status(CHAMPION, time.time(), "", "1", "0" * 64)
    assert status.summary == "ok"
    assert "last looked" in replace(status, at=time.time() - 1000).summary
    assert replace(status, at=time.time() - 1000, every_s=600).summary == "ok"
