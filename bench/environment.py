"""Throw-away Python environments, named by what is pinned in them: one of the same pins is used again."""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

READY = ".ready"


def make(folder: Path, name: str, requirements: Path) -> Path:
    """Path of the environment's python. Raises CalledProcessError where pip can't install the pins."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:10]
    place = folder / f"env-{name}-{digest}"
    python = place / "bin" / "python"
    if (place / READY).exists():
        return python
    print(f"installing {requirements.name} into {place} ...", file=sys.stderr, flush=True)
    venv.create(place, clear=True, with_pip=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "-r", str(requirements)], check=True, stdout=sys.stderr)
    (place / READY).touch()
    return python
