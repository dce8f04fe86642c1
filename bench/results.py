"""Results of the parts as JSON files, with the machine, the model and the command that made them."""

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from serving.whole import write_whole


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    names = [
        line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")
    ]
    flags = next((line for line in _lines("/proc/cpuinfo") if line.startswith("flags")), "").split()
    known = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8") if flag in flags]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "instructions": known,
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
    }


def write(out: Path, name: str, found: dict[str, Any], model: Path, arguments: Sequence[str]) -> None:
    content = model.read_bytes()
    facts = {
        "part": name,
        "command": " ".join(["python -m bench", *(Path(a).name if "/" in a else a for a in arguments)]),
        "machine": machine(),
        "model": {
            "name": model.name,
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_mb": round(len(content) / 1e6, 2),
        },
    }
    write_whole(out / f"{name}.json", (json.dumps({**facts, **found}, indent=1) + "\n").encode())


def read(out: Path) -> dict[str, dict[str, Any]]:
    """Part -> its last result."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(out.glob("*.json"))}


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
