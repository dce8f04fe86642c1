"""The queue before the scoring thread: order, refusal, and room again afterwards."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from serving.admission import Overloaded, ScoringThreads


def test_results_and_errors_come_through() -> None:
    scoring = ScoringThreads(1, waiting=1, wait_s=5)
    assert scoring.run(lambda: 42) == 42
    with pytest.raises(TimeoutError, match="mine"):
        scoring.run(lambda: (_ for _ in ()).throw(TimeoutError("mine")))
    scoring.stop()


@pytest.mark.parametrize("count", [1, 3])
def test_as_much_work_is_done_at_a_time_as_there_are_threads(count: int) -> None:
    scoring = ScoringThreads(count, waiting=20, wait_s=5)
    running, most = 0, 0

    def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.01)
        running -= 1

    with ThreadPoolExecutor(10) as callers:
        list(callers.map(lambda _: scoring.run(work), range(20)))
    assert most == count
    scoring.stop()


def test_the_thread_that_was_used_last_is_used_next() -> None:
    scoring = ScoringThreads(3, waiting=1, wait_s=5)
    assert len({scoring.run(threading.get_ident) for _ in range(9)}) == 1
    scoring.stop()


def test_those_who_wait_are_served_in_the_order_they_came() -> None:
    scoring = ScoringThreads(1, waiting=8, wait_s=5)
    release, order = threading.Event(), list[int]()
    with ThreadPoolExecutor(9) as callers:
        callers.submit(scoring.run, lambda: release.wait(30))
        for number in range(8):
            callers.submit(scoring.run, partial(order.append, number))
            time.sleep(0.01)
        release.set()
    assert order == list(range(8))
    scoring.stop()


def test_what_finds_no_place_is_refused_at_once_and_has_room_later() -> None:
    scoring = ScoringThreads(1, waiting=1, wait_s=5)
    release = threading.Event()
    with ThreadPoolExecutor(3) as callers:
        accepted = [callers.submit(scoring.run, lambda: release.wait(30)) for _ in range(2)]
        while not scoring.full:
            time.sleep(0.001)
        refused = callers.submit(scoring.run, lambda: None)
        try:
            with pytest.raises(Overloaded) as raised:
                refused.result(timeout=3)
        finally:
            release.set()
        assert raised.value.retry_after_s >= 1
        assert [future.result() for future in accepted] == [True, True]
    assert scoring.run(lambda: "room") == "room"
    scoring.stop()


def test_what_waits_too_long_is_refused_and_never_run() -> None:
    scoring = ScoringThreads(1, waiting=1, wait_s=0.05)
    release, ran = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as callers:
        first = callers.submit(scoring.run, release.wait)
        time.sleep(0.02)
        with pytest.raises(Overloaded):
            scoring.run(ran.set)
        release.set()
        assert first.result()
    assert scoring.run(lambda: 1) == 1
    assert not ran.is_set()
    scoring.stop()
