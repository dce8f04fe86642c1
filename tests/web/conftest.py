"""The page on a real server with a model that calls loud sound fake, in headless Chromium."""

import io
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from serving.app import create_app
from serving.settings import Settings
from tests.serving.conftest import MANIFEST, write_model

RATE = 16_000
LOUD, QUIET = 0.2, 0.01  # RMS: clearly "fake" and clearly "real" to the loudness model, and both are speech
PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1440, "height": 900}
POINTS = [
    {"llr": float(llr), "miss": 1 / (1 + np.exp(3 - llr)), "false_alarm": 1 / (1 + np.exp(3 + llr))}
    for llr in range(-8, 9)
]
METRICS = [{"data": "loud and quiet noise", "split": "test", "date": "2026-11-24", "figures": {"eer": 0.05}}]
TESTED = replace(MANIFEST, smoke=False, operating_points=POINTS, metrics=METRICS)

expect.set_options(timeout=15_000)


@dataclass(frozen=True)
class Upload:
    """A file as Playwright's set_input_files takes it."""

    name: str
    data: bytes

    @property
    def payload(self) -> dict[str, object]:
        return {"name": self.name, "mimeType": "application/octet-stream", "buffer": self.data}


def voice(*parts: tuple[float, float], seed: int = 0) -> np.ndarray:
    """(seconds, RMS) parts -> (N,) noise in bursts four times a second, which counts as speech."""
    rng = np.random.default_rng(seed)
    level = np.concatenate([np.full(round(seconds * RATE), rms) for seconds, rms in parts])
    bursts = 0.05 + np.abs(np.sin(2 * np.pi * 2 * np.arange(len(level)) / RATE))
    noise = rng.normal(0, 1, len(level))
    return np.asarray(noise * bursts * level / np.sqrt(np.mean(bursts**2)), dtype=np.float32)


def wav(name: str, *parts: tuple[float, float]) -> Upload:
    file = io.BytesIO()
    soundfile.write(file, voice(*parts), RATE, format="WAV", subtype="PCM_16")
    return Upload(name, file.getvalue())


FAKE = wav("fake.wav", (4, LOUD))
REAL = wav("real.wav", (4, QUIET))
PARTLY = wav("partly.wav", (4, QUIET), (3, LOUD), (3, QUIET), (1, LOUD))


class Tap:
    """WSGI middleware: keeps the bodies sent to /api/detect and holds them up while `gate` is closed."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app
        self.bodies: list[bytes] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/api/detect":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            self.bodies.append(body)
            environ["wsgi.input"] = io.BytesIO(body)
            self.gate.wait(30)
        return self.app(environ, start_response)

    @property
    def last_file(self) -> bytes:
        """The file in the newest multipart body."""
        body = self.bodies[-1]
        return body[body.index(b"\r\n\r\n") + 4 : body.rindex(b"\r\n--")]


class QuietHandler(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """A page asks for fifty files: their log would bury a failure."""


class Servers:
    """Starts servers on the loudness model, each with its own changes to the manifest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taps: dict[str, Tap] = {}
        self.stops: list[Callable[[], None]] = []

    def start(self, port: int = 0, **changes: object) -> str:
        """-> the server's address."""
        path = write_model(self.folder / f"{len(self.taps)}.onnx", replace(TESTED, **changes))
        app = create_app(Settings(model=path))
        tap = Tap(app.wsgi_app)
        app.wsgi_app = tap  # type: ignore[method-assign]
        server = make_server("127.0.0.1", port, app, threaded=True, request_handler=QuietHandler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.stops += [server.shutdown, app.extensions["bonafide"].stop]
        address = f"http://127.0.0.1:{server.port}"
        self.taps[address] = tap
        return address


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    servers = Servers(tmp_path_factory.mktemp("models"))
    yield servers
    for stop in servers.stops:
        stop()


@pytest.fixture(scope="session")
def address(servers: Servers) -> str:
    return servers.start()


@pytest.fixture
def tap(servers: Servers, address: str) -> Iterator[Tap]:
    """What passes to and from the server at `address`."""
    yield servers.taps[address]
    servers.taps[address].gate.set()


def find_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        reason = "No Chromium was found to test the page with. Install it (Debian: apt-get install chromium)."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    microphone = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *microphone])
        yield browser
        browser.close()


@pytest.fixture(params=[DESKTOP], ids=["desktop"])
def context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    context = browser.new_context(
        viewport=request.param, color_scheme="dark", permissions=["microphone"], accept_downloads=True
    )
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, address: str) -> Iterator[Page]:
    """The page, opened. A script error or a breach of the security policy fails the test."""
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if _is_problem(message.text) else None)
    page.goto(address)
    yield page
    page.close()
    assert problems == []


def _is_problem(text: str) -> bool:
    return "Content Security Policy" in text or "Uncaught" in text


# How many colours a canvas shows.
INK = """(id) => {
  const canvas = document.getElementById(id);
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3]) colours.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
  }
  return colours.size;
}"""


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Polls from here: the page's security policy forbids Playwright's own polling script."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def wait_for_signal(page: Page) -> None:
    wait_until(lambda: page.evaluate(INK, "spectrogram") > 50)


def analyse(page: Page, *uploads: Upload) -> None:
    page.locator("#file").set_input_files([upload.payload for upload in uploads])


def verdict(page: Page, upload: Upload) -> str:
    """Uploads and waits for the verdict -> its words."""
    analyse(page, upload)
    expect(page.locator("#clip-name")).to_contain_text(upload.name)
    return page.locator("#verdict-title").inner_text()


@pytest.fixture
def clips(tmp_path: Path) -> Callable[[Upload], Path]:
    def write(upload: Upload) -> Path:
        path = tmp_path / upload.name
        path.write_bytes(upload.data)
        return path

    return write
