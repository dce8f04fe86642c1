"""As many scoring threads as cores, one short queue before them, and a clear refusal when the queue is full.

No more threads, since the memory of a session grows with those that call it, and two clips at a time finish
no sooner on one core. One queue, since of two a clip may wait in one while the other's thread is idle.
Request threads outnumber the queue, so that the refusal can be sent at all.
"""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
SMOOTHING = 0.2  # of the running mean of service times


class Overloaded(Exception):
    """No place in the queue, or none came free in time."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"The service is busy. Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class ScoringThreads:
    """Runs `count` pieces of work at a time; `queue` more may wait, each at most `wait_s`."""

    def __init__(self, count: int, queue: int, wait_s: float) -> None:
        self._places = threading.BoundedSemaphore(queue + count)
        self._rounds = queue / count + 1  # of work, until a full queue has been worked off
        self._wait_s = wait_s
        self._mean_s = 0.1  # of one piece of work; a guess until the first is done
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="scoring")

    def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, or what it raises. Raises Overloaded before it has started, never after."""
        if not self._places.acquire(blocking=False):
            raise Overloaded(self._retry_after_s())
        try:
            future = self._executor.submit(self._timed, work)
            if future in wait([future], self._wait_s).not_done and future.cancel():
                raise Overloaded(self._retry_after_s())
            return future.result()
        finally:
            self._places.release()

    @property
    def full(self) -> bool:
        """True if a request that came now would be refused; a hint, to refuse before reading a body."""
        free = self._places.acquire(blocking=False)
        if free:
            self._places.release()
        return not free

    def refuse(self) -> Overloaded:
        return Overloaded(self._retry_after_s())

    def in_background(self, work: Callable[[], T]) -> "Future[T]":
        """Work of the process itself, such as starting the decoder, in turn with the clips."""
        return self._executor.submit(work)

    def stop(self) -> None:
        self._executor.shutdown(cancel_futures=True)

    def _timed(self, work: Callable[[], T]) -> T:
        start = time.monotonic()
        try:
            return work()
        finally:
            self._mean_s += SMOOTHING * (time.monotonic() - start - self._mean_s)

    def _retry_after_s(self) -> int:
        return max(1, math.ceil(self._mean_s * self._rounds))
