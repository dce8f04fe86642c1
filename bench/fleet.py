"""The servers that are compared, each started when first needed and kept, so that turns can alternate."""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

START_S = 120.0  # mlflow takes half a minute on a busy machine


@dataclass(frozen=True)
class Recipe:
    """How a server is started and asked."""

    command: Callable[[int], list[str]]  # port -> argv
    folder: Path
    environment: dict[str, str]
    path: str
    ready: str  # a path that answers 200 when clips can be scored
    body: Callable[[bytes, str], tuple[bytes, dict[str, str]]]  # clip, container -> body and headers


@dataclass(frozen=True)
class Server:
    """A running one."""

    name: str
    recipe: Recipe
    process: "subprocess.Popen[bytes]"
    port: int
    started_s: float  # from launch to ready

    @property
    def pid(self) -> int:
        return self.process.pid


class StartError(Exception):
    """A server did not become ready; the message holds the end of its log."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def launch(name: str, recipe: Recipe, log: IO[bytes]) -> Server:
    """Start a server and wait until it is ready. Raises StartError."""
    port = free_port()
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **recipe.environment}
    begun = time.monotonic()
    process = subprocess.Popen(
        recipe.command(port), cwd=recipe.folder, env={**variables, "PORT": str(port)},
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    while not _answers(port, recipe.ready):
        if process.poll() is not None or time.monotonic() - begun > START_S:
            stop(process)
            words = Path(log.name).read_text(errors="replace").strip()[-600:]
            raise StartError(f"{name} did not get ready (exit code {process.returncode}): {words}")
        time.sleep(0.01)
    return Server(name, recipe, process, port, time.monotonic() - begun)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End the server and what it started: its whole session, which no other process is in."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 15)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(15)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Fleet:
    """Servers by name. Use it in a `with`: leaving stops them all."""

    def __init__(self, recipes: dict[str, Callable[[], Recipe]], logs: Path) -> None:
        self._recipes, self._logs = recipes, logs
        self._running: dict[str, Server] = {}
        self.problems: dict[str, str] = {}  # of servers that didn't start; told once, not tried again

    def get(self, name: str) -> Server:
        """The running server, started now if it isn't. Raises StartError."""
        if name in self.problems:
            raise StartError(self.problems[name])
        if name not in self._running:
            print(f"starting {name} ...", file=sys.stderr, flush=True)
            try:
                self._running[name] = self.fresh(name)
            except (StartError, subprocess.CalledProcessError) as error:
                self.problems[name] = str(error)
                raise StartError(str(error)) from error
        return self._running[name]

    def fresh(self, name: str) -> Server:
        """Another one of this kind; the caller stops it."""
        self._logs.mkdir(parents=True, exist_ok=True)
        with (self._logs / f"{name}.log").open("wb") as log:
            return launch(name, self._recipes[name](), log)

    def started(self, names: tuple[str, ...]) -> Iterator[Server]:
        """Those of the names that can be started; `problems` tells of the others."""
        for name in names:
            with contextlib.suppress(StartError):
                yield self.get(name)

    def stop(self, name: str) -> None:
        if server := self._running.pop(name, None):
            stop(server.process)

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._running):
            self.stop(name)
