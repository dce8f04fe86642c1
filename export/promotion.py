"""Promotion and rollback: gate -> bundle, aliases and log, all or nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from export import bundle, history
from export.bundle import Bundle, Store
from export.gate import Check, passed
from export.history import Change
from export.versions import Registry, RegistryError, Version
from serving.whole import sha256_of


class Refused(Exception):
    """The gate, or what the caller left out, forbids the promotion; `checks` says what was found."""

    def __init__(self, message: str, checks: list[Check] | None = None) -> None:
        super().__init__(message)
        self.checks = checks or []


@dataclasses.dataclass(frozen=True)
class Desk:
    """Where changes are made: the served folder, the files kept by digest, the registry."""

    folder: Path
    store: Store
    registry: Registry

    def settle(self, change: Change) -> None:
        """Aliases after a change that the log already holds."""
        self.registry.settle(change, history.previous(history.read(self.folder)))

    def recover(self) -> None:
        """Finishes or takes back what a killed command left; says so on stderr."""
        done = bundle.recover(self.folder, self.settle)
        if done:
            print(done, file=sys.stderr)

    def served(self) -> Bundle:
        """What is in the folder now."""
        digest = bundle.digest_of(self.folder)
        version = self.registry.by_digest(digest) if digest else None
        if version is not None:
            return version.bundle
        logged = [change.after for change in history.read(self.folder) if change.after.sha256 == digest]
        return logged[-1] if logged else Bundle(version="shipped" if digest else "", sha256=digest)


def who() -> str:
    """The person that a change is logged under: PROMOTED_BY, else git's user, else the login name."""
    if os.environ.get("PROMOTED_BY"):
        return os.environ["PROMOTED_BY"]
    with contextlib.suppress(OSError):  # there may be no git
        git = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=False)
        if git.stdout.strip():
            return git.stdout.strip()
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return str(os.getuid())


def _change(action: Literal["promote", "rollback"], before: Bundle, after: Bundle) -> Change:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Change(id=uuid.uuid4().hex, at=at, who=who(), action=action, before=before, after=after)


def promote(
    desk: Desk, version: Version, checks: list[Check], judged: str, *, force: bool = False, reason: str = ""
) -> Change:
    """Puts the version in place if its checks allow it.

    `judged` is the digest of the champion that the checks compared with. Raises Refused (with the checks),
    also where the champion has changed since.
    """
    failed = [check.name for check in checks if not check.ok]
    if force and not reason.strip():
        raise Refused('FORCE needs a reason that the log will keep: REASON="..."', checks)
    if not passed(checks, forced=force):
        final = [check.name for check in checks if not check.ok and not check.forceable]
        way_out = (
            f"{', '.join(final)} cannot be forced"
            if final
            else 'FORCE=1 REASON="..." overrides and is logged'
        )
        raise Refused(f"Version {version.number} does not pass: {', '.join(failed)}. {way_out}.", checks)
    model = desk.registry.file(version)
    with bundle.locked(desk.folder):
        desk.recover()
        before = desk.served()
        if before.sha256 != judged:
            raise Refused("The champion changed while the gate ran; run it again.", checks)
        if before.sha256 == version.sha256:
            raise Refused(f"Version {version.number} is served already.", checks)
        change = dataclasses.replace(
            _change("promote", before, version.bundle),
            forced=bool(failed),
            reason=reason.strip(),
            gate=[dataclasses.asdict(check) for check in checks],
        )
        bundle.swap(desk.folder, desk.store, model, change, desk.settle)
    return change


def rollback(desk: Desk, reason: str = "") -> Change:
    """Restores what the last standing promotion replaced, byte for byte; raises Refused, RegistryError."""
    with bundle.locked(desk.folder):
        desk.recover()
        target = history.previous(history.read(desk.folder))
        if target is None:
            raise Refused("There is no earlier bundle to go back to; `make history` shows all changes.")
        model = _bytes_of(desk, target)
        change = dataclasses.replace(_change("rollback", desk.served(), target), reason=reason.strip())
        bundle.swap(desk.folder, desk.store, model, change, desk.settle)
    return change


def _bytes_of(desk: Desk, target: Bundle) -> bytes:
    model = desk.store.get(target.sha256)
    if model is not None:
        return model
    version = desk.registry.by_digest(target.sha256)
    if version is not None:
        return desk.registry.file(version)
    model = _from_git(desk.folder, target.sha256)
    if model is None:
        raise RegistryError(
            f"Version {target.version} (sha256 {target.sha256}) is in no store, registry or commit; "
            f"put it at {desk.store.folder / (target.sha256 + '.onnx')}"
        )
    return model


def _from_git(folder: Path, sha256: str) -> bytes | None:
    """The bundle as some commit has it: a clone has no store, but it has its history."""
    log = ["git", "log", "--format=%H", "--", bundle.MODEL]
    try:
        commits = subprocess.run(log, cwd=folder, capture_output=True, text=True, check=False).stdout.split()
    except OSError:
        return None
    for commit in commits:
        show = ["git", "show", f"{commit}:./{bundle.MODEL}"]
        model = subprocess.run(show, cwd=folder, capture_output=True, check=False).stdout
        if sha256_of(model) == sha256:
            return model
    return None
