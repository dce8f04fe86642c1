"""The challenger: its alias in the registry, and its file where serving's shadow looks."""

from __future__ import annotations

from pathlib import Path

from export.bundle import DIGEST, MODEL
from export.promotion import Desk
from export.versions import CHALLENGER
from serving.whole import replace_model

NONE = "none"


def challenge(desk: Desk, number: str, mlruns: Path) -> str:
    """Names the version, or none; gives a sentence. Raises RegistryError where there is no such version."""
    folder = mlruns / "challenger"
    if number == NONE:
        desk.registry.point(CHALLENGER, None)
        for name in (MODEL, DIGEST):
            (folder / name).unlink(missing_ok=True)
        return "No challenger."
    version = desk.registry.version(number)
    model = desk.registry.file(version)
    replace_model(folder / MODEL, model)
    desk.registry.point(CHALLENGER, version)
    return f"Version {version.number} is the challenger: {folder / MODEL}"
