"""`models:/NAME@ALIAS` or `models:/NAME/VERSION` in an MLflow registry -> version, stated sha256, file.

Speaks MLflow's REST interface, or reads its sqlite file, with the standard library alone: the mlflow package
is ten times the size of everything that serving loads.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import sqlite3
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "detector.onnx"
URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
ANSWER_S = 10.0  # for any one read
FETCH_S = 120.0  # for a whole file
MAX_BYTES = 256 * 2**20
SQLITE = "sqlite:///"


class RegistryError(Exception):
    """The registry can't be reached, or what it says can't be used."""


@dataclass(frozen=True)
class Found:
    """What the registry names now; `fetch` gets the file and raises RegistryError, OSError."""

    version: str
    sha256: str
    fetch: Callable[[], bytes]


@dataclass(frozen=True)
class Entry:
    """A model version as the registry keeps it."""

    version: str
    source: str
    run_id: str
    tags: dict[str, str]


def find(uri: str, tracking: str) -> Found:
    """Looks the model up. Raises RegistryError, OSError."""
    asked = URI.fullmatch(uri)
    if not asked:
        raise RegistryError(f"MODEL_URI is {uri!r}, expected models:/NAME@ALIAS or models:/NAME/VERSION.")
    if tracking.startswith(SQLITE):
        entry = _from_sqlite(
            Path(tracking.removeprefix(SQLITE)), asked["name"], asked["alias"], asked["version"]
        )
    elif tracking.startswith(("http://", "https://")):
        entry = _from_server(tracking.rstrip("/"), asked["name"], asked["alias"], asked["version"])
    else:
        raise RegistryError(f"MLFLOW_TRACKING_URI is {tracking!r}, expected http(s):// or sqlite:///.")
    sha256 = entry.tags.get("sha256", "")
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise RegistryError(f"Version {entry.version} states no sha256. Register it with `make export`.")
    return Found(entry.version, sha256, lambda: _fetch(tracking.rstrip("/"), entry))


def _from_server(base: str, name: str, alias: str | None, version: str | None) -> Entry:
    api = f"{base}/api/2.0/mlflow"
    if alias:
        found = _ask(f"{api}/registered-models/alias", name=name, alias=alias)
    else:
        found = _ask(f"{api}/model-versions/get", name=name, version=version or "")
    try:
        entry = found["model_version"]
        tags = {tag["key"]: tag["value"] for tag in entry.get("tags", [])}
        number = str(entry["version"])
    except (KeyError, TypeError, AttributeError) as error:
        raise RegistryError(f"The registry's answer is not MLflow's ({error!r}).") from error
    located = _ask(f"{api}/model-versions/get-download-uri", name=name, version=number)
    return Entry(number, str(located.get("artifact_uri", "")), str(entry.get("run_id", "")), tags)


def _ask(address: str, **query: str) -> dict[str, Any]:
    content = _read(f"{address}?{urllib.parse.urlencode(query)}", ANSWER_S, 2**20)
    try:
        answer = json.loads(content)
    except ValueError as error:
        raise RegistryError(f"The registry answered {content[:40]!r}, expected JSON.") from error
    if not isinstance(answer, dict):
        raise RegistryError(f"The registry answered {content[:40]!r}, expected an object.")
    return answer


def _read(address: str, within_s: float, most_bytes: int) -> bytes:
    """A GET whose time and size are bounded as a whole, not only read by read."""
    request = urllib.request.Request(address)
    for name, value in _credentials().items():
        request.add_unredirected_header(name, value)  # whoever the registry points at gets no token
    end = time.monotonic() + within_s
    parts, size = [], 0
    try:
        with urllib.request.urlopen(request, timeout=min(ANSWER_S, within_s)) as answer:
            while part := answer.read1(2**16):
                parts.append(part)
                size += len(part)
                if size > most_bytes:
                    raise RegistryError(f"The registry sent more than {most_bytes} bytes.")
                if time.monotonic() > end:
                    raise RegistryError(f"The registry took more than {within_s:g} s.")
    except urllib.error.HTTPError as error:
        said = error.read(300).decode("utf-8", "replace").strip()
        raise RegistryError(f"The registry answered {error.code}: {said}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise RegistryError(f"The registry can't be reached: {getattr(error, 'reason', error)}.") from error
    return b"".join(parts)


def _credentials() -> dict[str, str]:
    """As MLflow's own clients send them."""
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    if user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
        pair = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    return {}


def _fetch(base: str, entry: Entry) -> bytes:
    """The version's file: from the server's artefact store, a local folder, or its run."""
    source = urllib.parse.urlsplit(entry.source)
    if source.scheme == "mlflow-artifacts":
        path = urllib.parse.quote(f"{source.path.strip('/')}/{FILE}")
        return _read(f"{base}/api/2.0/mlflow-artifacts/artifacts/{path}", FETCH_S, MAX_BYTES)
    if source.scheme not in ("", "file"):
        raise RegistryError(f"The file lies at {entry.source}; only MLflow's own and local stores are read.")
    local = Path(urllib.parse.unquote(source.path)) / FILE
    if local.exists() or base.startswith(SQLITE):
        return local.read_bytes()
    inside = f"{Path(source.path).name}/{FILE}"
    query = urllib.parse.urlencode({"path": inside, "run_uuid": entry.run_id})
    return _read(f"{base}/get-artifact?{query}", FETCH_S, MAX_BYTES)


def _from_sqlite(path: Path, name: str, alias: str | None, version: str | None) -> Entry:
    """Two look-ups in tables that MLflow has kept since it has aliases."""
    if not path.exists():
        raise RegistryError(f"{path} does not exist; expected MLflow's sqlite file.")
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as database:
            if alias:
                row = database.execute(
                    "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?", (name, alias)
                ).fetchone()
                version = str(row[0]) if row else None
            row = database.execute(
                "SELECT source, run_id FROM model_versions WHERE name = ? AND version = ?", (name, version)
            ).fetchone()
            tags = database.execute(
                "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?", (name, version)
            ).fetchall()
    except sqlite3.Error as error:
        raise RegistryError(f"{path} can't be read as MLflow's registry: {error}.") from error
    if not row or version is None:
        raise RegistryError(f"The registry has no {name} {'@' + alias if alias else version}.")
    return Entry(version, str(row[0]), str(row[1] or ""), {str(key): str(value) for key, value in tags})
