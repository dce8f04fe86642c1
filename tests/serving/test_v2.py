"""Triton's own HTTP client works against /v2 unchanged, in JSON and binary, over several versions."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from serving.app import create_app
from serving.settings import Settings
from tests.serving.conftest import FRAME, HOP, MANIFEST, WINDOW, loudness_llr, noise, write_model

tritonclient = pytest.importorskip("tritonclient.http")
MakeClient = Callable[..., FlaskClient]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Version 7 is served, 8 is the challenger, 9 has frames and lies in the folder of further models."""
    folder = tmp_path_factory.mktemp("v2")
    others = folder / "others"
    others.mkdir()
    write_model(others / "nine.onnx", replace(MANIFEST, version="9", frame_hop_samples=FRAME))
    (others / "broken.onnx").write_bytes(b"no model")
    return Settings(
        model=write_model(folder / "served.onnx"),
        challenger=write_model(folder / "next.onnx", replace(MANIFEST, version="8", hop_samples=2 * HOP)),
        models=others,
    )


@pytest.fixture(scope="module")
def address(settings: Settings) -> Iterator[str]:
    app = create_app(settings)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    app.extensions["bonafide"].stop()


@pytest.fixture(scope="module")
def triton(address: str) -> Iterator[Any]:
    client = tritonclient.InferenceServerClient(address)
    yield client
    client.close()


def waveform_input(batch: np.ndarray, binary: bool) -> Any:
    tensor = tritonclient.InferInput("waveform", list(batch.shape), "FP32")
    tensor.set_data_from_numpy(batch, binary_data=binary)
    return tensor


def test_health_and_metadata(triton: Any) -> None:
    assert triton.is_server_live() and triton.is_server_ready()
    assert triton.is_model_ready("loudness") and triton.is_model_ready("loudness", "8")
    assert not triton.is_model_ready("loudness", "99") and not triton.is_model_ready("other")
    assert triton.get_server_metadata()["extensions"] == ["binary_tensor_data", "model_repository"]
    metadata = triton.get_model_metadata("loudness")
    assert metadata["versions"] == ["7", "8", "9"]
    assert metadata["inputs"] == [{"name": "waveform", "datatype": "FP32", "shape": [-1, -1]}]
    assert {"window_llr", "llr", "probability"} == {output["name"] for output in metadata["outputs"]}
    index = triton.get_model_repository_index()
    assert [entry["version"] for entry in index if entry["state"] == "READY"] == ["7", "8", "9"]
    [broken] = [entry for entry in index if entry["state"] == "UNAVAILABLE"]
    assert broken["name"] == "broken.onnx" and "not a model" in broken["reason"]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_a_batch_goes_round_in_json_and_binary(triton: Any, binary_in: bool, binary_out: bool) -> None:
    batch = np.stack([noise(2, seed) * level for seed, level in ((1, 0.2), (2, 2.0))]).astype(np.float32)
    wanted = [
        tritonclient.InferRequestedOutput(name, binary_data=binary_out) for name in ("window_llr", "llr")
    ]
    answer = triton.infer("loudness", [waveform_input(batch, binary_in)], request_id="abc", outputs=wanted)
    expected = [
        [loudness_llr(row[start : start + WINDOW]) for start in range(0, WINDOW + 1, HOP)] for row in batch
    ]
    np.testing.assert_allclose(answer.as_numpy("window_llr"), expected, atol=1e-3)
    np.testing.assert_allclose(answer.as_numpy("llr"), np.mean(expected, axis=1), atol=1e-3)
    assert answer.as_numpy("probability") is None
    assert (answer.get_response()["id"], answer.get_response()["model_version"]) == ("abc", "7")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_requests_are_understood(triton: Any, encoding: str) -> None:
    batch = noise(1)[None]
    answer = triton.infer("loudness", [waveform_input(batch, True)], request_compression_algorithm=encoding)
    assert answer.as_numpy("llr")[0] == pytest.approx(loudness_llr(batch[0]), abs=1e-3)


