"""The picture: zoom, pan, playing, keyboard, table, and clips of an hour."""

import io
import time

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, expect

from tests.web.conftest import (
    DESKTOP,
    FAKE,
    INK,
    LOUD,
    PARTLY,
    PHONE,
    QUIET,
    RATE,
    Servers,
    Upload,
    verdict,
    voice,
    wait_for_signal,
    wait_until,
    wav,
)

both_widths = pytest.mark.parametrize("context", [DESKTOP, PHONE], ids=["desktop", "phone"], indirect=True)


def position(page: Page) -> float:
    """Seconds by the clock, cut to tenths."""
    minutes, seconds = page.locator("#clock").inner_text().split(" / ")[0].split(":")
    return 60 * int(minutes) + float(seconds)


def picture(page: Page, canvas: str) -> str:
    return str(page.evaluate("(id) => document.getElementById(id).toDataURL()", canvas))


def press(page: Page, *keys: str) -> None:
    page.locator("#stage").focus()
    for key in keys:
        page.keyboard.press(key)


def playing(page: Page) -> bool:
    return page.locator("#play").get_attribute("aria-label") == "Pause"


@both_widths
def test_play_moves_the_playhead_and_pause_holds_it(page: Page) -> None:
    verdict(page, FAKE)
    page.locator("#play").click()
    wait_until(lambda: position(page) > 0.3)
    page.locator("#play").click()
    wait_until(lambda: not playing(page))
    held = position(page)
    time.sleep(0.3)
    assert position(page) == held


@both_widths
def test_a_span_in_the_list_plays_that_span_and_stops_at_its_end(page: Page) -> None:
    verdict(page, wav("partly.wav", (3, QUIET), (1.2, LOUD), (3, QUIET)))
    page.locator("#spans button").first.click()
    expect(page.locator("#selection")).to_be_visible()
    wait_until(lambda: playing(page) and position(page) > 2)
    wait_until(lambda: not playing(page))
    assert 4 < position(page) < 5.5


def test_a_click_on_a_flagged_span_plays_it_and_elsewhere_moves_the_playhead(page: Page) -> None:
    verdict(page, PARTLY)
    box = page.locator("#wave").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.1 * box["width"], box["y"] + 40)
    assert not playing(page)
    assert position(page) == pytest.approx(1.1, abs=0.11)
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 40)
    wait_until(lambda: playing(page))
    assert 3 < position(page) < 5


def test_a_dragged_stretch_plays_from_its_start(page: Page) -> None:
    verdict(page, PARTLY)
    box = page.locator("#wave").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 60, steps=4)
    page.mouse.up()
    expect(page.locator("#selection")).to_be_visible()
    wait_until(lambda: playing(page))
    wait_until(lambda: not playing(page))
    assert position(page) == pytest.approx(0.25 * 11, abs=0.15)


@both_widths
def test_zoom_buttons_change_every_track_and_come_back(page: Page) -> None:
    verdict(page, PARTLY)
    wait_for_signal(page)
    tracks = ("wave", "map", "spectrogram", "axis", "overview")
    before = {track: picture(page, track) for track in tracks}
    page.locator("#zoom-in").click(click_count=3)
    for track in tracks:
        wait_until(lambda track=track: picture(page, track) != before[track])
    page.locator("#zoom-fit").click()
    for track in tracks:
        wait_until(lambda track=track: picture(page, track) == before[track])


def test_ctrl_wheel_zooms_and_a_plain_wheel_scrolls_the_page(page: Page) -> None:
    verdict(page, PARTLY)
    page.evaluate("scrollTo(0, 0)")
    page.locator("#wave").hover()
    whole = picture(page, "axis")
    page.mouse.wheel(0, 200)
    wait_until(lambda: page.evaluate("scrollY") > 0)
    assert picture(page, "axis") == whole
    page.keyboard.down("Control")
    page.mouse.wheel(0, -120)
    page.keyboard.up("Control")
    wait_until(lambda: picture(page, "axis") != whole)


def test_the_overview_pans_a_zoomed_view(page: Page) -> None:
    verdict(page, PARTLY)
    press(page, "+", "+", "+")
    start = picture(page, "axis")
    box = page.locator("#overview").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + 10)
    wait_until(lambda: picture(page, "axis") != start)


