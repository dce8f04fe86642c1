"""The service as it is deployed, gunicorn with its own configuration, for tests of what only shows there."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0


class Live:
    """A running server."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> tuple[int, str]:
        """Status and body, of an error as well."""
        return self._open(urllib.request.Request(self.url + path))

    def detect(self, clip: bytes) -> tuple[int, dict[str, Any]]:
        """POST /api/detect with a raw body."""
        headers = {"Content-Type": "audio/wav"}
        status, text = self._open(urllib.request.Request(self.url + "/api/detect", clip, headers))
        return status, json.loads(text)

    def _open(self, request: urllib.request.Request) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def wait_for(self, path: str, text: str, within_s: float = 20.0) -> str:
        """Asks until the answer holds `text`; fails after `within_s`."""
        end = time.monotonic() + within_s
        body = ""
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                body = self.get(path)[1]
            if text in body:
                return body
            time.sleep(0.1)
        raise AssertionError(f"{path} did not say {text!r} within {within_s} s, but {body[:2000]}")


@contextlib.contextmanager
def running(workers: int = 2, **environment: str) -> Iterator[Live]:
    """Starts gunicorn with this project's configuration on a free port; stops it afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {**os.environ, "PORT": str(port), "BONAFIDE_WORKERS": str(workers), **environment}
    command = [sys.executable, "-m", "gunicorn", "--log-level", "warning"]
    server = subprocess.Popen(command, cwd=ROOT, env=variables)
    try:
        live = Live(port)
        live.wait_for("/healthz", "ok", START_S)
        yield live
    finally:
        server.terminate()
        server.wait(30)