def test_each_version_answers_for_itself(triton: Any) -> None:
    tensor = waveform_input(noise(2)[None], True)
    windows = {}
    for version in ("7", "8", "9"):
        answer = triton.infer("loudness", [tensor], model_version=version)
        assert answer.get_response()["model_version"] == version
        windows[version] = answer.as_numpy("window_llr").shape[1]
    assert windows == {"7": 5, "8": 3, "9": 5}
    assert answer.as_numpy("frame_llr").shape == (1, 2 * WINDOW // FRAME)


def test_a_tail_without_a_whole_window_changes_nothing(triton: Any) -> None:
    long, cut = noise(2)[None], noise(2)[None, : WINDOW + HOP]
    first = triton.infer("loudness", [waveform_input(long[:, : WINDOW + HOP + 5], True)]).as_numpy(
        "window_llr"
    )
    second = triton.infer("loudness", [waveform_input(cut, True)]).as_numpy("window_llr")
    np.testing.assert_array_equal(first, second)


def test_clients_get_the_protocols_errors(triton: Any) -> None:
    with pytest.raises(Exception, match="is not loaded"):
        triton.infer("loudness", [waveform_input(noise(1)[None], True)], model_version="99")
    with pytest.raises(Exception, match="16000 or more"):
        triton.infer("loudness", [waveform_input(noise(0.5)[None], True)])
    for rubbish in (np.nan, np.inf, 1e30):
        with pytest.raises(Exception, match="absurd"):
            triton.infer("loudness", [waveform_input(np.full((1, WINDOW), rubbish, np.float32), True)])


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "waveform", "datatype": "FP32", "shape": [1, WINDOW], "data": [0.1] * WINDOW, **changes}


BAD_BODIES: dict[str, Any] = {
    "not JSON": b"{",
    "no list of inputs": {},
    "An input has no name": {"inputs": [3]},
    "datatype INT8; expected FP32": {"inputs": [tensor(datatype="INT8")]},
    "expected a list of sizes": {"inputs": [tensor(shape=[-1, True])]},
    "has 2 numbers": {"inputs": [tensor(data=[1, 2])]},
    "other than numbers": {"inputs": [tensor(shape=[2], data=["a", {}])]},
    "expected one, waveform": {"inputs": [tensor(name="audio")]},
    "0 are left": {"inputs": [tensor(parameters={"binary_data_size": 4 * WINDOW})]},
    "Unknown outputs": {"inputs": [tensor()], "outputs": [{"name": "x"}]},
}


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings)
    yield app.test_client()
    app.extensions["bonafide"].stop()


@pytest.mark.parametrize("words", BAD_BODIES)
def test_a_malformed_request_is_refused_in_words(client: FlaskClient, words: str) -> None:
    body = BAD_BODIES[words]
    answer = client.post(
        "/v2/models/loudness/infer", data=body if isinstance(body, bytes) else json.dumps(body)
    )
    assert answer.status_code == 400 and words in answer.json["error"]


def test_a_stated_head_longer_than_the_body_is_refused(client: FlaskClient) -> None:
    for stated in ("99", "-1", "x"):
        answer = client.post(
            "/v2/models/loudness/infer", data=b"{}", headers={"Inference-Header-Content-Length": stated}
        )
        assert answer.status_code == 400 and stated in answer.json["error"]


def test_a_body_that_inflates_beyond_the_limit_is_refused(
    make_client: MakeClient, settings: Settings
) -> None:
    limits = replace(settings.limits, max_bytes=2**20)
    client = make_client(model=settings.model, limits=limits)
    bomb = gzip.compress(b" " * 2**22)
    answer = client.post("/v2/models/loudness/infer", data=bomb, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 400 and "more than 1048576 bytes" in answer.json["error"]


def test_json_that_would_fill_the_memory_is_refused_before_it_is_read(client: FlaskClient) -> None:
    numbers = b'{"inputs": [{"data": [' + b"0," * 2**23
    answer = client.post(
        "/v2/models/loudness/infer", data=gzip.compress(numbers), headers={"Content-Encoding": "gzip"}
    )
    assert answer.status_code == 400 and "Send the samples as binary data" in answer.json["error"]


def test_a_full_queue_refuses_tensors_before_they_are_read(
    make_client: MakeClient, settings: Settings
) -> None:
    client = make_client(model=settings.model, scorers=1, queue=0)
    release = threading.Event()
    service = client.application.extensions["bonafide"]
    service.start()
    holder = threading.Thread(target=service.in_turn, args=(release.wait,))
    holder.start()
    while not service._scoring.full:
        pass
    answer = client.post("/v2/models/loudness/infer", data=b"not even JSON")
    release.set()
    holder.join()
    assert answer.status_code == 503 and answer.headers["Retry-After"]
