"""POST /api/detect, GET /api/model, health and metrics: read, call, return."""

import time
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, current_app, g, jsonify, request

from serving.detection import Detection
from serving.pull import read_status
from serving.service import Service
from serving.uploads import digest, receive

api = Blueprint("api", __name__)
NEVER_STORED = "no-store"


def service() -> Service:
    found: Service = current_app.extensions["bonafide"]
    return found


@api.before_request
def note_start() -> None:
    g.started = time.monotonic()


@api.post("/api/detect")
def detect() -> Response:
    here = service()
    with here.admitted(), here.counted_in_flight(), receive(here.settings.limits) as file:
        sha256, size = digest(file)
        detection = here.detect(file)
    here.count(detection, size, time.monotonic() - g.started)
    return jsonify(_answer(detection, sha256))


def _answer(detection: Detection, sha256: str) -> dict[str, Any]:
    answer = detection.to_dict()
    answer["clip"]["sha256"] = sha256
    answer["request_id"] = g.request_id
    return answer


@api.get("/api/model")
def model() -> Response:
    here = service()
    detector = here.detector()
    limits = here.settings.limits
    return jsonify(
        {
            **asdict(detector.manifest),
            "sha256": detector.sha256,
            "size_bytes": detector.size,
            "limits": {"max_bytes": limits.max_bytes, "min_s": limits.min_s, "max_s": limits.max_s},
        }
    )


@api.get("/healthz")
def alive() -> Response:
    """200 while the process answers at all; says nothing about the model."""
    return jsonify({"status": "ok"})


@api.get("/readyz")
def ready() -> tuple[Response, int]:
    """200 if clips can be scored with the model that was asked for, else 503 with the reason."""
    models = service().models
    detector = models.detector
    name = None if detector is None else f"{detector.manifest.name} {detector.manifest.version}"
    body = {"ready": models.ready, "model": name, "reason": models.problem or None}
    if (pulled := read_status(service().settings.model.parent)) is not None:
        body["registry"] = pulled.summary  # a registry that is down takes nothing out of rotation
    return jsonify(body), 200 if models.ready else 503


@api.get("/metrics")
def metrics() -> Response:
    here = service()
    return Response(here.board.render(here.model_lines()), content_type="text/plain; version=0.0.4")


@api.after_request
def keep_out_of_caches(response: Response) -> Response:
    if request.method == "POST" or request.path == "/readyz":
        response.headers["Cache-Control"] = NEVER_STORED
    return response
