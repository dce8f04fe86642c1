"""Serving needs none of the training environment."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCKED = ("torch", "mlflow", "onnx", "librosa", "training", "export")

PROGRAM = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ImportError(f"{{name}} is not part of serving")
sys.meta_path.insert(0, Blocked())
import {module}
"""


@pytest.mark.parametrize("module", ["serving.app", "serving.score", "serving.decoder"])
def test_serving_imports_without_the_training_environment(module: str) -> None:
    program = PROGRAM.format(blocked=set(BLOCKED), module=module)
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)


@pytest.mark.parametrize("module", ["serving.audio", "serving.detector", "serving.score"])
def test_the_core_needs_no_flask(module: str) -> None:
    program = PROGRAM.format(blocked={"flask", "werkzeug", "gunicorn"}, module=module)
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)


def test_the_requirements_are_what_serving_imports() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    names = {line.partition("==")[0] for line in lines if line and not line.startswith("#")}
    assert names == {"flask", "gunicorn", "numpy", "onnxruntime", "soundfile", "soxr", "tqdm"}
    assert all("==" in line for line in lines if line and not line.startswith("#"))