def test_the_keyboard_alone_moves_selects_plays_zooms_and_jumps(page: Page) -> None:
    verdict(page, PARTLY)
    press(page, "ArrowRight")
    assert position(page) == pytest.approx(11 / 40, abs=0.11)
    press(page, "]")
    first = position(page)
    assert first > 3
    press(page, "]")
    assert position(page) > first
    press(page, "[")
    assert position(page) == first
    press(page, "End")
    assert position(page) == pytest.approx(11, abs=0.11)
    press(page, "Home", "Escape", "Shift+ArrowRight", "Shift+ArrowRight")
    expect(page.locator("#selection")).to_be_visible()
    press(page, "Enter")
    wait_until(lambda: playing(page))
    wait_until(lambda: not playing(page))
    assert position(page) == pytest.approx(2 * 11 / 40, abs=0.15)
    whole = picture(page, "axis")
    press(page, "+")
    wait_until(lambda: picture(page, "axis") != whole)
    press(page, "0")
    wait_until(lambda: picture(page, "axis") == whole)
    press(page, "Space")
    wait_until(lambda: playing(page))


def test_the_slider_says_time_probability_and_span(page: Page) -> None:
    verdict(page, PARTLY)
    press(page, "]")
    text = page.locator("#stage").get_attribute("aria-valuetext") or ""
    assert "likely AI-generated" in text
    assert "in a flagged span" in text


def test_the_data_table_holds_every_cell_of_the_map(page: Page) -> None:
    verdict(page, FAKE)
    page.locator("#table-details summary").click()
    expect(page.locator("#scores tbody tr")).to_have_count(16)  # 4 s in steps of 0.25 s
    row = page.locator("#scores tbody tr").first.inner_text()
    assert row.split("\t")[:2] == ["0:00.00", "0:00.25"]
    assert row.endswith("fake")


def test_the_threshold_slider_shows_the_trade_and_leaves_the_verdict(page: Page) -> None:
    verdict(page, FAKE)
    page.locator("#threshold").fill("8")
    expect(page.locator("#trade-facts")).to_contain_text(
        "By this threshold alone\nthis clip would be called real", use_inner_text=True
    )
    expect(page.locator("#trade-facts")).to_contain_text("fake, at 0.00 (unchanged)")
    expect(page.locator("#trade-facts")).to_contain_text("99")  # of fakes missed, by the manifest's points
    expect(page.locator("#verdict-title")).to_have_text("Fake")
    page.locator("#threshold-reset").click()
    expect(page.locator("#threshold-value")).to_have_text("0.00")


def test_a_model_without_figures_says_so_and_offers_no_slider(page: Page, servers: Servers) -> None:
    page.goto(servers.start(operating_points=[], smoke=True))
    verdict(page, FAKE)
    expect(page.locator("#trade")).to_be_hidden()
    expect(page.locator("#verdict-wrong")).to_contain_text("carries no test figures")
    expect(page.locator("#notes")).to_contain_text("smoke-test model")


def test_reliability_notes_and_facts_are_shown(page: Page) -> None:
    loud = np.clip(voice((3, LOUD)) * 2, -1, 1)
    file = io.BytesIO()
    soundfile.write(file, loud, RATE, format="WAV", subtype="PCM_16")
    verdict(page, Upload("clipped.wav", file.getvalue()))
    expect(page.locator("#notes .warn").first).to_contain_text("full scale")
    for fact in ("Duration", "Sample rate", "Effective bandwidth", "Clipping", "Speech", "SHA-256"):
        expect(page.locator("#facts")).to_contain_text(fact)


def hour() -> Upload:
    """An hour in 10 s pieces, loud in one minute of it, as Ogg of some megabytes."""
    quiet, loud = voice((10, QUIET)), voice((10, LOUD))
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", RATE, 1, format="OGG", subtype="VORBIS") as out:
        for piece in range(360):
            out.write(loud if 100 <= piece < 106 else quiet)
    return Upload("hour.ogg", file.getvalue())


def test_an_hour_stays_fluid(page: Page) -> None:
    page.set_default_timeout(120_000)
    expect.set_options(timeout=120_000)
    try:
        verdict(page, hour())
    finally:
        expect.set_options(timeout=15_000)
    wait_until(lambda: page.evaluate(INK, "spectrogram") > 50, seconds=120)
    # One flagged minute of sixty must be seen although it is a sixtieth of the width.
    assert page.evaluate(INK, "map") > 5
    worst_ms = page.evaluate(
        """async () => {
          const frame = () => new Promise(requestAnimationFrame);
          const press = (key) => document.getElementById("stage")
            .dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
          let worst = 0;
          await frame();
          for (const key of ["+", "+", "+", "PageDown", "+", "+", "PageDown", "-", "-", "]", "0"]) {
            const before = performance.now();
            press(key);
            await frame();
            await frame();
            worst = Math.max(worst, performance.now() - before);
          }
          return worst;
        }"""
    )
    assert worst_ms < 1000, worst_ms
    page.locator("#table-details summary").click()
    expect(page.locator("#scores tbody tr")).to_have_count(100)
    page.locator("#table-next").click()
    expect(page.locator("#table-where")).to_contain_text("101 to 200")
