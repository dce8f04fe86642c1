"""The real server: two workers, one set of counters, and a worker's death is not the service's."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.serving.conftest import encode, noise, spoken

ROOT = Path(__file__).resolve().parents[2]
START_S = 60


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def call(port: int, path: str, content: bytes | None = None) -> tuple[int, str]:
    """Status and body; a POST of a raw clip if there is content."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"Content-Type": "audio/wav"} if content else {}
        connection.request("POST" if content else "GET", path, content, headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def wait_for(port: int, path: str = "/readyz") -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        try:
            if call(port, path)[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{path} did not answer 200 within {START_S} s")


@pytest.fixture(scope="module")
def server(model_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    environment = {
        **os.environ,
        "PORT": str(port),
        "BONAFIDE_MODEL": str(model_path),
        "BONAFIDE_WORKERS": "2",
    }
    process = subprocess.Popen([sys.executable, "-m", "gunicorn"], cwd=ROOT, env=environment)
    try:
        wait_for(port)
        yield process, port
    finally:
        process.terminate()
        process.wait(timeout=60)


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("needs /proc")
    return [int(pid) for pid in children.read_text().split()]


def fakes(port: int) -> float:
    text = call(port, "/metrics")[1]
    return next(float(line.split()[1]) for line in text.splitlines() if 'outcome="fake"' in line)


def test_every_worker_reports_the_sum_of_all(server: tuple[subprocess.Popen[bytes], int]) -> None:
    _, port = server
    before = fakes(port)
    for _ in range(6):  # each over a connection of its own, so over both workers
        status, body = call(port, "/api/detect", encode(spoken(1)))
        assert status == 200
        assert json.loads(body)["verdict"] == "fake"
    assert {fakes(port) for _ in range(6)} == {before + 6}


def test_a_killed_worker_is_replaced_and_no_count_is_lost(
    server: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, port = server
    call(port, "/api/detect", encode(spoken(1)))
    before, victims = fakes(port), workers_of(process)
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    end = time.monotonic() + START_S
    while time.monotonic() < end and (
        set(workers_of(process)) & set(victims) or len(workers_of(process)) < 2
    ):
        time.sleep(0.1)
    wait_for(port)
    assert call(port, "/api/detect", encode(spoken(1)))[0] == 200
    assert fakes(port) == before + 1


def test_termination_is_clean(model_path: Path) -> None:
    """Workers end by themselves: no abort from what was loaded before the fork, no decoder left behind."""
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "BONAFIDE_MODEL": str(model_path), "WEB_CONCURRENCY": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for(port)
    assert call(port, "/api/detect", encode(spoken(1)))[0] == 200
    process.terminate()
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "SIGABRT" not in log and "SIGKILL" not in log and "terminate called" not in log


def statuses_over_one_connection(port: int, clip: bytes) -> list[int]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    found = []
    try:
        for _ in range(12):
            connection.request("POST", "/api/detect", clip, {"Content-Type": "audio/wav"})
            response = connection.getresponse()
            response.read()
            found.append(response.status)
    finally:
        connection.close()
    return found


def test_a_connection_outlives_a_refusal(model_path: Path) -> None:
    """A body that was refused unread would cost a client its connection, and the next clip a broken pipe."""
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "BONAFIDE_MODEL": str(model_path), "BONAFIDE_QUEUE": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn"], cwd=ROOT, env={**environment, "WEB_CONCURRENCY": "1"}
    )
    try:
        wait_for(port)
        clip = encode(noise(25))
        with ThreadPoolExecutor(8) as clients:
            found = list(clients.map(lambda _: statuses_over_one_connection(port, clip), range(8)))
    finally:
        process.terminate()
        process.wait(timeout=60)
    assert {status for statuses in found for status in statuses} == {200, 503}


def test_bodies_that_dawdle_leave_health_checks_and_words(model_path: Path) -> None:
    """More than request threads: what has no place is told so, and the service still says that it lives."""
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "BONAFIDE_MODEL": str(model_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn"], cwd=ROOT,
        env={**environment, "BONAFIDE_REQUEST_THREADS": "12", "BONAFIDE_QUEUE": "2"},
    )  # fmt: skip
    slow = []
    try:
        wait_for(port)
        for length in (3_000_000, 3_000) * 10:
            connection = socket.create_connection(("127.0.0.1", port))
            slow.append(connection)
            connection.sendall(
                b"POST /api/detect HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\n"
                + f"Content-Length: {length}\r\n\r\nRIFF".encode()
            )
        time.sleep(3)
        for _ in range(3):
            assert call(port, "/healthz")[0] == 200
        assert call(port, "/api/detect", encode(spoken(1)))[0] == 503
        for connection in slow:
            connection.close()
        wait_for(port)
        end = time.monotonic() + START_S
        while (status := call(port, "/api/detect", encode(spoken(1)))[0]) == 503 and time.monotonic() < end:
            time.sleep(0.1)
        assert status == 200
    finally:
        for connection in slow:
            connection.close()
        process.terminate()
        process.wait(timeout=60)
