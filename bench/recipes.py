"""Name -> how that server is started: ours as deployed, the seed's app, and peers over the same ONNX file.

Every server has two workers with one inference thread each.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile

from bench import environment
from bench.clips import TYPES
from bench.fleet import Recipe
from serving.session import precision

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).resolve().parent / "peers"
OURS = "bonafide"
WORKERS = "2"


def raw(clip: bytes, container: str) -> tuple[bytes, dict[str, str]]:
    return clip, {"Content-Type": TYPES[container]}


def form(clip: bytes, container: str) -> tuple[bytes, dict[str, str]]:
    """LitServe takes JSON or forms; the form's field has the name of its argument."""
    head = f'--cut\r\nContent-Disposition: form-data; name="request"; filename="clip.{container}"\r\n\r\n'
    return head.encode() + clip + b"\r\n--cut--\r\n", {"Content-Type": "multipart/form-data; boundary=cut"}


def tensors(clip: bytes, _: str) -> tuple[bytes, dict[str, str]]:
    """What `mlflow models serve` takes: the samples as JSON numbers, decoded by the client."""
    samples = soundfile.read(BytesIO(clip), dtype="float32")[0]
    columns = {"inputs": {"waveform": [np.round(samples, 5).astype(float).tolist()]}}
    return json.dumps(columns).encode(), {"Content-Type": "application/json"}


def all_recipes(model: Path, work: Path) -> dict[str, Callable[[], Recipe]]:
    """Recipes that make their environment when they are asked for."""
    model = model.resolve()
    return {
        OURS: partial(_ours, model, work),
        "empty": partial(_empty, work),
        "seed": partial(_seed, work),
        **{name: partial(_peer, name, model, work) for name in ("fastapi", "litserve", "bentoml", "mlflow")},
    }


def serving_python(work: Path) -> Path:
    """An environment of the root requirements.txt alone, as a deployment has it."""
    return environment.make(work, "serving", ROOT / "requirements.txt")


def _ours(model: Path, work: Path) -> Recipe:
    python = str(serving_python(work))
    variables = {"BONAFIDE_MODEL": str(model), "WEB_CONCURRENCY": WORKERS, "MALLOC_ARENA_MAX": "2"}
    return Recipe(lambda _: [python, "-m", "gunicorn"], ROOT, variables, "/api/detect", "/readyz", raw)


def _empty(work: Path) -> Recipe:
    """Flask and gunicorn with nothing in them, configured as ours where it matters for a start."""
    command = [str(serving_python(work)), "-m", "gunicorn", "--worker-class", "gthread"]
    command += ["--threads", "48", "--preload", "empty_app:app"]
    return Recipe(lambda port: [*command, "--bind", f"127.0.0.1:{port}"], PEERS, {}, "/", "/", raw)


def _seed(work: Path) -> Recipe:
    del work  # needs torch, librosa and matplotlib: the environment that runs the bench
    command = [sys.executable, "-m", "gunicorn", "--workers", WORKERS, "bench.seed_app:app"]
    variables = {"GUNICORN_CMD_ARGS": "--config /dev/null --timeout 120"}
    return Recipe(lambda port: [*command, "--bind", f"127.0.0.1:{port}"], ROOT, variables, "/", "/", raw)


def _peer(name: str, model: Path, work: Path) -> Recipe:
    python = environment.make(work, "peers", PEERS / "requirements.txt")
    scripts = python.parent
    variables = {"BENCH_MODEL": str(model), "WORKERS": WORKERS, "BENTOML_DO_NOT_TRACK": "True"}
    variables |= {"BENCH_PRECISION": json.dumps(precision(model.read_bytes()))}  # the same scores as ours
    variables |= {"PATH": f"{scripts}:/usr/local/bin:/usr/bin:/bin", "MALLOC_ARENA_MAX": "2"}
    if name == "fastapi":
        command = [
            str(scripts / "uvicorn"),
            "fastapi_app:app",
            "--workers",
            WORKERS,
            "--log-level",
            "warning",
        ]
        return Recipe(
            lambda port: [*command, "--port", str(port)], PEERS, variables, "/detect", "/ready", raw
        )
    if name == "litserve":
        command = [str(python), "litserve_app.py"]
        return Recipe(lambda port: [*command, str(port)], PEERS, variables, "/predict", "/health", form)
    if name == "bentoml":
        command = [str(scripts / "bentoml"), "serve", "bento_app:Detect", "--host", "127.0.0.1"]
        return Recipe(
            lambda port: [*command, "--port", str(port)], PEERS, variables, "/detect", "/readyz", raw
        )
    return _mlflow(python, model, work, variables)


def _mlflow(python: Path, model: Path, work: Path, variables: dict[str, str]) -> Recipe:
    saved = work / f"mlflow-{model.stem}-{model.stat().st_mtime_ns}"
    if not saved.exists():
        command = [str(python), str(PEERS / "mlflow_save.py"), str(model), str(saved)]
        subprocess.run(command, env=os.environ | variables, check=True)
    command = [str(python.parent / "mlflow"), "models", "serve", "--model-uri", str(saved)]
    command += ["--env-manager", "local", "--workers", WORKERS, "--host", "127.0.0.1"]
    return Recipe(
        lambda port: [*command, "--port", str(port)], work, variables, "/invocations", "/ping", tensors
    )
