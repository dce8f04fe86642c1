"""Requests to a server: one after the other, from a number of connections, or at a stated rate."""

import http.client
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bench.fleet import Server

TIMEOUT_S = 60


@dataclass
class Tally:
    """What came back. Seconds of accepted requests, from when each was due to when its answer was read."""

    accepted_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)  # 429 and 503
    with_retry_after: int = 0  # of the refused
    failed: int = 0  # any other status, or a broken connection
    seconds: float = 0.0  # of the whole
    last: bytes = b""

    def rate(self) -> float:
        """Accepted requests a second."""
        return len(self.accepted_s) / self.seconds


class Caller:
    """One connection that stays open, for one thread."""

    def __init__(self, server: Server, body: bytes, headers: dict[str, str]) -> None:
        self._server, self._body, self._headers = server, body, headers
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=TIMEOUT_S)

    def call(self, tally: Tally, due: float | None = None) -> None:
        """One request, counted."""
        begun = time.perf_counter() if due is None else due
        try:
            self._connection.request("POST", self._server.recipe.path, self._body, self._headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self._retry(tally, begun)
            return
        self._count(tally, answer, content, time.perf_counter() - begun)

    def _retry(self, tally: Tally, begun: float) -> None:
        """A refusal may be sent before the body was read, which breaks the pipe of what is still sent."""
        answer_read = None
        with_answer = getattr(self._connection, "sock", None)
        if with_answer is not None:
            answer_read = _late_answer(self._connection)
        self._connection.close()
        self._connection = self._connect()
        if answer_read is None:
            tally.failed += 1
        else:
            self._count(tally, answer_read, b"", time.perf_counter() - begun)

    @staticmethod
    def _count(tally: Tally, answer: http.client.HTTPResponse, content: bytes, seconds: float) -> None:
        if answer.status == 200:
            tally.accepted_s.append(seconds)
            tally.last = content
        elif answer.status in (429, 503):
            tally.refused_s.append(seconds)
            tally.with_retry_after += answer.getheader("Retry-After") is not None
        else:
            tally.failed += 1

    def close(self) -> None:
        self._connection.close()


def _late_answer(connection: http.client.HTTPConnection) -> http.client.HTTPResponse | None:
    try:
        sock: socket.socket = connection.sock
        answer = http.client.HTTPResponse(sock, method="POST")
        answer.begin()
        return answer
    except (OSError, http.client.HTTPException):
        return None


def in_turn(server: Server, clip: bytes, container: str, count: int) -> Tally:
    """`count` requests over one connection."""
    caller, tally = Caller(server, *server.recipe.body(clip, container)), Tally()
    begun = time.perf_counter()
    for _ in range(count):
        caller.call(tally)
    tally.seconds = time.perf_counter() - begun
    caller.close()
    return tally


def closed_loop(server: Server, clip: bytes, connections: int, seconds: float) -> Tally:
    """As many requests as go through so many connections, each with one under way."""
    end = time.perf_counter() + seconds
    body, headers = server.recipe.body(clip, "wav")

    def work(tally: Tally) -> None:
        caller = Caller(server, body, headers)
        while time.perf_counter() < end:
            refused = len(tally.refused_s)
            caller.call(tally)
            if len(tally.refused_s) > refused:
                time.sleep(0.05)
        caller.close()

    return _gather(work, connections)


def open_loop(server: Server, clip: bytes, rate: float, seconds: float, threads: int = 96) -> Tally:
    """Requests that arrive by chance (Poisson) at `rate` a second, earlier ones answered or not."""
    rng = np.random.default_rng(0)
    gaps = rng.exponential(1 / rate, max(1, round(rate * seconds)))
    begun = time.perf_counter() + 0.2
    due = iter((begun + np.cumsum(gaps)).tolist())
    lock = threading.Lock()
    body, headers = server.recipe.body(clip, "wav")

    def work(tally: Tally) -> None:
        caller = Caller(server, body, headers)
        while True:
            with lock:
                at = next(due, None)
            if at is None:
                break
            time.sleep(max(0.0, at - time.perf_counter()))
            caller.call(tally, at)
        caller.close()

    return _gather(work, threads)


def _gather(work: Callable[[Tally], None], threads: int) -> Tally:
    tallies = [Tally() for _ in range(threads)]
    workers = [threading.Thread(target=work, args=(tally,)) for tally in tallies]
    begun = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    total = Tally(seconds=time.perf_counter() - begun)
    for tally in tallies:
        total.accepted_s += tally.accepted_s
        total.refused_s += tally.refused_s
        total.with_retry_after += tally.with_retry_after
        total.failed += tally.failed
    return total
