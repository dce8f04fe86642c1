"""The web pages: templates and static files of web/ -> a Flask blueprint named `pages`.

Mounted by `create_app`. Pages carry their own strict Content-Security-Policy: scripts, styles and workers
come from this origin only, nothing inline, so a hostile file name or report can never become code.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request

WEB = Path(__file__).resolve().parent.parent / "web"
OPENAPI = WEB / "static" / "openapi.json"
SECURITY_HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob:",
            "media-src 'self' blob:",
            "connect-src 'self'",
            "worker-src 'self'",
            "form-action 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

# Not /static: Flask's own static route, which an application has by default, would answer first.
pages = Blueprint(
    "pages",
    __name__,
    template_folder=str(WEB / "templates"),
    static_folder=str(WEB / "static"),
    static_url_path="/assets",
)


@pages.after_request
def add_security_headers(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers[name] = value
    return response


@pages.get("/")
def index() -> str:
    return render_template("index.html")


@pages.get("/api")
def api() -> str:
    """The readable form of the OpenAPI document, with examples for the address the reader came by."""
    return render_template("api.html", spec=openapi(), origin=request.host_url.rstrip("/"))


@pages.get("/openapi.json")
def openapi_document() -> Response:
    return jsonify(openapi())


@cache
def openapi() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(OPENAPI.read_text(encoding="utf-8"))
    return document
