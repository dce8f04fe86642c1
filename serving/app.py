"""The WSGI application: `gunicorn "serving.app:create_app()"`.

Errors of the core become HTTP here, once: {"error": code, "message": words, "request_id": id}.
"""

import json
import os
import re
from typing import Any

from flask import Flask, Response, g, request
from flask.json.provider import JSONProvider
from werkzeug.exceptions import HTTPException

from serving.admin import admin
from serving.admission import Overloaded
from serving.api import api
from serving.errors import ClipError, ModelError, ModelUnavailable
from serving.pages import pages
from serving.service import Service
from serving.settings import Settings
from serving.uploads import MULTIPART_BYTES, UploadRequest, discard_body, too_large
from serving.v2 import v2

STATUS_OF_CLIP_ERROR = {
    "empty": 400,
    "not_audio": 415,
    "unsupported_format": 415,
    "too_large": 413,
}  # else 422
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
RETRY_WITHOUT_MODEL_S = 5


class CompactJSON(JSONProvider):
    """The standard library's encoder without spaces; numbers arrive rounded."""

    def dumps(self, obj: Any, **options: Any) -> str:
        return json.dumps(obj, separators=(",", ":"), ensure_ascii=False, allow_nan=False, **options)

    def loads(self, s: str | bytes, **options: Any) -> Any:
        return json.loads(s, **options)


class Bonafide(Flask):
    request_class = UploadRequest
    json_provider_class = CompactJSON


def create_app(settings: Settings | None = None) -> Flask:
    """The application. A bad model does not raise: /readyz says what is wrong."""
    settings = settings or Settings.from_environment()
    app = Bonafide(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.limits.max_bytes + MULTIPART_BYTES
    service = Service(settings)
    app.extensions["bonafide"] = service
    app.before_request(_name_request)
    app.before_request(lambda: service.start())
    app.after_request(_add_headers)
    app.register_blueprint(api)
    app.register_blueprint(pages)
    app.register_blueprint(v2)
    app.register_blueprint(admin)
    _map_errors(app, service)
    return app


def _name_request() -> None:
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else os.urandom(8).hex()


def _add_headers(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)  # pages bring their own policy
    return response


def _map_errors(app: Flask, service: Service) -> None:
    def answer(status: int, code: str, message: str, retry_after_s: int | None = None) -> Response:
        if request.path == "/api/detect":
            service.count_refusal(code if status != 400 or code == "empty" else "bad_request")
        body = {"error": code, "message": message, "request_id": g.request_id}
        response = Response(app.json.dumps(body), status, content_type="application/json")
        response.headers["Cache-Control"] = "no-store"
        if retry_after_s is not None:
            response.headers["Retry-After"] = str(retry_after_s)
        return response

    @app.errorhandler(ClipError)
    def _(error: ClipError) -> Response:
        return answer(STATUS_OF_CLIP_ERROR.get(error.code, 422), error.code, error.message)

    @app.errorhandler(Overloaded)
    def _(error: Overloaded) -> Response:
        discard_body()
        return answer(503, "overloaded", str(error), error.retry_after_s)

    @app.errorhandler(ModelUnavailable)
    def _(error: ModelUnavailable) -> Response:
        return answer(503, "model_unavailable", str(error), RETRY_WITHOUT_MODEL_S)

    @app.errorhandler(ModelError)
    def _(error: ModelError) -> Response:
        app.logger.error("request %s: %s", g.request_id, error)
        return answer(503, "model_unavailable", "The model can't score this clip.", RETRY_WITHOUT_MODEL_S)

    @app.errorhandler(413)
    def _(error: HTTPException) -> Response:
        refusal = too_large(service.settings.limits)
        return answer(413, refusal.code, refusal.message)

    @app.errorhandler(HTTPException)
    def _(error: HTTPException) -> Response:
        code = error.name.lower().replace(" ", "_")
        return answer(error.code or 500, code, error.description or error.name)

    @app.errorhandler(Exception)
    def _(error: Exception) -> Response:
        app.logger.exception("request %s failed", g.request_id)
        return answer(
            500, "internal_error", "Something went wrong here. Send the request id when you report it."
        )
