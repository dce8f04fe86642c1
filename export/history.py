"""The audit log: `history.jsonl` beside the bundle, one change a line, each sealing the one before.

It lies in the bundle's folder, under version control: a review of a new bundle sees who promoted it, over
which gate figures and why; a clone or a deployment has it; losing the tracking store does not lose it.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

from serving.whole import sha256_of, write_whole

NAME = "history.jsonl"


class HistoryError(Exception):
    """The log is damaged or was edited."""


@dataclasses.dataclass(frozen=True)
class Bundle:
    """One side of a change; an absent bundle has empty fields."""

    version: str = ""
    sha256: str = ""
    run_id: str = ""


@dataclasses.dataclass(frozen=True)
class Change:
    """One promotion or rollback."""

    id: str  # unique, so that finishing an interrupted change twice logs it once
    at: str  # ISO time, UTC
    who: str
    action: Literal["promote", "rollback"]
    before: Bundle
    after: Bundle
    forced: bool = False
    reason: str = ""
    gate: list[dict[str, Any]] = dataclasses.field(default_factory=list)  # Check as dict, in order

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Change:
        """Inverse of `dataclasses.asdict`; raises HistoryError on other keys."""
        try:
            sides = {"before": Bundle(**facts["before"]), "after": Bundle(**facts["after"])}
            return cls(**{**facts, **sides})
        except (KeyError, TypeError) as error:
            raise HistoryError(f"Not a change of the log: {error}") from error


def read(folder: Path) -> list[Change]:
    """All changes, oldest first; raises HistoryError where one was cut short, or one before the newest was
    altered or removed.
    """
    path = folder / NAME
    if not path.exists():
        return []
    changes, seal = [], ""
    for number, line in enumerate(_lines(path), 1):
        try:
            facts = json.loads(line)
            found = facts.pop("seal")
        except (ValueError, KeyError, AttributeError) as error:
            raise HistoryError(
                f"{path} line {number} is not a sealed change ({error}); restore the file"
            ) from error
        if found != seal:
            raise HistoryError(
                f"{path} line {number} does not follow the line before it; the log was edited, restore it"
            )
        changes.append(Change.from_dict(facts))
        seal = sha256_of(line.encode())
    return changes


def _lines(path: Path) -> list[str]:
    """A line feed alone ends a change: a reason may hold other separators."""
    text = path.read_text("utf-8").removesuffix("\n")
    return text.split("\n") if text else []


def append(folder: Path, change: Change) -> None:
    """Adds the change unless it is there already."""
    if any(entry.id == change.id for entry in read(folder)):
        return
    path = folder / NAME
    lines = _lines(path) if path.exists() else []
    facts = {**dataclasses.asdict(change), "seal": sha256_of(lines[-1].encode()) if lines else ""}
    lines.append(json.dumps(facts))
    write_whole(path, ("\n".join(lines) + "\n").encode())


def previous(changes: list[Change]) -> Bundle | None:
    """What a rollback restores: promotions stack up, a rollback takes the top one off."""
    stack: list[Bundle] = []
    for change in changes:
        if change.action == "promote":
            stack.append(change.before)
        elif stack:
            stack.pop()
    return stack[-1] if stack and stack[-1].sha256 else None
