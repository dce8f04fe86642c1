"""Upload to verdict: what the page says of a clip, on a desktop and on a phone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from serving.pages import WEB
from tests.web.conftest import (
    DESKTOP,
    FAKE,
    INK,
    LOUD,
    PARTLY,
    PHONE,
    QUIET,
    REAL,
    Servers,
    Tap,
    Upload,
    analyse,
    verdict,
    wait_for_signal,
    wav,
)

both_widths = pytest.mark.parametrize("context", [DESKTOP, PHONE], ids=["desktop", "phone"], indirect=True)


@both_widths
def test_a_clip_gets_its_verdict_probability_map_and_spans(page: Page) -> None:
    partly = wav("partly.wav", (4, QUIET), (9, LOUD))
    assert verdict(page, partly) == "Partly fake"
    assert "%" in page.locator("#probability").inner_text()
    expect(page.locator("#spans li")).to_have_count(1)
    wait_for_signal(page)
    for track in ("wave", "map", "overview", "axis", "scale"):
        assert page.evaluate(INK, track) > 3, track


@both_widths
def test_the_page_is_never_wider_than_the_window(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    verdict(page, PARTLY)
    page.locator("#table-details summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_loud_is_fake_and_quiet_is_real_in_words_that_say_what_it_means(page: Page) -> None:
    assert verdict(page, FAKE) == "Fake"
    expect(page.locator("#verdict-meaning")).to_contain_text("AI-generated from start to end")
    assert verdict(page, REAL) == "Real"
    expect(page.locator("#verdict-meaning")).to_contain_text("Nothing in the voice")
    expect(page.locator("#spans-none")).to_be_visible()


def test_a_clip_between_the_limits_is_inconclusive(page: Page) -> None:
    assert verdict(page, wav("between.wav", (4, 0.05))) == "Inconclusive"


def test_flagged_parts_of_an_undecided_clip_are_pointed_out(page: Page) -> None:
    assert verdict(page, PARTLY) == "Inconclusive"
    expect(page.locator("#verdict-meaning")).to_contain_text("a part of it was flagged")


def test_a_clip_without_speech_is_not_judged_as_speech(page: Page) -> None:
    page.get_by_role("button", name="No voice at all").click()
    expect(page.locator("#clip-name")).to_contain_text("noise.ogg")
    expect(page.locator("#verdict-title")).to_have_text("No speech")
    expect(page.locator("#probability")).to_be_hidden()


def test_how_often_a_verdict_is_wrong_comes_from_the_manifest(page: Page) -> None:
    verdict(page, FAKE)
    # 1 / (1 + e^3.5), false alarms at the upper end of the inconclusive zone, between the points at 0 and 1.
    expect(page.locator("#verdict-wrong")).to_contain_text("3.3 % of real clips were called fake")
    expect(page.locator("#verdict-wrong")).to_contain_text("loud and quiet noise, test split, 2026-11-24")


def test_no_model_number_is_written_in_javascript() -> None:
    manifest_words = ("operating_points: [", "threshold: 0.", "threshold = 0.", "miss: 0", "false_alarm: 0")
    for script in (WEB / "static" / "js").glob("*.js"):
        text = script.read_text()
        assert not [word for word in manifest_words if word in text], script.name


@pytest.mark.parametrize("name", ["Robotic voice", "Smoother voice"])
def test_examples_are_analysed_by_one_click(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()
    expect(page.locator("#evidence")).to_be_visible()
    expect(page.locator("#facts")).to_contain_text("OGG")


def test_examples_are_small_and_labelled_as_machine_made(page: Page) -> None:
    assert sum(file.stat().st_size for file in (WEB / "static" / "examples").iterdir()) < 150_000
    expect(page.locator(".beside")).to_contain_text("Machine-made")
    expect(page.locator(".beside")).to_contain_text("No person speaks in these examples")


@pytest.mark.parametrize(
    ("upload", "words"),
    [
        (Upload("letter.txt", b"Dear Sir or Madam, " * 100), "not a sound file"),
        (Upload("empty.wav", b""), "empty"),
        (Upload("cut.wav", FAKE.data[:20_000]), "cut off"),
        (wav("short.wav", (0.2, LOUD)), "too short"),
        (wav("silent.wav", (3, 0.0)), "No speech: the recording is silent"),
    ],
    ids=lambda value: value.name if isinstance(value, Upload) else None,
)
def test_a_clip_that_cannot_be_judged_gets_a_reason_in_words(page: Page, upload: Upload, words: str) -> None:
    analyse(page, upload)
    expect(page.locator(".queue-item[data-status='failed'] .queue-state")).to_contain_text(words)
    expect(page.locator("#live")).to_contain_text(upload.name)
    expect(page.locator("#evidence")).to_be_hidden()


def test_a_file_over_the_limit_is_refused_before_it_is_sent(
    context: BrowserContext, servers: Servers
) -> None:
    page = context.new_page()

    def small_limit(route: Route) -> None:
        answer = route.fetch()
        facts = json.loads(answer.text())
        facts["limits"]["max_bytes"] = 1000
        route.fulfill(response=answer, json=facts)

    page.route("**/api/model", small_limit)
    page.goto(servers.start())
    expect(page.locator("#server")).to_have_attribute("data-state", "ready")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    analyse(page, FAKE)
    expect(page.locator(".queue-state")).to_contain_text("too large")
    assert not [url for url in sent if url.endswith("/api/detect")]


def test_a_hostile_file_name_stays_text(page: Page) -> None:
    name = '<img src=x onerror="document.title=1">.wav'
    verdict(page, Upload(name, FAKE.data))
    assert page.locator("main img").count() == 0
    expect(page.locator("#clip-name")).to_contain_text(name)


def test_the_file_name_is_not_sent_to_the_server(page: Page, tap: Tap) -> None:
    verdict(page, Upload("my secret name.wav", FAKE.data))
    assert tap.last_file == FAKE.data
    assert b"secret" not in tap.bodies[-1]


def test_a_file_dropped_onto_a_file_field_is_left_to_the_field(page: Page) -> None:
    page.goto(page.url.split("#")[0] + "#verify")
    kept = page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(9)], "clip.wav"));
          const drop = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data });
          return document.getElementById("verify-clip").dispatchEvent(drop);
        }"""
    )
    assert kept  # nobody took it: the browser fills the field
    expect(page.locator("#view-verify")).to_be_visible()
    expect(page.locator(".queue-item")).to_have_count(0)


def test_dropped_and_pasted_files_are_analysed(page: Page, clips: Callable[[Upload], Path]) -> None:
    for event, name in (("drop", "dropped.wav"), ("paste", "pasted.wav")):
        page.evaluate(
            """([event, name, bytes]) => {
              const data = new DataTransfer();
              data.items.add(new File([new Uint8Array(bytes)], name));
              const init = { bubbles: true, cancelable: true };
              document.body.dispatchEvent(event === "drop"
                ? new DragEvent("drop", { ...init, dataTransfer: data })
                : new ClipboardEvent("paste", { ...init, clipboardData: data }));
            }""",
            [event, name, list(FAKE.data)],
        )
        expect(page.locator("#clip-name")).to_contain_text(name)
