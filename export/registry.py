"""Versions of the detector, from the command line.

    python -m export.registry list | compare | export RUN | shorten VERSION | gate VERSION | promote VERSION
                              challenge VERSION | rollback | history | place VERSION

Runs and versions lie in the tracking store (MLFLOW_TRACKING_URI, else mlruns/mlflow.db); what is served is
serving/bundle, and serving/light where LIGHT=1 asks for it. Every command first completes, or takes back, a
promotion that was killed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from export import bundle, history
from export.bundle import BundleError, Store
from export.challenger import NONE, challenge
from export.gate import Check, GateFileError
from export.history import Change, HistoryError
from export.measure import MeasureError
from export.promotion import Desk, Refused, promote, rollback
from export.to_onnx import ExportError
from export.versions import CHALLENGER, Registry, RegistryError, Version
from serving.errors import ModelError
from serving.models import LIGHT
from serving.whole import replace_model, write_whole
from training.datasets import DataError
from training.tracking import ROOT, tracking_uri

ERRORS = (
    *(BundleError, DataError, ExportError, GateFileError, HistoryError),
    *(MeasureError, ModelError, Refused, RegistryError),
)
# MLflow would ask a registry that is down for minutes.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
CHANGING = ("list", "export", "shorten", "promote", "challenge", "rollback")


def desk(chosen: argparse.Namespace) -> Desk:
    """The places that the options name, with anything half done put right."""
    store = Store(chosen.mlruns / "bundles")
    found = Desk(chosen.bundle, store, Registry(store))
    with bundle.locked(found.folder):
        found.recover()
    return found


def run_list(chosen: argparse.Namespace) -> int:
    """Versions as JSON or as lines."""
    found = desk(chosen)
    versions = found.registry.versions()
    served = bundle.digest_of(found.folder)
    if chosen.json:
        print(json.dumps([{**dataclasses.asdict(v), "served": v.sha256 == served} for v in versions]))
        return 0
    for version in versions:
        marks = " ".join([*version.aliases, *(["smoke"] if version.smoke else [])])
        print(
            f"{version.number:>4}  {version.sha256[:12]}  {version.size_bytes:>9}  {version.run_id}  {marks}"
        )
    if not versions:
        print("No version is registered; `make export RUN=...` registers a run.", file=sys.stderr)
    return 0


def run_export(chosen: argparse.Namespace) -> int:
    """Exports and registers a run."""
    from export.release import release

    cache = chosen.mlruns / "scores"
    version = release(desk(chosen).registry, chosen.run, chosen.data, cache, int8=chosen.int8)
    print(f"Version {version.number}: {version.size_bytes} bytes, {version.parameters} parameters")
    return 0


def run_shorten(chosen: argparse.Namespace) -> int:
    """Registers a version in integers again, its weights rounded for sums of 16 bits (export/sums.py)."""
    from export.release import shorten

    found = desk(chosen)
    version = found.registry.version(chosen.version)
    added = shorten(found.registry, version, chosen.data, chosen.mlruns / "scores")
    print(f"Version {added.number}: version {version.number} with short sums, {added.size_bytes} bytes")
    return 0


def _judge(found: Desk, number: str, chosen: argparse.Namespace) -> tuple[Version, list[Check], str]:
    from export.verify import judge

    version = found.registry.version(number)
    judged = bundle.digest_of(found.folder)
    checks = judge(found, version, chosen.data, chosen.mlruns / "scores")
    return version, checks, judged


def run_gate(chosen: argparse.Namespace) -> int:
    """The gate alone: 0 where the version would be promoted."""
    _, checks, _ = _judge(desk(chosen), chosen.version, chosen)
    _show(checks, chosen.json)
    return 0 if all(check.ok for check in checks) else 1


def run_promote(chosen: argparse.Namespace) -> int:
    """Gate, then bundle, aliases and log."""
    found = desk(chosen)
    version, checks, judged = _judge(found, chosen.version, chosen)
    _show(checks, chosen.json)
    _say(promote(found, version, checks, judged, force=chosen.force, reason=chosen.reason))
    if CHALLENGER in version.aliases:  # it serves now: beside itself it would only cost
        print(challenge(found, NONE, chosen.mlruns), file=sys.stderr)
    return 0


def run_challenge(chosen: argparse.Namespace) -> int:
    """Names the challenger, and puts its file where serving's shadow looks."""
    print(challenge(desk(chosen), chosen.version, chosen.mlruns))
    return 0


def run_rollback(chosen: argparse.Namespace) -> int:
    """Back to the bundle before."""
    _say(rollback(desk(chosen), chosen.reason))
    return 0


def run_place(chosen: argparse.Namespace) -> int:
    """Puts a version's file and digest into a folder beside what is served: no gate, no alias, no log."""
    if chosen.folder.resolve() == chosen.bundle.resolve():
        raise Refused(f"{chosen.folder} is what is served; promote does that, through the gate.")
    found = desk(chosen)
    version = found.registry.version(chosen.version)
    replace_model(chosen.folder / bundle.MODEL, found.registry.file(version))
    print(f"Version {version.number} ({version.sha256[:12]}) lies in {chosen.folder / bundle.MODEL}")
    return 0


