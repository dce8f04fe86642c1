"""Reports, their verification, comparing, and the session's history."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import (
    DESKTOP,
    FAKE,
    INK,
    PARTLY,
    PHONE,
    REAL,
    Servers,
    Tap,
    Upload,
    analyse,
    verdict,
    wait_for_signal,
    wait_until,
)

both_widths = pytest.mark.parametrize("context", [DESKTOP, PHONE], ids=["desktop", "phone"], indirect=True)


def save(page: Page, button: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.locator(button).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def json_report(page: Page, folder: Path) -> tuple[Path, dict[str, Any]]:
    path = save(page, "#report-json", folder)
    return path, json.loads(path.read_text())


def verify(page: Page, report: Path, clip: Path) -> str:
    page.goto(page.url.split("#")[0] + "#verify")
    page.locator("#verify-report").set_input_files(report)
    page.locator("#verify-clip").set_input_files(clip)
    page.locator("#verify-go").click()
    headline = page.locator("#verify-result .verify-headline")
    expect(headline).to_be_visible()
    return headline.inner_text()


def test_the_json_report_holds_all_that_the_evidence_rests_on(page: Page, tmp_path: Path) -> None:
    verdict(page, PARTLY)
    _, report = json_report(page, tmp_path)
    assert report["file"]["name"] == PARTLY.name
    assert report["file"]["sha256"] == hashlib.sha256(PARTLY.data).hexdigest()
    assert report["result"]["model"]["version"] == "7"
    assert len(report["result"]["model"]["sha256"]) == 64
    assert report["settings"]["threshold"] == 0
    assert report["result"]["verdict"] == "inconclusive"
    assert len(report["result"]["spans"]) == 2
    assert len(report["limits"]) >= 4
    assert report["scored"][:4] == report["created"][:4]
    assert "In tests" in report["how_often_wrong"]["sentence"]


def test_the_html_report_stands_alone_and_shows_the_evidence(page: Page, tmp_path: Path) -> None:
    verdict(page, PARTLY)
    wait_for_signal(page)
    path = save(page, "#report-html", tmp_path)
    report = page.context.new_page()
    asked: list[str] = []
    report.on("request", lambda request: asked.append(request.url))
    report.goto(path.as_uri())
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    body = report.locator("body")
    for word in ("Inconclusive", PARTLY.name, hashlib.sha256(PARTLY.data).hexdigest(), "loudness 7"):
        expect(body).to_contain_text(word)
    expect(body).to_contain_text("What this tool cannot know")
    assert report.evaluate("document.querySelector('img').naturalWidth") == 1600
    assert report.pdf(format="A4")[:5] == b"%PDF-"
    report.close()


def test_a_hostile_file_name_stays_text_in_the_report(page: Page, tmp_path: Path) -> None:
    name = "</script><img src=x onerror=alert(1)>.wav"
    verdict(page, Upload(name, FAKE.data))
    path = save(page, "#report-html", tmp_path)
    report = page.context.new_page()
    report.goto(path.as_uri())
    assert report.locator("img").count() == 1  # the picture
    assert name in report.locator("body").inner_text()
    report.close()
    assert "matches" in verify(page, path, _clip(tmp_path, FAKE))


def _clip(folder: Path, upload: Upload) -> Path:
    path = folder / f"clip-{hashlib.sha256(upload.data).hexdigest()[:6]}.wav"
    path.write_bytes(upload.data)
    return path


@both_widths
@pytest.mark.parametrize("button", ["#report-json", "#report-html"])
def test_a_report_and_its_recording_match(page: Page, tmp_path: Path, button: str) -> None:
    verdict(page, PARTLY)
    path = save(page, button, tmp_path)
    assert verify(page, path, _clip(tmp_path, PARTLY)).startswith("It matches")
    said = page.locator("#verify-result").inner_text()
    assert "Its values say: Inconclusive, 50" in said
    assert ("were not compared" in said) == (button == "#report-html")


def test_another_recording_does_not_match(page: Page, tmp_path: Path) -> None:
    verdict(page, PARTLY)
    path, _ = json_report(page, tmp_path)
    assert "not the recording" in verify(page, path, _clip(tmp_path, FAKE))


def _forge_verdict(report: dict[str, Any]) -> None:
    report["result"]["verdict"] = "real"


def _forge_llr(report: dict[str, Any]) -> None:
    report["result"]["llr"] -= 0.5


def _forge_window(report: dict[str, Any]) -> None:
    report["result"]["windows"][3]["llr"] += 1


def _drop_span(report: dict[str, Any]) -> None:
    report["result"]["spans"].pop()


def _forge_probability(report: dict[str, Any]) -> None:
    report["result"]["probability"] = 0.02


def _forge_map(report: dict[str, Any]) -> None:
    report["result"]["map"]["probability"][5] = 0.02


def _forge_threshold(report: dict[str, Any]) -> None:
    report["result"]["threshold"] = 5


def _forge_error_rates(report: dict[str, Any]) -> None:
    report["manifest"]["operating_points"][0]["false_alarm"] = 0.001


def _add_note(report: dict[str, Any]) -> None:
    report["result"]["notes"].append({"code": "clipped", "message": "Much is clipped.", "effect": "none"})


FORGERIES = [
    _forge_verdict,
    _forge_llr,
    _forge_window,
    _drop_span,
    _forge_probability,
    _forge_map,
    _forge_threshold,
    _forge_error_rates,
    _add_note,
]


@pytest.mark.parametrize("forge", FORGERIES)
def test_a_changed_report_does_not_match(
    page: Page, tmp_path: Path, forge: Callable[[dict[str, Any]], None]
) -> None:
    verdict(page, PARTLY)
    path, report = json_report(page, tmp_path)
    forge(report)
    path.write_text(json.dumps(report))
    assert "was changed" in verify(page, path, _clip(tmp_path, PARTLY))


def test_another_model_version_is_told_from_a_forgery(page: Page, tmp_path: Path, servers: Servers) -> None:
    verdict(page, PARTLY)
    path, _ = json_report(page, tmp_path)
    page.goto(servers.start(version="8", threshold=-0.4, inconclusive=[-0.5, -0.3]))
    assert "another model version" in verify(page, path, _clip(tmp_path, PARTLY))


@pytest.mark.parametrize(
    "text",
    ["", "{}", "<html></html>", '{"schema": "other/1"}', '{"schema": "bonafide-report/1"}', "\0\1\2"],
)
def test_what_is_no_report_is_refused_in_words(page: Page, tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    page.goto(page.url.split("#")[0] + "#verify")
    page.locator("#verify-report").set_input_files(path)
    page.locator("#verify-clip").set_input_files(_clip(tmp_path, FAKE))
    page.locator("#verify-go").click()
    expect(page.locator("#verify-result .error")).to_contain_text("report")


def test_verify_asks_for_both_files(page: Page) -> None:
    page.goto(page.url.split("#")[0] + "#verify")
    page.locator("#verify-go").click()
    expect(page.locator("#verify-result")).to_contain_text("Choose both")


@both_widths
def test_two_recordings_stand_side_by_side(page: Page) -> None:
    verdict(page, FAKE)
    verdict(page, REAL)
    page.get_by_role("link", name="Compare").click()
    expect(page.locator(".compare-panel")).to_have_count(2)
    titles = page.locator(".compare-panel h2").all_inner_texts()
    assert sorted(titles) == ["Fake", "Real"]
    row = page.locator("#compare-table tr", has_text="Likely AI-generated")
    assert "99" in row.inner_text()
    expect(page.locator("#compare-note")).to_contain_text("scored by the same model")
    wait_until(
        lambda: page.evaluate("() => document.querySelector('.compare-picture').toDataURL().length") > 2000
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_one_recording_under_two_model_versions(page: Page, tmp_path: Path, servers: Servers) -> None:
    verdict(page, PARTLY)
    path, _ = json_report(page, tmp_path)
    page.goto(servers.start(version="8", prior_log_odds=-2.0))
    verdict(page, PARTLY)
    page.get_by_role("link", name="Compare").click()
    page.locator("#compare-file").set_input_files(path)
    expect(page.locator("#compare-note")).to_contain_text("same recording under two model versions")
    expect(page.locator("#compare-note")).to_contain_text("percentage points")
    versions = page.locator("#compare-table tr", has_text="Model").inner_text()
    assert "loudness 7" in versions
    assert "loudness 8" in versions


def test_the_session_survives_a_reload_without_its_sound(page: Page) -> None:
    verdict(page, FAKE)
    page.reload()
    expect(page.locator("#verdict-title")).to_have_text("Fake")
    expect(page.locator("#signal-note")).to_contain_text("no longer in this tab")
    expect(page.locator("#play")).to_be_disabled()
    assert page.evaluate(INK, "map") > 2


def test_a_session_deleted_during_an_upload_stays_deleted(page: Page, tap: Tap) -> None:
    tap.gate.clear()
    analyse(page, FAKE)
    expect(page.locator(".queue-state")).to_contain_text("Listening")
    page.once("dialog", lambda dialog: dialog.accept())
    page.locator("#clear").click()
    tap.gate.set()
    page.wait_for_timeout(500)
    expect(page.locator(".queue-item")).to_have_count(0)


def test_the_session_is_in_this_tab_only_and_deletable(page: Page, address: str) -> None:
    verdict(page, FAKE)
    verdict(page, REAL)
    other = page.context.new_page()
    other.goto(address)
    expect(other.locator("#session")).to_be_hidden()
    other.close()
    assert page.evaluate("localStorage.length + document.cookie.length") == 0
    page.get_by_role("button", name="Remove real.wav").click()
    expect(page.locator(".queue-item")).to_have_count(1)
    expect(page.locator("#clip-name")).to_contain_text("fake.wav")
    assert page.evaluate("document.activeElement.tagName") == "BUTTON"
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.locator("#clear").click()
    expect(page.locator(".queue-item")).to_have_count(1)
    page.once("dialog", lambda dialog: dialog.accept())
    page.locator("#clear").click()
    assert page.evaluate("document.activeElement.id") == "choose"
    expect(page.locator("#evidence")).to_be_hidden()
    page.reload()
    expect(page.locator("#session")).to_be_hidden()
    assert page.evaluate("sessionStorage.length") == 0
