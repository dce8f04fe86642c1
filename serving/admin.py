"""The models page and what it asks: versions, history, shadow and drift; gate, promotion and rollback.

Reading is open. Changing needs the token of BONAFIDE_ADMIN_TOKEN as a bearer token, which no other site can
make a browser send, and is off while none is set. The registry needs MLflow and torch, so it is asked in a
process of the full environment (BONAFIDE_REGISTRY_PYTHON, else .venv); without one the page says so.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, jsonify, render_template, request
from werkzeug.exceptions import BadRequest, Conflict, Forbidden, NotFound, ServiceUnavailable, Unauthorized

from serving import jobs, shadow
from serving.jobs import DONE, Busy, Job
from serving.models import LIGHT
from serving.pages import add_security_headers
from serving.service import Service

admin = Blueprint("admin", __name__)
LEAST_TOKEN = 16  # characters; shorter ones can be guessed
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


def service() -> Service:
    found: Service = current_app.extensions["bonafide"]
    return found


@admin.get("/models")
def page() -> Response:
    return add_security_headers(Response(render_template("models.html")))


@admin.get("/models/compare")
def comparison() -> Response:
    """The page that `make compare` wrote."""
    path = service().settings.mlruns / "compare.html"
    if not path.exists():
        raise NotFound("No comparison was made yet. Run `make compare`.")
    response = Response(path.read_bytes(), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = PAGE_POLICY  # no script, no address: only its own styles
    return response


@admin.get("/api/models")
def overview() -> Response:
    here = service()
    detector = here.models.detector
    snapshot = _json(here.settings.mlruns / "models.json")
    compared = _json(here.settings.mlruns / "compare.json")
    job = jobs.running(_jobs_folder())
    return jsonify(
        {
            "served": None if detector is None else {**asdict(detector.manifest), "sha256": detector.sha256},
            "problem": here.models.problem,
            "versions": snapshot.get("versions", []),
            "as_of": snapshot.get("at"),
            "compared": compared,
            "history": _history(here.settings.model.parent),
            "shadow": shadow.summary(here.board, here.shadow, here.settings.shadow_share),
            "drift": here.drift.summary(detector.manifest if detector else None),
            "can_change": not _why_not(),
            "why_not": _why_not(),
            "job": None if job is None else asdict(job),
        }
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _history(folder: Path) -> list[dict[str, Any]]:
    """The audit log, newest first; `make history` checks its seals."""
    try:
        lines = (folder / "history.jsonl").read_text("utf-8").split("\n")
        return [json.loads(line) for line in reversed(lines) if line]
    except (OSError, ValueError):
        return []


def _token() -> str:
    """What a change has to bring, empty where none is taken."""
    token = service().settings.admin_token
    return token if len(token) >= LEAST_TOKEN and not _light() else ""


def _python() -> Path | None:
    path = service().settings.registry_python
    return path if path.exists() else None


def _light() -> bool:
    return service().settings.model.resolve() == LIGHT


def _why_not() -> str:
    if _light():
        return "Changes are off here: the light version is served. Promote where the shipped one is."
    if not service().settings.admin_token:
        return "Changes are off here: BONAFIDE_ADMIN_TOKEN is not set."
    if not _token():
        return f"Changes are off here: BONAFIDE_ADMIN_TOKEN is shorter than {LEAST_TOKEN} characters."
    if _python() is None:
        return (
            "This server has no registry: BONAFIDE_REGISTRY_PYTHON names no interpreter. Promote with `make`."
        )
    return ""


def _authorise() -> None:
    """Raises Forbidden, Unauthorized, ServiceUnavailable. Nothing is read of a request before this."""
    token = _token()
    if not token:
        raise Forbidden(_why_not())
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not hmac.compare_digest(given.encode(), token.encode()):
        raise Unauthorized("The admin token is missing or wrong.")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise Forbidden("The request comes from another site.")
    if _python() is None:
        raise ServiceUnavailable(_why_not())


def _body() -> dict[str, Any]:
    found = request.get_json(silent=True)
    if not isinstance(found, dict):
        raise BadRequest("Send a JSON object.")
    return found


@admin.post("/api/models/<version>/gate")
def gate(version: str) -> tuple[Response, int]:
    _authorise()
    return _start("gate", version, ["gate", _number(version), "--json"])


@admin.post("/api/models/<version>/promote")
def promote(version: str) -> tuple[Response, int]:
    """Needs `gate`, the id of a finished gate of this version: whoever promotes has seen what it found."""
    _authorise()
    body = _body()
    seen = jobs.read(_jobs_folder(), str(body.get("gate", "")))
    if seen is None or (seen.kind, seen.version, seen.state) != ("gate", version, DONE):
        raise Conflict("Run the gate on this version first, and look at what it finds.")
    force, reason = bool(body.get("force", False)), str(body.get("reason", "")).strip()
    if seen.code != 0 and not (force and reason):
        raise Conflict(
            "The gate refused this version. To promote it all the same, force it and give a reason."
        )
    words = ["promote", _number(version), "--json", f"--reason={reason}", *(["--force"] if force else [])]
    return _start("promote", version, words)


@admin.post("/api/models/rollback")
def rollback() -> tuple[Response, int]:
    _authorise()
    return _start("rollback", "", ["rollback", f"--reason={str(_body().get('reason', '')).strip()}"])


@admin.post("/api/models/refresh")
def refresh() -> tuple[Response, int]:
    _authorise()
    return _start("list", "", ["list", "--json"])


@admin.get("/api/models/jobs/<identity>")
def job(identity: str) -> Response:
    _authorise()
    found = jobs.read(_jobs_folder(), identity)
    if found is None:
        raise NotFound("There is no such job.")
    return jsonify(_shown(found))


def _shown(found: Job) -> dict[str, Any]:
    """The job with the gate's checks, if its output has them."""
    checks: list[Any] = []
    for line in found.out.splitlines():
        if line.startswith('{"checks"'):
            checks = json.loads(line)["checks"]
    return {**asdict(found), "checks": checks, "out": "", "err": found.err[-2000:]}


def _number(version: str) -> str:
    if not version.isdigit():
        raise BadRequest(f"Version is {version!r}; expected a number.")
    return version


def _jobs_folder() -> Path:
    return service().settings.mlruns / "jobs"


def _start(kind: str, version: str, words: list[str]) -> tuple[Response, int]:
    settings = service().settings
    places = ["--bundle", str(settings.model.parent), "--mlruns", str(settings.mlruns)]
    command = [str(_python()), "-m", "export.registry", words[0], *places, *words[1:]]
    try:
        job = jobs.start(_jobs_folder(), kind, version, command, {"PROMOTED_BY": "models page"})
    except Busy as error:
        raise Conflict(str(error)) from None
    return jsonify(asdict(job)), 202
