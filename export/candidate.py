"""A registered version with all that the gate judges it by: its torch side, the champion, the clips."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from export.bundle import MODEL
from export.gate import Gate
from export.promotion import Desk
from export.to_onnx import Checkpoint
from export.versions import Version
from serving.manifest import Manifest
from serving.whole import sha256_of
from training.datasets import Clip, DataError, read


@dataclasses.dataclass(frozen=True)
class Candidate:
    """What is judged: the file, its torch side, the champion's file if there is one, and the clips."""

    version: Version
    model: bytes
    path: Path  # the same file on disk
    manifest: Manifest
    checkpoint: Checkpoint | None
    champion: bytes | None
    champion_path: Path | None
    champion_sha256: str
    clips: list[Clip]  # empty where no data could be read
    no_clips: str  # why
    cache: Path


def candidate_of(
    desk: Desk, version: Version, path: Path, manifest: Manifest, data: Path | None, cache: Path, gate: Gate
) -> Candidate:
    """What the gate judges `version` by; `path` holds its file."""
    clips, no_clips = _clips(data or desk.registry.data_of_run(version.run_id), gate.split)
    served = desk.folder / MODEL
    content = served.read_bytes() if served.exists() else b""
    # Of these very bytes: another version may be promoted meanwhile.
    champion_sha256 = sha256_of(content) if content else ""
    champion = content if content and champion_sha256 != version.sha256 else None
    champion_path = None
    if champion is not None:
        champion_path = path.with_name("champion.onnx")  # a copy: the served one may be replaced meanwhile
        champion_path.write_bytes(champion)
    return Candidate(
        version, path.read_bytes(), path, manifest, desk.registry.checkpoint(version),
        champion, champion_path,
        champion_sha256, clips, no_clips, cache,
    )  # fmt: skip


def _clips(data: Path | None, split: str) -> tuple[list[Clip], str]:
    if data is None:
        return [], "no protocol named; give DATA=FILE"
    try:
        return read(data, split), ""
    except (DataError, OSError) as error:
        return [], str(error)
