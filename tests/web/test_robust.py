"""The page with a server that is busy, slow, failing, away or restarting."""

import itertools
import socket
import time
from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

from tests.web.conftest import FAKE, REAL, Servers, Tap, Upload, analyse

STATE = ".queue-state"


def fail_first(page: Page, times: int, answer: Callable[[Route], None]) -> list[float]:
    """The first `times` detections get `answer`, later ones the real server -> when each was tried."""
    tried: list[float] = []

    def handle(route: Route) -> None:
        tried.append(time.monotonic())
        if len(tried) <= times:
            answer(route)
        else:
            route.continue_()

    page.route("**/api/detect", handle)
    return tried


def refusal(status: int, retry_after: str | None) -> Callable[[Route], None]:
    headers = {"Retry-After": retry_after} if retry_after else {}
    body = {"error": "overloaded", "message": "All workers are busy.", "request_id": "x"}
    return lambda route: route.fulfill(status=status, json=body, headers=headers)


def test_a_busy_server_is_tried_again_after_the_time_it_names(page: Page) -> None:
    tried = fail_first(page, 2, refusal(503, "2"))
    analyse(page, FAKE)
    expect(page.locator(STATE)).to_contain_text("The server is busy. Trying again in 2 s")
    expect(page.locator("#live")).to_contain_text("Trying again")
    expect(page.locator("#verdict-title")).to_have_text("Fake")
    assert len(tried) == 3
    assert min(later - earlier for earlier, later in itertools.pairwise(tried)) > 1.9


def test_too_many_requests_without_a_time_is_tried_again_soon(page: Page) -> None:
    fail_first(page, 1, refusal(429, None))
    analyse(page, FAKE)
    expect(page.locator("#verdict-title")).to_have_text("Fake")


def test_a_wait_can_be_cut_short(page: Page) -> None:
    fail_first(page, 1, refusal(503, "100"))
    analyse(page, FAKE)
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#verdict-title")).to_have_text("Fake")


def test_a_wait_can_be_cancelled_and_taken_up_again(page: Page) -> None:
    fail_first(page, 1, refusal(503, "100"))
    analyse(page, FAKE)
    expect(page.locator(STATE)).to_contain_text("Trying again in")
    page.get_by_role("button", name="Cancel fake.wav").click()
    expect(page.locator(STATE)).to_have_text("Cancelled")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#verdict-title")).to_have_text("Fake")


def test_a_server_error_is_told_and_not_hammered(page: Page) -> None:
    body = {"error": "internal_error", "message": "Something went wrong here.", "request_id": "abc"}
    tried = fail_first(page, 1, lambda route: route.fulfill(status=500, json=body))
    analyse(page, FAKE)
    expect(page.locator(STATE)).to_contain_text("Something went wrong here.")
    assert len(tried) == 1
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#verdict-title")).to_have_text("Fake")


def test_a_page_of_a_proxy_instead_of_json_is_survived(page: Page) -> None:
    fail_first(page, 1, lambda route: route.fulfill(status=404, body="<h1>Not here</h1>"))
    analyse(page, FAKE)
    expect(page.locator(STATE)).to_contain_text("answered 404")


def test_a_lost_connection_is_tried_again(page: Page) -> None:
    fail_first(page, 1, lambda route: route.abort("connectionreset"))
    analyse(page, FAKE)
    expect(page.locator(STATE)).to_contain_text("can't be reached")
    expect(page.locator("#verdict-title")).to_have_text("Fake")


def test_a_slow_answer_can_be_cancelled_and_the_next_file_goes_on(page: Page, tap: Tap) -> None:
    tap.gate.clear()
    analyse(page, FAKE)
    expect(page.locator(STATE)).to_have_text("Listening…")
    page.get_by_role("button", name="Cancel fake.wav").click()
    expect(page.locator(STATE)).to_have_text("Cancelled")
    tap.gate.set()
    analyse(page, REAL)
    expect(page.locator("#verdict-title")).to_have_text("Real")


def test_a_restarting_server_is_waited_for(page: Page, servers: Servers) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page.route("**/api/detect", lambda route: route.continue_(url=f"http://127.0.0.1:{port}/api/detect"))
    analyse(page, FAKE)
    expect(page.locator(STATE)).to_contain_text("can't be reached")
    servers.start(port)
    expect(page.locator("#verdict-title")).to_have_text("Fake")


def test_a_page_opened_without_a_model_says_so_and_recovers(page: Page) -> None:
    page.route("**/api/model", lambda route: route.fulfill(status=503, json={"error": "model_unavailable"}))
    page.reload()
    expect(page.locator("#server-text")).to_have_text("no model ready")
    page.unroute("**/api/model")
    analyse(page, Upload("later.wav", FAKE.data))
    expect(page.locator("#verdict-wrong")).to_contain_text("In tests")
