"""The service over HTTP: answers, every error in one shape, headers, health."""

import gc
import io
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from serving.audio import Limits, load
from serving.detector import Detector
from serving.errors import ModelError
from serving.verdict import decide
from tests.serving.conftest import encode, noise, spoken, write_model
from tests.serving.test_audio import FORMATS

MakeClient = Callable[..., FlaskClient]


def post(client: FlaskClient, content: bytes, name: str = "clip.wav", **headers: str) -> TestResponse:
    return client.post("/api/detect", data={"file": (io.BytesIO(content), name)}, headers=headers)


def test_a_clip_gets_a_whole_answer(client: FlaskClient, detector: Detector) -> None:
    content = encode(np.stack([spoken(3, rate=44_100)] * 2, axis=1), "FLAC", rate=44_100)
    response = post(client, content)
    assert response.status_code == 200
    answer = response.get_json()
    assert set(answer) == {
        *(
            "verdict",
            "probability",
            "llr",
            "threshold",
            "duration_s",
            "windows",
            "spans",
            "map",
            "clip",
            "notes",
            "model",
        ),
        "request_id",
    }
    assert answer["verdict"] == "fake"
    assert answer["duration_s"] == 3.0
    assert len(answer["windows"]) == 9
    assert set(answer["spans"][0]) == {"start_s", "end_s", "llr", "probability"}
    assert set(answer["windows"][0]) == {*answer["spans"][0], "weight"}
    assert answer["model"] == {"name": "loudness", "version": "7", "sha256": detector.sha256}
    clip = answer["clip"]
    assert (clip["original_rate_hz"], clip["channels"], clip["container"]) == (44_100, 2, "FLAC")
    assert len(clip["sha256"]) == 64 and clip["duration_s"] == 3.0
    assert answer["notes"] == []
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("container", "codec", "_"), FORMATS)
def test_http_gives_the_score_of_the_core(
    client: FlaskClient, detector: Detector, container: str, codec: str, _: object
) -> None:
    content = encode(noise(2.7), container, codec)
    expected = decide(detector.score([load(content)]), detector.manifest)
    assert post(client, content).get_json()["llr"] == pytest.approx(expected.llr, abs=1e-5)


def test_without_speech_there_is_a_score_but_no_verdict_on_a_voice(client: FlaskClient) -> None:
    answer = post(client, encode(noise(3))).get_json()
    assert answer["verdict"] == "no_speech" and answer["spans"] == []
    assert {note["code"] for note in answer["notes"]} == {"little_speech"}
    assert answer["llr"] > answer["threshold"], "the loud noise would have been called fake"


def test_a_raw_body_is_as_good_as_a_form(client: FlaskClient) -> None:
    content = encode(noise(2), "OGG", "OPUS")
    form = post(client, content).get_json()
    for content_type in (
        "audio/ogg",
        "audio/ogg; codecs=opus",
        "application/ogg",
        "application/octet-stream",
    ):
        raw = client.post("/api/detect", data=content, content_type=content_type).get_json()
        assert {**raw, "request_id": ""} == {**form, "request_id": ""}


def test_the_file_name_says_nothing(client: FlaskClient) -> None:
    for name in ("clip.txt", "../../etc/passwd", "a" * 500 + ".mp3", "\u202e.wav"):
        assert post(client, encode(noise(1)), name).status_code == 200


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "empty"),
        (b"Dear Sir or Madam", 415, "not_audio"),
        (b"\x1aE\xdf\xa3" + bytes(100), 415, "unsupported_format"),
        (encode(noise(3))[:5_000], 422, "truncated"),
        (encode(noise(0.3)), 422, "too_short"),
        (encode(noise(9)), 422, "too_long"),
        (encode(noise(8), "WAV", "FLOAT"), 413, "too_large"),
        (encode(np.zeros(16_000, np.float32)), 422, "silent"),
        (encode(np.full(16_000, np.nan, np.float32), "WAV", "FLOAT"), 422, "not_finite"),
        (encode(noise(1, rate=4_000), rate=4_000), 422, "unsupported_rate"),
        (encode(np.tile(noise(1)[:, None], (1, 9))), 422, "too_many_channels"),
    ],
)
@pytest.mark.parametrize("raw", [False, True])
def test_every_bad_clip_has_its_code(
    limited: FlaskClient, content: bytes, status: int, code: str, raw: bool
) -> None:
    if raw:
        response = limited.post("/api/detect", data=content, content_type="audio/wav")
    else:
        response = post(limited, content)
    assert_error(response, status, code)


