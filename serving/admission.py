"""As many scoring threads as cores, one short queue before them, and a clear refusal when the queue is full.

No more threads, since the memory of a session grows with those that call it, and two clips at a time finish
no sooner on one core. One queue, since of two a clip may wait in one while the other's thread is idle.
Request threads outnumber the queue, so that the refusal can be sent at all.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")
SMOOTHING = 0.2  # of the running mean of service times


class Overloaded(Exception):
    """No place in the queue, or none came free in time."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"The service is busy. Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class ScoringThreads:
    """Runs `count` pieces of work at a time; `waiting` more may wait, each at most `wait_s`.

    Work is begun in the order it came. Of idle threads the one that was used last takes it: its memory is the
    warmest, and so is what its core holds of the model.
    """

    def __init__(self, count: int, waiting: int, wait_s: float) -> None:
        self._places = threading.BoundedSemaphore(waiting + count)
        self._rounds = waiting / count + 1  # of work, until a full queue has been worked off
        self._wait_s = wait_s
        self._mean_s = 0.1  # of one piece of work; a guess until the first is done
        self._threads = [ThreadPoolExecutor(1, thread_name_prefix=f"scoring-{n}") for n in range(count)]
        self._lock = threading.Lock()  # of the next two
        self._idle = list(self._threads)
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, or what it raises. Raises Overloaded before it has started, never after."""
        if not self._places.acquire(blocking=False):
            raise self.refuse()
        try:
            future = self.in_background(partial(self._timed, work))
            if future in wait([future], self._wait_s).not_done and future.cancel():
                raise self.refuse()
            return future.result()
        finally:
            self._places.release()

    def in_background(self, work: Callable[[], T]) -> "Future[T]":
        """What comes of work in turn with all other, however much waits: that of the process itself, such as
        starting the decoder, takes no place from a clip.
        """
        future: Future[T] = Future()
        with self._lock:
            self._waiting.append((future, work))
            thread = self._idle.pop() if self._idle else None
        if thread is not None:
            thread.submit(self._work_off, thread)
        return future

    def _work_off(self, thread: ThreadPoolExecutor) -> None:
        """What waits, one after another, in this thread, which is idle after that."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._idle.append(thread)
                    return
                future, work = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                _settle(future, work)

    @property
    def full(self) -> bool:
        """True if a request that came now would be refused; a hint, to refuse before reading a body."""
        free = self._places.acquire(blocking=False)
        if free:
            self._places.release()
        return not free

    def refuse(self) -> Overloaded:
        return Overloaded(max(1, math.ceil(self._mean_s * self._rounds)))

    def stop(self) -> None:
        """Give up what waits and wait for what runs."""
        with self._lock:
            for future, _ in self._waiting:
                future.cancel()
        for thread in self._threads:
            thread.shutdown(cancel_futures=True)

    def _timed(self, work: Callable[[], T]) -> T:
        start = time.monotonic()
        try:
            return work()
        finally:
            self._mean_s += SMOOTHING * (time.monotonic() - start - self._mean_s)


def _settle(future: "Future[T]", work: Callable[[], T]) -> None:
    try:
        result = work()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