def run_history(chosen: argparse.Namespace) -> int:
    """The log, oldest first."""
    changes = history.read(chosen.bundle)
    if chosen.json:
        print(json.dumps([dataclasses.asdict(change) for change in changes]))
        return 0
    for change in changes:
        forced = (
            f" FORCED over {', '.join(c['name'] for c in change.gate if not c['ok'])}"
            if change.forced
            else ""
        )
        reason = f" - {change.reason}" if change.reason else ""
        print(
            f"{change.at}  {change.who}  {change.action}  {change.before.version or 'nothing'} "
            f"-> {change.after.version} ({change.after.sha256[:12]}){forced}{reason}"
        )
    if not changes:
        print(f"No change is logged in {chosen.bundle / history.NAME}.", file=sys.stderr)
    return 0


def run_compare(chosen: argparse.Namespace) -> int:
    """Table on stdout, page with plots in a file."""
    from export.compare import compare

    compare(desk(chosen), chosen.data, chosen.mlruns, chosen.out, chosen.versions)
    return 0


def _show(checks: list[Check], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"checks": [dataclasses.asdict(check) for check in checks]}))
    else:
        print("\n".join(str(check) for check in checks))


def _say(change: Change) -> None:
    print(
        f"{change.action}: {change.before.version or 'nothing'} -> {change.after.version}",
        file=sys.stderr,
    )


def parser() -> argparse.ArgumentParser:
    """All commands and options."""
    top = argparse.ArgumentParser(prog="python -m export.registry", description=__doc__.splitlines()[0])
    places = argparse.ArgumentParser(add_help=False)
    places.add_argument(
        "--bundle", type=Path, default=ROOT / "serving" / "bundle", help="folder that is served"
    )
    places.add_argument(
        "--mlruns", type=Path, default=ROOT / "mlruns", help="folder for kept files and scores"
    )
    places.add_argument("--json", action="store_true", help="answer as JSON")
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--data", type=Path, default=os.environ.get("DATA") or None,
        help="protocol or corpus folder to measure on; default: DATA, else the data of the version's run",
    )  # fmt: skip
    commands = top.add_subparsers(dest="command", required=True)

    def add(name: str, run: Any, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, help=run.__doc__, description=run.__doc__, parents=[places, *parents]
        )
        command.set_defaults(action=run)
        return command

    add("list", run_list)
    compared = add("compare", run_compare, data)
    compared.add_argument("versions", nargs="*", help="numbers or aliases; default: all")
    compared.add_argument("--out", type=Path, default=ROOT / "mlruns" / "compare.html", help="page to write")
    exported = add("export", run_export, data)
    exported.add_argument("run", help="MLflow run id")
    exported.add_argument("--int8", action="store_true", help="the encoder's products in 8-bit integers")
    add("shorten", run_shorten, data).add_argument("version", help="number or alias")
    add("gate", run_gate, data).add_argument("version", help="number or alias")
    promoted = add("promote", run_promote, data)
    promoted.add_argument("version", help="number or alias")
    promoted.add_argument("--force", action="store_true", help="promote in spite of failed checks")
    promoted.add_argument("--reason", default="", help="kept in the log; required with --force")
    add("challenge", run_challenge).add_argument("version", help="number or alias, or `none`")
    add("rollback", run_rollback).add_argument("--reason", default="", help="kept in the log")
    add("history", run_history)
    placed = add("place", run_place)
    placed.add_argument("version", help="number or alias")
    placed.add_argument("--folder", type=Path, default=LIGHT.parent, help="default: %(default)s")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """1 with a message where a command is refused."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    from mlflow.exceptions import MlflowException

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    chosen = parser().parse_args(arguments)
    try:
        code = int(chosen.action(chosen))
        if chosen.command in CHANGING:
            snapshot(chosen)
        return code
    except ERRORS as error:
        print(error, file=sys.stderr)
        return 1
    except MlflowException as error:
        print(f"The registry at {tracking_uri()} can't be used: {error.message}", file=sys.stderr)
        if (chosen.bundle / bundle.NOTE).exists():
            print("The bundle is in place; the next command moves the aliases.", file=sys.stderr)
        return 1


def snapshot(chosen: argparse.Namespace) -> None:
    """Leaves the list of versions where serving's models page reads it."""
    found = desk(chosen)
    versions = [dataclasses.asdict(version) for version in found.registry.versions()]
    at = datetime.now(UTC).isoformat(timespec="seconds")
    facts = {"at": at, "served": bundle.digest_of(found.folder), "versions": versions}
    write_whole(chosen.mlruns / "models.json", json.dumps(facts).encode())


if __name__ == "__main__":
    sys.exit(main())
