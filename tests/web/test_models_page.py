"""The models page in a real browser, over a real registry: gate, promotion, rollback, what stays locked."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from export import bundle
from export.promotion import Desk, promote
from serving.app import create_app
from serving.settings import Settings
from tests.export.conftest import (  # noqa: F401  (fixtures)
    RegisterTiny,
    desk,
    migrated_database,
    mlruns,
    register,
    tiny_architectures,
    tones,
)
from tests.web.conftest import DESKTOP, PHONE, QuietHandler

TOKEN = "sesame, open for this test"
PIVOT = -4.9
GATE_MS = 300_000  # the gate measures memory and codecs in processes of its own
NOTICED_MS = 20_000


@pytest.fixture
def registry_python(tmp_path: Path) -> Path:
    """This environment's interpreter with tiny networks in place of training's."""
    path = tmp_path / "python"
    path.write_text(
        f"""#!/bin/sh
shift 2
exec {sys.executable} -m tests.export.cli "$@"
"""
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def address(
    desk: Desk,  # noqa: F811
    mlruns: Path,  # noqa: F811
    register: RegisterTiny,  # noqa: F811
    registry_python: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """A server on version 1, with version 2 as good, version 3 worse and a smoke model."""
    monkeypatch.delenv("PROMOTED_BY")
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    promote(desk, register(2.0, PIVOT), [], "")
    register(2.0, PIVOT + 0.01)
    register(-2.0, PIVOT, smoke=True)
    settings = Settings(
        model=desk.folder / bundle.MODEL, mlruns=mlruns, admin_token=TOKEN, registry_python=registry_python
    )
    app = create_app(settings)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    app.extensions["bonafide"].stop()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{address}/models")
    yield page
    context.close()
    assert problems == []


def unlock(page: Page) -> None:
    page.get_by_label("Admin token").fill(TOKEN)
    page.get_by_role("button", name="Unlock").click()
    page.get_by_role("button", name="Read the registry again").click()
    expect(page.get_by_role("row").nth(3)).to_be_visible(timeout=GATE_MS)


@pytest.mark.browser
def test_gate_promotion_and_rollback_from_the_page(page: Page, desk: Desk) -> None:  # noqa: F811
    first = (desk.folder / bundle.MODEL).read_bytes()
    expect(page.locator("#served")).to_contain_text("Version1")
    unlock(page)
    page.get_by_role("button", name="Run the gate on version 2").click()
    expect(page.locator("#gate-title")).to_have_text("Version 2 passes all 14 checks", timeout=GATE_MS)
    expect(page.locator("#checks")).to_contain_text("no difference shown")
    page.get_by_role("button", name="Promote version 2").click()
    expect(page.locator("#served")).to_contain_text("Version2", timeout=GATE_MS)
    expect(page.locator("#history")).to_contain_text("promote 1 → 2, by models page")
    page.get_by_label("Reason", exact=True).fill("a second look")
    page.get_by_role("button", name="Roll back").click()
    expect(page.locator("#served")).to_contain_text("Version1", timeout=GATE_MS)
    expect(page.locator("#history li").first).to_contain_text("rollback 2 → 1, by models page: a second look")
    assert (desk.folder / bundle.MODEL).read_bytes() == first


@pytest.mark.browser
def test_a_failed_gate_leaves_the_button_dead_until_forced_with_a_reason(page: Page) -> None:
    unlock(page)
    page.get_by_role("button", name="Run the gate on version 3").click()
    expect(page.locator("#gate-title")).to_contain_text("Version 3 fails", timeout=GATE_MS)
    expect(page.locator("#checks .failed").first).to_contain_text("smoke")
    button = page.get_by_role("button", name="Promote version 3")
    expect(button).to_be_disabled()
    page.get_by_label("Promote in spite of failed checks").check()
    expect(button).to_be_disabled()
    page.get_by_label("Reason, kept in the history").fill("a demonstration")
    button.click()
    expect(page.locator("#history")).to_contain_text("forced over smoke", timeout=GATE_MS)
    expect(page.locator("#served")).to_contain_text("it detects nothing", timeout=NOTICED_MS)


@pytest.mark.browser
def test_a_wrong_token_unlocks_nothing(page: Page) -> None:
    page.get_by_label("Admin token").fill("guess guess guess guess")
    page.get_by_role("button", name="Unlock").click()
    expect(page.locator("#unlock-error")).to_contain_text("missing or wrong")
    expect(page.get_by_role("button", name="Roll back")).to_be_hidden()


@pytest.mark.browser
def test_the_page_fits_a_phone(page: Page) -> None:
    page.set_viewport_size(PHONE)
    expect(page.locator("#drift figure")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
