"""Formats: what the server decodes is sent untouched, what else phones send is decoded in the browser."""

import hashlib
import io

import av
import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, expect

from tests.web.conftest import FAKE, LOUD, RATE, Tap, Upload, analyse, verdict, voice, wait_for_signal

UNTOUCHED = {
    "clip.wav": ("WAV", "PCM_16"),
    "clip.flac": ("FLAC", "PCM_16"),
    "clip.ogg": ("OGG", "VORBIS"),
    "clip.opus": ("OGG", "OPUS"),
    "clip.mp3": ("MP3", "MPEG_LAYER_III"),
}
DECODED_HERE = {
    "voice.m4a": ("mp4", "aac"),
    "voice.aac": ("adts", "aac"),
    "voice.webm": ("webm", "libopus"),
    "video.mp4": ("mp4", "aac"),
}


def encoded(container: str, codec: str, with_picture: bool) -> bytes:
    """3 s of loud voice at 48 kHz in a container that only ffmpeg's libraries write."""
    file = io.BytesIO()
    samples = np.repeat(voice((3, LOUD)), 3)
    with av.open(file, "w", format=container) as out:
        picture = out.add_stream("mpeg4", rate=10) if with_picture else None
        sound = out.add_stream(codec, rate=48_000, layout="mono")
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
            for _ in range(30):
                out.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
            out.mux(picture.encode(None))
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = 48_000
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("name", UNTOUCHED)
def test_what_the_server_decodes_is_sent_untouched(page: Page, tap: Tap, name: str) -> None:
    container, codec = UNTOUCHED[name]
    file = io.BytesIO()
    soundfile.write(file, voice((3, LOUD)), RATE, format=container, subtype=codec)
    assert verdict(page, Upload(name, file.getvalue())) == "Fake"
    assert tap.last_file == file.getvalue()
    expect(page.locator("#facts")).to_contain_text(hashlib.sha256(file.getvalue()).hexdigest())
    wait_for_signal(page)


@pytest.mark.parametrize("name", DECODED_HERE)
def test_what_the_server_does_not_decode_is_sent_as_wav(page: Page, tap: Tap, name: str) -> None:
    data = encoded(*DECODED_HERE[name], with_picture=name == "video.mp4")
    assert verdict(page, Upload(name, data)) == "Fake"
    samples, rate = soundfile.read(io.BytesIO(tap.last_file))
    assert rate == 48_000
    assert len(samples) / rate == pytest.approx(3, abs=0.1)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(LOUD, rel=0.2)
    facts = page.locator("#facts")
    expect(facts).to_contain_text("decoded in your browser")
    expect(facts).to_contain_text(hashlib.sha256(data).hexdigest())  # of the original, not of the WAV
    wait_for_signal(page)


def test_the_page_says_which_files_are_decoded_in_the_browser(page: Page) -> None:
    expect(page.locator(".privacy")).to_contain_text(
        "M4A, AAC, WebM and MP4 are decoded here in your browser"
    )
    expect(page.locator(".privacy")).to_contain_text("Nothing is kept on the server")


def test_a_recording_is_taken_from_the_microphone_and_analysed(page: Page) -> None:
    page.locator("#record").click()
    expect(page.locator("#record")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#record-time")).to_have_text("0:01")
    page.locator("#record").click()
    expect(page.locator("#clip-name")).to_contain_text("recording ")
    expect(page.locator("#facts")).to_contain_text("WAV")
    expect(page.locator("#recording")).to_be_hidden()


def test_a_second_click_while_the_browser_asks_starts_no_second_recording(page: Page) -> None:
    page.evaluate(
        """() => {
          const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          window.asked = 0;
          navigator.mediaDevices.getUserMedia = async (wanted) => {
            window.asked += 1;
            await new Promise((resolve) => setTimeout(resolve, 300));
            return real(wanted);
          };
        }"""
    )
    page.locator("#record").dblclick()
    expect(page.locator("#record-time")).to_have_text("0:01")
    assert page.evaluate("window.asked") == 1
    page.locator("#record-cancel").click()
    expect(page.locator("#recording")).to_be_hidden()


def test_a_recording_can_be_discarded(page: Page) -> None:
    page.locator("#record").click()
    expect(page.locator("#record-time")).to_have_text("0:01")
    page.locator("#record-cancel").click()
    expect(page.locator("#record-label")).to_have_text("Record")
    expect(page.locator("#session")).to_be_hidden()


def test_a_refused_microphone_is_explained(page: Page) -> None:
    page.evaluate(
        """() => {
          const refuse = () => Promise.reject(new DOMException("no", "NotAllowedError"));
          navigator.mediaDevices.getUserMedia = refuse;
        }"""
    )
    page.locator("#record").click()
    expect(page.locator("#record-error")).to_contain_text("not allowed to use the microphone")
    page.evaluate("() => delete navigator.mediaDevices.getUserMedia")
    page.locator("#record").click()
    expect(page.locator("#record")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#record-error")).to_have_text("")
    page.locator("#record-cancel").click()


def test_several_files_are_worked_on_with_progress_each(page: Page) -> None:
    uploads = [Upload(f"clip {i}.wav", FAKE.data) for i in range(5)]
    analyse(page, *uploads)
    expect(page.locator(".queue-item")).to_have_count(5)
    expect(page.locator(".queue-item[data-status='done']")).to_have_count(5)
    page.locator(".queue-open", has_text="clip 3.wav").click()
    expect(page.locator("#clip-name")).to_contain_text("clip 3.wav")
