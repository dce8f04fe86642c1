"""The page's pure modules, called in the browser: palette, cells, rates, hashes, formats."""

import hashlib
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page


def call(page: Page, module: str, body: str, argument: Any = None) -> Any:
    """Runs `body` with `m` as the module and `x` as the argument."""
    code = f"async ([path, x]) => {{ const m = await import(path); {body} }}"
    return page.evaluate(code, [f"/assets/js/{module}.js", argument])


def oklab(rgb: np.ndarray) -> np.ndarray:
    """(N, 3) sRGB bytes -> (N, 3) OKLab; Ottosson 2020."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_lms = np.array(
        [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
         [0.0883024619, 0.2817188376, 0.6299787005]]
    )  # fmt: skip
    to_lab = np.array(
        [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
         [0.0259040371, 0.7827717662, -0.8086757660]]
    )  # fmt: skip
    return np.asarray(np.cbrt(linear @ to_lms.T) @ to_lab.T)


def luminance(rgb: np.ndarray) -> np.ndarray:
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ [0.2126, 0.7152, 0.0722])


@pytest.fixture
def palette(page: Page) -> np.ndarray:
    return np.array(call(page, "palette", "return m.TABLE;"))


def test_equal_steps_of_the_palette_look_equally_far_apart(palette: np.ndarray) -> None:
    steps = np.linalg.norm(np.diff(oklab(palette[::16]), axis=0), axis=1)
    assert steps.std() / steps.mean() < 0.05


def test_the_palette_is_ordered_by_lightness_alone(palette: np.ndarray) -> None:
    assert (np.diff(luminance(palette[::4])) > 0).all()


def test_every_colour_of_the_palette_stands_out_from_the_panel(palette: np.ndarray) -> None:
    panel = luminance(np.array([[0x0B, 0x0E, 0x14]]))[0]
    assert ((luminance(palette) + 0.05) / (panel + 0.05)).min() >= 3


@pytest.mark.parametrize("kind", ["protanopia", "deuteranopia", "tritanopia"])
def test_the_ends_of_the_palette_differ_for_colour_blind_eyes(palette: np.ndarray, kind: str) -> None:
    # Machado, Oliveira, Fernandes 2009, severity 1.
    matrix = {
        "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
        "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
    }[kind]
    seen = np.clip(palette @ np.array(matrix).T, 0, 255)
    lab = oklab(seen[[0, 64, 128, 192, 255]])
    assert np.linalg.norm(np.diff(lab, axis=0), axis=1).min() > 0.05


def test_a_cell_is_the_mean_of_the_windows_over_it(page: Page) -> None:
    windows = [
        {"start_s": 0, "end_s": 2, "llr": 1, "probability": 0.2},
        {"start_s": 1, "end_s": 3, "llr": 3, "probability": 0.6},
    ]
    cells = call(page, "cells", "return m.cellsOfWindows(x);", windows)
    assert [(cell["start"], cell["end"], cell["llr"]) for cell in cells] == [(0, 1, 1), (1, 2, 2), (2, 3, 3)]
    assert cells[1]["probability"] == pytest.approx(0.4)


def test_the_map_of_an_answer_is_laid_out_up_to_the_clips_end(page: Page) -> None:
    result = {"map": {"step_s": 0.5, "llr": [1, 2], "probability": [0.7, 0.9]}, "duration_s": 0.8}
    cells = call(page, "cells", "return m.cellsOf(x);", result)
    assert [(cell["start"], cell["end"]) for cell in cells] == [(0, 0.5), (0.5, 0.8)]


def test_a_narrow_peak_survives_the_widest_view(page: Page) -> None:
    cells = [
        {"start": i, "end": i + 1, "llr": 9 if i == 1234 else -9, "probability": 0.9 if i == 1234 else 0.1}
        for i in range(3600)
    ]
    body = "return [...m.columnsOf(x, {start: 0, end: 3600}, 300, [-1, 1]).probability];"
    columns = call(page, "cells", body, cells)
    assert max(columns) == pytest.approx(0.9)
    assert columns.index(max(columns)) == 1234 // 12


def test_rates_are_read_between_operating_points_and_held_at_the_ends(page: Page) -> None:
    points = [{"llr": 0, "miss": 0.1, "false_alarm": 0.4}, {"llr": 2, "miss": 0.3, "false_alarm": 0.2}]
    found = [call(page, "rates", "return m.ratesAt(x[0], x[1]);", [points, llr]) for llr in (-5, 1, 9)]
    assert [rate["miss"] for rate in found] == pytest.approx([0.1, 0.2, 0.3])
    assert [rate["false_alarm"] for rate in found] == pytest.approx([0.4, 0.3, 0.2])


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 1000, 5_000_000])
def test_hashes_without_the_browsers_crypto_are_right(page: Page, size: int) -> None:
    body = "return m.sha256Plain(new Blob([Uint8Array.from({length: x}, (_, i) => i * 7)]));"
    data = (np.arange(size) * 7 % 256).astype(np.uint8).tobytes()
    assert call(page, "sha256", body, size) == hashlib.sha256(data).hexdigest()


def test_certainty_is_never_shown_as_zero_or_a_hundred_percent(page: Page) -> None:
    shown = [call(page, "format", "return m.percent(x);", share) for share in (0, 0.004, 0.5, 0.996, 1)]
    assert [text.replace("\xa0", " ") for text in shown] == ["< 1 %", "< 1 %", "50 %", "> 99 %", "> 99 %"]


def test_a_duration_never_says_sixty_of_anything(page: Page) -> None:
    seconds = (3.04, 59.97, 119.7, 3599.8, 7190, 3660)
    shown = [call(page, "format", "return m.duration(x);", value).replace("\xa0", " ") for value in seconds]
    assert shown == ["3.0 s", "1 min 0 s", "2 min 0 s", "1 h 0 min", "2 h 0 min", "1 h 1 min"]


def test_retry_after_is_read_as_seconds_or_as_a_date(page: Page) -> None:
    body = "return m.retryAfterSeconds(x, Date.parse('Tue, 24 Nov 2026 10:00:00 GMT'));"
    headers = ["7", "Tue, 24 Nov 2026 10:00:30 GMT", "soon", None, "99999"]
    assert [call(page, "api", body, header) for header in headers] == [7, 30, None, None, 120]


@pytest.mark.parametrize(
    ("head", "name", "direct"),
    [
        (b"RIFF\0\0\0\0WAVE", "WAV", True),
        (b"fLaC", "FLAC", True),
        (b"OggS", "OGG", True),
        (b"ID3\x04", "MP3", True),
        (b"\xff\xfb\x90\x00", "MP3", True),
        (b"\xff\xf1\x50\x80", "AAC", False),
        (b"\0\0\0\x20ftypM4A ", "MP4/M4A", False),
        (b"\x1aE\xdf\xa3", "WebM", False),
        (b"hello", "unknown", False),
    ],
)
def test_files_are_told_by_their_first_bytes(page: Page, head: bytes, name: str, direct: bool) -> None:
    found = call(page, "container", "return m.sniff(Uint8Array.from(x));", list(head.ljust(64, b"\0")))
    assert found == {"name": name, "direct": direct}


@pytest.mark.parametrize(
    ("rest", "kind"),
    [(-4.0, "partly_fake"), (-0.4, "fake_uneven")],
)
def test_partly_fake_is_said_only_where_the_rest_sounds_human(page: Page, rest: float, kind: str) -> None:
    result: dict[str, Any] = {
        "verdict": "fake",
        "duration_s": 4.0,
        "spans": [{"start_s": 0.0, "end_s": 2.0}],
        "map": {"step_s": 0.5, "llr": [5.0] * 4 + [rest] * 4, "probability": [0.5] * 8},
    }
    assert call(page, "words", "return m.kindOf(x);", result) == kind
    windows = [{"start_s": 2.0 * i, "end_s": 2.0 * i + 2, "llr": llr} for i, llr in enumerate((5.0, rest))]
    without_map = {**result, "map": None, "windows": windows}
    assert call(page, "words", "return m.kindOf(x);", without_map) == kind
    result["spans"] = [{"start_s": 0.0, "end_s": 3.5}]  # nearly all of it
    assert call(page, "words", "return m.kindOf(x);", result) == "fake"