@pytest.fixture(scope="module")
def limited(model_path: Path) -> FlaskClient:
    from serving.app import create_app
    from serving.settings import Settings

    return create_app(Settings(model=model_path, limits=Limits(max_bytes=400_000, max_s=8))).test_client()


def assert_error(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    body = response.get_json()
    assert (response.status_code, body["error"]) == (status, code)
    assert set(body) == {"error", "message", "request_id"}
    assert body["message"].endswith(".")
    assert response.headers["X-Request-ID"] == body["request_id"]
    return dict(body)


def test_far_too_large_a_body_is_refused(limited: FlaskClient) -> None:
    for content_type in ("audio/wav", "multipart/form-data; boundary=x"):
        response = limited.post("/api/detect", data=bytes(2_000_000), content_type=content_type)
        assert_error(response, 413, "too_large")


@pytest.mark.parametrize(
    "fields",
    [
        {"file": "x" * 600_000},
        {f"part{number}": "x" for number in range(9)},
    ],
)
def test_a_malformed_form_is_not_called_too_large(client: FlaskClient, fields: dict[str, str]) -> None:
    response = client.post("/api/detect", data=fields, content_type="multipart/form-data")
    assert "as a file named 'file'" in assert_error(response, 400, "bad_request")["message"]


def test_requests_that_hold_no_clip_are_named(client: FlaskClient) -> None:
    assert_error(client.post("/api/detect", data={"file": "text"}), 415, "unsupported_media_type")
    assert_error(client.post("/api/detect", data={"other": (io.BytesIO(b"x"), "x.wav")}), 400, "bad_request")
    assert_error(
        client.post("/api/detect", data=b"x", content_type="text/plain"), 415, "unsupported_media_type"
    )
    assert_error(client.post("/api/detect", data=b"x" * 10), 415, "unsupported_media_type")
    assert_error(client.get("/api/detect"), 405, "method_not_allowed")
    assert_error(client.get("/no/such/page"), 404, "not_found")


def test_request_ids_are_kept_if_they_are_harmless(client: FlaskClient) -> None:
    kept = post(client, encode(noise(1)), **{"X-Request-ID": "abc-123"})
    assert kept.headers["X-Request-ID"] == kept.get_json()["request_id"] == "abc-123"
    replaced = post(client, encode(noise(1)), **{"X-Request-ID": '<script>"'})
    assert replaced.get_json()["request_id"] != '<script>"'


def test_the_model_tells_its_facts(client: FlaskClient, detector: Detector) -> None:
    facts = client.get("/api/model").get_json()
    assert facts["sha256"] == detector.sha256
    assert facts["threshold"] == 0.0 and facts["window_samples"] == 16_000
    assert facts["limits"]["max_bytes"] == 64 * 2**20


def test_health_and_readiness(client: FlaskClient) -> None:
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.get_json() == {"ready": True, "model": "loudness 7", "reason": None}


def test_a_bad_bundle_fails_readiness_and_answers_503(
    make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.reload.BUNDLE", tmp_path / "none.onnx")  # no shipped model to fall back on
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"rubbish")
    for path in (bad, tmp_path / "missing.onnx"):
        client = make_client(model=path)
        assert client.get("/healthz").status_code == 200
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert path.name in ready.get_json()["reason"]
        response = post(client, encode(noise(1)))
        assert path.name in assert_error(response, 503, "model_unavailable")["message"]
        assert response.headers["Retry-After"]
        assert_error(client.get("/api/model"), 503, "model_unavailable")
        assert "bonafide_ready 0" in client.get("/metrics").get_data(as_text=True)


def test_overload_is_refused_with_retry_after_and_clears(make_client: MakeClient, model_path: Path) -> None:
    client = make_client(model=model_path, scorers=1, queue=1, wait_s=20)
    service = client.application.extensions["bonafide"]
    release = threading.Event()
    service._scoring.in_background(release.wait)  # as a very long clip would
    content = encode(noise(1))
    with ThreadPoolExecutor(2) as callers:
        waiting = [callers.submit(post, client.application.test_client(), content) for _ in range(2)]
        while not service._scoring.full:
            time.sleep(0.005)
        refused = post(client, content)
        assert client.get("/healthz").status_code == 200
        assert_error(refused, 503, "overloaded")
        assert int(refused.headers["Retry-After"]) >= 1
        release.set()
        assert [future.result().status_code for future in waiting] == [200, 200]
    assert post(client, content).status_code == 200


def test_a_wait_that_is_too_long_is_refused(make_client: MakeClient, model_path: Path) -> None:
    client = make_client(model=model_path, scorers=1, queue=1, wait_s=0.05)
    release = threading.Event()
    client.application.extensions["bonafide"]._scoring.in_background(release.wait)
    assert_error(post(client, encode(noise(1))), 503, "overloaded")
    release.set()


def test_a_decoder_crash_is_one_bad_answer(make_client: MakeClient, model_path: Path) -> None:
    client = make_client(model=model_path, scorers=1)
    content = encode(noise(1))
    assert post(client, content).status_code == 200
    [decoder] = client.application.extensions["bonafide"]._decoders._processes
    decoder._process.kill()
    statuses = [post(client, content).status_code for _ in range(2)]
    assert statuses[1] == 200


def test_an_unforeseen_error_has_the_same_shape(
    make_client: MakeClient, model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(model=model_path)

    def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("serving.service.detect", fail)
    assert "secret" not in assert_error(post(client, encode(noise(1))), 500, "internal_error")["message"]


def test_a_model_that_fails_on_a_clip_is_no_500(
    make_client: MakeClient, model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(model=model_path)

    def fail(*_: object) -> None:
        raise ModelError("The graph gave a score that is not finite.")

    monkeypatch.setattr("serving.service.detect", fail)
    assert_error(post(client, encode(noise(1))), 503, "model_unavailable")


def test_headers_forbid_sniffing_framing_and_inline_script(client: FlaskClient) -> None:
    for path in ("/api/model", "/healthz", "/no/such/page", "/"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


def test_metrics_count_what_was_answered(make_client: MakeClient, model_path: Path) -> None:
    client = make_client(model=model_path)
    post(client, encode(spoken(2)))
    post(client, b"no audio")
    text = client.get("/metrics").get_data(as_text=True)
    for line in (
        'bonafide_detections_total{outcome="fake"} 1.0',
        'bonafide_detections_total{outcome="not_audio"} 1.0',
        "bonafide_audio_seconds_total 2.0",
        "bonafide_windows_total 5.0",
        "bonafide_detect_seconds_count 1.0",
        "bonafide_in_flight 0.0",
        "bonafide_ready 1",
    ):
        assert line in text.splitlines()


def test_nothing_of_a_clip_outlives_its_request(
    make_client: MakeClient, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    client = make_client(model=model_path, scorers=1)  # a second decoder may still be starting
    post(client, encode(noise(1)))
    files = Path("/proc/self/fd")
    open_before = len(list(files.iterdir())) if files.exists() else 0
    for seconds in (1, 60):  # in memory, and on disk
        assert post(client, encode(noise(seconds))).status_code == 200
        client.post("/api/detect", data=encode(noise(seconds)), content_type="audio/wav")
        post(client, encode(noise(seconds))[:-500])
    gc.collect()  # the test client keeps the bodies that it sent in files of its own
    assert list(tmp_path.iterdir()) == []
    assert not files.exists() or len(list(files.iterdir())) == open_before


def test_the_same_clip_scores_the_same_from_many_threads(client: FlaskClient) -> None:
    contents = [encode(noise(1 + seed / 3, seed)) for seed in range(6)]
    alone = [post(client, content).get_json()["llr"] for content in contents]
    with ThreadPoolExecutor(6) as callers:
        together = callers.map(lambda content: post(client.application.test_client(), content), contents)
        assert [response.get_json()["llr"] for response in together] == alone


def test_another_model_swapped_in_is_named_in_the_next_answer(
    make_client: MakeClient, model_path: Path, tmp_path: Path
) -> None:
    from dataclasses import replace

    from tests.serving.conftest import MANIFEST

    client = make_client(model=model_path)
    other = write_model(tmp_path / "other.onnx", replace(MANIFEST, version="8"))
    assert post(client, encode(noise(1))).get_json()["model"]["version"] == "7"
    assert client.application.extensions["bonafide"].models.load(other)
    assert post(client, encode(noise(1))).get_json()["model"]["version"] == "8"
