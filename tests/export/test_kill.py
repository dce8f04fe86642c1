"""kill -9 at any step of a promotion leaves the old or the new version in place, and is tidied up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from export import bundle, history
from export.promotion import Desk, promote
from tests.export.conftest import RegisterTiny
from tests.export.killed_swap import NEW, NEW_BUNDLE, OLD, OLD_BUNDLE, settle

ROOT = Path(__file__).resolve().parents[2]


def make_folder(path: Path) -> Path:
    folder = path / "bundle"
    folder.mkdir(parents=True)
    (folder / bundle.MODEL).write_bytes(OLD)
    (folder / bundle.DIGEST).write_text(f"{OLD_BUNDLE.sha256}  {bundle.MODEL}\n")
    (path / "champion").write_text("1")
    return folder


def swap_killed_at(folder: Path, step: int) -> int:
    command = [sys.executable, "-m", "tests.export.killed_swap", str(folder), str(step)]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    ).returncode


def assert_servable(folder: Path) -> None:
    """What a server that starts now would see: a whole file whose digest is in the digest file."""
    content = (folder / bundle.MODEL).read_bytes()
    assert content in (OLD, NEW)
    assert bundle.digest_of(folder) in (folder / bundle.DIGEST).read_text()


def assert_whole(folder: Path) -> str:
    """All of one version: file, digest, alias and log agree, and nothing is left over."""
    new = (folder / bundle.MODEL).read_bytes() == NEW
    expected = NEW_BUNDLE if new else OLD_BUNDLE
    assert (folder / bundle.DIGEST).read_text() == f"{expected.sha256}  {bundle.MODEL}\n"
    assert (folder.parent / "champion").read_text() == expected.version
    assert len(history.read(folder)) == int(new)
    names = {bundle.MODEL, bundle.DIGEST, *([history.NAME] if new else [])}
    assert {path.name for path in folder.iterdir()} == names
    return expected.version


def test_killed_at_every_step_either_version_is_fully_in_place(tmp_path: Path) -> None:
    outcomes, step = [], 0
    while True:
        step += 1
        folder = make_folder(tmp_path / str(step))
        code = swap_killed_at(folder, step)
        assert_servable(folder)
        with bundle.locked(folder):  # the dead process' lock died with it
            bundle.recover(folder, settle(folder))
        outcomes.append(assert_whole(folder))
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert step > 20  # every file operation of the swap was a step
    assert outcomes == sorted(outcomes) and set(outcomes) == {
        "1",
        "2",
    }  # old up to one step, new from there on


def test_recovery_that_is_killed_is_recovered_from(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    step = next(
        step
        for step in range(1, 99)
        if swap_killed_at(folder, step) and bundle.digest_of(folder) == NEW_BUNDLE.sha256
    )
    assert step > 1

    def registry_is_down(change: history.Change) -> None:
        raise ConnectionError("registry is down")

    for _ in range(2):
        try:
            bundle.recover(folder, registry_is_down)
        except ConnectionError:
            assert_servable(folder)
    bundle.recover(folder, settle(folder))
    assert assert_whole(folder) == "2"


@pytest.mark.parametrize("move", [1, 2])
def test_killed_between_bundle_and_aliases_the_next_command_moves_them(
    move: int, desk: Desk, register: RegisterTiny, mlruns: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(desk, register(1.0), [], "")
    second = register(2.0)
    command = [
        sys.executable,
        "-m",
        "tests.export.killed_promotion",
        str(desk.folder),
        str(mlruns),
        str(move),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    assert code == -signal.SIGKILL
    assert bundle.digest_of(desk.folder) == second.sha256
    assert len(history.read(desk.folder)) == 2
    desk.recover()
    assert desk.registry.version("champion").number == "2"
    assert desk.registry.version("previous").number == "1"
    assert not (desk.folder / bundle.NOTE).exists() and len(history.read(desk.folder)) == 2
