"""Who uses it without a mouse, a screen, colours or motion: axe-core, keyboard, live region, themes."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.web.conftest import DESKTOP, FAKE, PARTLY, PHONE, REAL, analyse, verdict

THEMES = [(width, theme) for width in (DESKTOP, PHONE) for theme in ("dark", "light")]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def violations(page: Page) -> list[str]:
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{v['id']}: {node['html'][:120]}" for v in found for node in v["nodes"]]


@pytest.mark.parametrize(("width", "theme"), THEMES, ids=["dark", "light", "phone-dark", "phone-light"])
def test_axe_finds_nothing_on_any_view(
    browser: Browser, address: str, width: dict[str, int], theme: str
) -> None:
    # axe has to be put into the page, which the page's own policy rightly forbids.
    context = browser.new_context(viewport=width, color_scheme=theme, bypass_csp=True)
    page = context.new_page()
    page.goto(address)
    assert violations(page) == [], "empty page"
    analyse(page, PARTLY, REAL)
    expect(page.locator(".queue-item[data-status='done']")).to_have_count(2)
    page.locator("#table-details summary").click()
    assert violations(page) == [], "evidence"
    page.goto(f"{address}#compare")
    expect(page.locator(".compare-panel")).to_have_count(2)
    assert violations(page) == [], "compare"
    page.goto(f"{address}#verify")
    page.locator("#verify-go").click()
    assert violations(page) == [], "verify"
    page.goto(f"{address}/api")
    assert violations(page) == [], "api"
    context.close()


def test_from_opening_to_report_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.get_by_role("button", name="Robotic voice").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#verdict-title")).to_be_visible()
    seen: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    for stop in ("play", "zoom-in", "stage", "threshold", "report-html", "report-json"):
        assert stop in seen
    # The invisible file field is reached by its button instead.
    assert "file" not in seen


def test_whatever_has_the_focus_shows_it(page: Page) -> None:
    verdict(page, FAKE)
    for selector in ("#choose", "#play", "#stage", "#threshold", "#report-json", ".queue-open"):
        page.locator(selector).first.focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        style = page.evaluate(
            """() => {
              const style = getComputedStyle(document.activeElement);
              return [style.outlineStyle, style.outlineWidth];
            }"""
        )
        assert style == ["solid", "3px"], selector


def test_a_verdict_and_an_error_are_spoken(page: Page) -> None:
    live = page.locator("#live")
    expect(live).to_have_attribute("aria-live", "polite")
    verdict(page, FAKE)
    expect(live).to_contain_text(re.compile(r"Verdict for fake\.wav: Fake\. >\s99\s% likely AI-generated"))
    verdict(page, REAL)
    expect(live).to_contain_text("Verdict for real.wav: Real")


def test_every_control_has_a_name(page: Page) -> None:
    verdict(page, PARTLY)
    for role in ("button", "slider", "link"):
        for control in page.get_by_role(role).all():
            name = control.get_attribute("aria-label") or control.inner_text()
            labelled = name.strip() or control.evaluate("(e) => e.labels?.length > 0")
            assert labelled, control.evaluate("(e) => e.outerHTML")


def test_the_verdict_is_never_told_by_colour_alone(page: Page) -> None:
    verdict(page, PARTLY)
    expect(page.locator("#verdict-title svg")).to_have_count(1)
    expect(page.locator(".badge svg")).to_have_count(1)
    expect(page.locator("#spans .span-probability").first).to_contain_text("%")
    label = page.locator("#scale").get_attribute("aria-label") or ""
    assert "this clip is at 50" in label


def test_a_dark_system_gets_dark_and_a_light_one_light(page: Page) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(background) == "rgb(10, 12, 17)"
    page.emulate_media(color_scheme="light")
    assert page.evaluate(background) == "rgb(244, 245, 248)"


def test_reduced_motion_stops_transitions(page: Page) -> None:
    transition = "getComputedStyle(document.getElementById('choose')).transitionDuration"
    assert page.evaluate(transition) != "0s"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(transition) == "0s"


def test_on_paper_only_the_evidence_is_left(page: Page) -> None:
    verdict(page, FAKE)
    page.emulate_media(media="print")
    expect(page.locator(".intake")).to_be_hidden()
    expect(page.locator("#verdict-title")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
