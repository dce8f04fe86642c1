"""Size of what a deployment carries, gzipped: the environment of requirements.txt, our files, the model."""

import gzip
import io
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from bench.plan import ROOT, WORK, Bench
from bench.recipes import serving_python
from bench.stats import Goal

DEPLOYED = ("serving", "web", "gunicorn.conf.py", "Procfile", "requirements.txt")
NOT_OURS = {"pip", "setuptools"}  # come with the environment, not with the requirements
MOST_MB = 60.0


def run(bench: Bench) -> dict[str, Any]:
    python = serving_python(WORK)
    packages = next((python.parents[1] / "lib").glob("python3*/site-packages"))
    kept = [path for path in packages.iterdir() if path.name.split("-")[0] not in NOT_OURS]
    listed = subprocess.run(
        ["git", "ls-files", *DEPLOYED], cwd=ROOT, check=True, capture_output=True, text=True
    )
    files = [ROOT / name for name in listed.stdout.split("\n") if name]
    sizes = {
        "packages": _gzipped_mb(kept),
        "repository": _gzipped_mb(files),
        "model": _gzipped_mb([bench.model]),
    }
    goal = Goal("Environment of a deployment, gzipped", MOST_MB, sizes["packages"], "MB", False)
    return {"gzipped_mb": sizes, "goals": [goal.as_dict()]}


def _gzipped_mb(paths: list[Path]) -> float:
    """MB (10^6) of a tar archive of these, at gzip's usual level."""
    packed = _Counter()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6) as zipped,
        tarfile.open(fileobj=zipped, mode="w|") as archive,
    ):
        for path in paths:
            if path.exists():
                archive.add(path, path.name, filter=_without_bytecode)
    return round(packed.count / 1e6, 2)


def _without_bytecode(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in entry.name else entry


class _Counter(io.RawIOBase):
    """Takes bytes and remembers only how many."""

    count = 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self.count += len(content)
        return len(content)
