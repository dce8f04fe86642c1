"""The Open Inference Protocol V2, as Triton's and KServe's clients speak it; several versions at once.

    GET  /v2, /v2/health/live, /v2/health/ready, /v2/models/NAME[/versions/V][/ready]
    POST /v2/models/NAME[/versions/V]/infer    input `waveform` FP32 [batch, samples], 16 kHz, about [-1, 1]

Outputs: `window_llr` [batch, windows], `frame_llr` [batch, frames] where the model has frames, and the clip's
`llr` and `probability` [batch]. Without a version the served one answers, and every answer names its version.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from flask import Blueprint, Response, current_app, jsonify, request

from serving.audio import MAX_PEAK
from serving.detector import INPUT, Detector
from serving.service import Service
from serving.tensors import DATATYPE, LENGTH_HEADER, BadTensor, Call, Floats, inflate, parse, render
from serving.uploads import body
from serving.verdict import decide

v2 = Blueprint("v2", __name__, url_prefix="/v2")
EXTENSIONS = ["binary_tensor_data", "model_repository"]
MOST_ROWS = 64  # of a batch: each is a clip that others wait behind


class NoSuchModel(Exception):
    """Nothing is loaded under that name and version."""


def service() -> Service:
    found: Service = current_app.extensions["bonafide"]
    return found


@v2.errorhandler(BadTensor)
def bad_request(error: BadTensor) -> tuple[Response, int]:
    return jsonify({"error": str(error)}), 400


@v2.errorhandler(NoSuchModel)
def not_found(error: NoSuchModel) -> tuple[Response, int]:
    return jsonify({"error": str(error)}), 404


@v2.get("")
def server() -> Response:
    return jsonify({"name": "bonafide", "version": "2", "extensions": EXTENSIONS})


@v2.get("/health/live")
def live() -> Response:
    return jsonify({"live": True})


@v2.get("/health/ready")
def ready() -> tuple[Response, int]:
    is_ready = service().models.ready
    return jsonify({"ready": is_ready}), 200 if is_ready else 503


@v2.post("/repository/index")
def index() -> Response:
    shelf = service().shelf
    ready = [
        {"name": one.manifest.name, "version": one.manifest.version, "state": "READY", "reason": ""}
        for one in shelf.models()
    ]
    left_out = [
        {"name": file, "version": "", "state": "UNAVAILABLE", "reason": reason}
        for file, reason in sorted(shelf.problems.items())
    ]
    return jsonify([*ready, *left_out])


@v2.get("/models/<name>")
@v2.get("/models/<name>/versions/<version>")
def metadata(name: str, version: str | None = None) -> Response:
    detector = _find(name, version)
    models = [one.manifest for one in service().shelf.models()]
    return jsonify(
        {
            "name": name,
            "versions": [m.version for m in models if m.name == name and version in (None, m.version)],
            "platform": "onnxruntime_onnx",
            "inputs": [{"name": INPUT, "datatype": DATATYPE, "shape": [-1, -1]}],
            "outputs": [
                {"name": output, "datatype": DATATYPE, "shape": shape}
                for output, shape in _output_shapes(detector).items()
            ],
        }
    )


@v2.get("/models/<name>/ready")
@v2.get("/models/<name>/versions/<version>/ready")
def model_ready(name: str, version: str | None = None) -> Response:
    return jsonify({"name": name, "ready": _find(name, version) is not None})


@v2.post("/models/<name>/infer")
@v2.post("/models/<name>/versions/<version>/infer")
def infer(name: str, version: str | None = None) -> Response:
    here = service()
    detector = _find(name, version)
    encoding, head_length = request.headers.get("Content-Encoding", ""), request.headers.get(LENGTH_HEADER)
    most_bytes = here.settings.limits.max_bytes
    with here.admitted(), body() as file:
        file.seek(0)
        # In turn, too: unpacked, a body takes many times its bytes.
        call, outputs = here.in_turn(
            lambda: _called(parse(inflate(file.read(), encoding, most_bytes), head_length), detector)
        )
    wanted = {key: outputs[key] for key in call.outputs or outputs}
    return _answer(detector, wanted, call)


def _called(call: Call, detector: Detector) -> tuple[Call, dict[str, Floats]]:
    """The call with every output. Raises BadTensor."""
    waveforms = _waveforms(call, detector)
    unknown = set(call.outputs) - set(_output_shapes(detector))
    if unknown:
        raise BadTensor(f"Unknown outputs {sorted(unknown)}; there are {sorted(_output_shapes(detector))}.")
    return call, _score(detector, waveforms)


def _find(name: str, version: str | None) -> Detector:
    detector = service().shelf.find(name, version)
    if detector is None:
        raise NoSuchModel(
            f"Model {name} {version or ''} is not loaded; POST /v2/repository/index lists what is."
        )
    return detector


def _output_shapes(detector: Detector) -> dict[str, list[int]]:
    shapes = {"window_llr": [-1, -1], "llr": [-1], "probability": [-1]}
    return shapes | ({"frame_llr": [-1, -1]} if detector.manifest.frame_hop_samples else {})


def _waveforms(call: Call, detector: Detector) -> Floats:
    """(B, N), checked."""
    if set(call.inputs) != {INPUT}:
        raise BadTensor(f"Inputs are {sorted(call.inputs)}; expected one, {INPUT}.")
    waveforms = call.inputs[INPUT]
    least = detector.manifest.window_samples
    if waveforms.ndim != 2 or not 1 <= waveforms.shape[0] <= MOST_ROWS or waveforms.shape[1] < least:
        raise BadTensor(
            f"{INPUT} has shape {list(waveforms.shape)}; expected [1 to {MOST_ROWS}, {least} or more]."
        )
    if not (np.abs(waveforms) <= MAX_PEAK).all():
        raise BadTensor(f"{INPUT} holds NaN, infinite or absurd samples; expected about -1 to 1.")
    return waveforms


def _score(detector: Detector, waveforms: Floats) -> dict[str, Floats]:
    """(B, N) -> the graph's outputs and the verdict's numbers; row by row in bounded chunks, as clips are.

    Rows are cut to whole windows, 1 + (N - window) // hop of them, as the graph itself would.
    """
    manifest = detector.manifest
    whole = (waveforms.shape[1] - manifest.window_samples) // manifest.hop_samples * manifest.hop_samples
    bounds = slice(manifest.window_samples + whole)
    rows = [detector.score([row[bounds]], with_sections=False) for row in waveforms]
    verdicts = [decide(scores, manifest) for scores in rows]
    outputs = {
        "window_llr": np.stack([scores.window_llr for scores in rows]),
        "llr": np.array([verdict.llr for verdict in verdicts], np.float32),
        "probability": np.array([verdict.probability for verdict in verdicts], np.float32),
    }
    frames = [scores.frame_llr for scores in rows if scores.frame_llr is not None]
    return outputs | ({"frame_llr": np.stack(frames)} if frames else {})


def _answer(detector: Detector, outputs: dict[str, Floats], call: Call) -> Response:
    manifest = detector.manifest
    head: dict[str, Any] = {"model_name": manifest.name, "model_version": manifest.version}
    if call.id:
        head["id"] = call.id
    head["parameters"] = {"sha256": detector.sha256}
    body, head_length = render(head, outputs, call)
    kind = "application/json" if head_length is None else "application/octet-stream"
    response = Response(body, content_type=kind)
    if head_length is not None:
        response.headers[LENGTH_HEADER] = str(head_length)
    return response
