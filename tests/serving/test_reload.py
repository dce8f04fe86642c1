"""A promoted model is served within seconds, no request is lost, and a bad one never takes its place."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from export import bundle
from export.bundle import Bundle, Store
from export.history import Change
from serving import reload, whole
from serving.models import ModelSlot
from serving.reload import Reloader, load_first, stamp_of
from serving.service import Service
from serving.settings import Settings
from serving.telemetry import METRICS, Board
from tests.serving.conftest import HOP, MANIFEST, WINDOW, encode, noise, write_model
from tests.serving.live import Live, running

PROMOTIONS = 200
# One clip, told apart by how many windows each version cuts it into: a mixed answer would show.
WINDOWS = {"1": 1 + (3 * WINDOW - WINDOW) // HOP, "2": 1 + (3 * WINDOW - WINDOW) // (2 * HOP)}


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("versions")
    hops = {"1": HOP, "2": 2 * HOP}
    return {
        version: write_model(
            folder / f"{version}.onnx", replace(MANIFEST, version=version, hop_samples=hop)
        ).read_bytes()
        for version, hop in hops.items()
    }


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def place(folder: Path, content: bytes, version: str) -> Path:
    """Promotes as the registry does, without one."""
    store = Store(folder.parent / "store")
    before = Bundle("", bundle.digest_of(folder))
    change = Change(
        f"{time.monotonic_ns()}", "", "tester", "promote", before, Bundle(version, sha256(content))
    )
    with bundle.locked(folder):
        bundle.swap(folder, store, content, change, lambda _: None)
    (folder / "history.jsonl").unlink()  # 200 changes: its own test reads it
    return folder / bundle.MODEL


def watched(path: Path) -> tuple[ModelSlot, Reloader, Board]:
    slot, board = ModelSlot(), Board(METRICS + reload.METRICS)
    found = stamp_of(path)
    load_first(slot, path, 1)
    return slot, Reloader(slot, path, 1, board, found), board


def served_version(slot: ModelSlot) -> str:
    assert slot.detector is not None
    return slot.detector.manifest.version


def test_a_promotion_is_noticed_at_the_next_look(tmp_path: Path, versions: dict[str, bytes]) -> None:
    slot, reloader, board = watched(place(tmp_path / "bundle", versions["1"], "1"))
    assert not reloader.look()
    place(tmp_path / "bundle", versions["2"], "2")
    assert reloader.look() and served_version(slot) == "2" and slot.ready
    assert not reloader.look()
    assert "bonafide_reloads_total 1.0" in board.render()


@pytest.mark.parametrize("damage", ["flipped byte", "cut", "gone", "other digest", "no digest in it"])
def test_a_bad_file_keeps_the_last_good_model_and_fails_readiness(
    damage: str, tmp_path: Path, versions: dict[str, bytes]
) -> None:
    path = place(tmp_path / "bundle", versions["1"], "1")
    slot, reloader, board = watched(path)
    content = bytearray(versions["2"])
    content[len(content) // 2] ^= 1
    if damage == "gone":
        path.unlink()
    elif damage == "other digest":
        path.write_bytes(versions["2"])
    elif damage == "no digest in it":
        (path.parent / bundle.DIGEST).write_text("oops\n")
    else:
        path.write_bytes(bytes(content) if damage == "flipped byte" else versions["2"][:-99])
    assert not reloader.look()
    assert served_version(slot) == "1" and not slot.ready and slot.problem
    assert "bonafide_reload_failures_total 1.0" in board.render()


def test_a_promotion_while_the_first_model_opens_is_noticed(
    tmp_path: Path, versions: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place(tmp_path / "bundle", versions["1"], "1")
    service = Service(Settings(model=path))

    def load_then_promote(slot: ModelSlot, path: Path, threads: int) -> None:
        load_first(slot, path, threads)
        place(tmp_path / "bundle", versions["2"], "2")

    monkeypatch.setattr("serving.service.load_first", load_then_promote)
    monkeypatch.setattr(Reloader, "start", lambda self: None)
    service.start()
    assert service.reloader is not None and service.reloader.look()
    assert served_version(service.models) == "2"
    service.stop()


def test_the_watch_goes_on_after_an_error_that_no_one_foresaw(
    tmp_path: Path, versions: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    slot, reloader, _ = watched(place(tmp_path / "bundle", versions["1"], "1"))
    monkeypatch.setattr(reload, "POLL_S", 0.01)
    looks = []

    def look() -> bool:
        looks.append(slot.problem)
        if len(looks) == 1:
            raise RuntimeError("unforeseen")
        reloader.stop()
        return False

    monkeypatch.setattr(reloader, "look", look)
    reloader._watch()
    assert len(looks) == 2 and "unforeseen" in looks[1]


def test_a_file_whose_digest_is_about_to_follow_is_no_failure(
    tmp_path: Path, versions: dict[str, bytes]
) -> None:
    path = place(tmp_path / "bundle", versions["1"], "1")
    slot, reloader, board = watched(path)
    path.write_bytes(versions["2"])
    digest = path.parent / bundle.DIGEST
    later = digest.read_text().replace(sha256(versions["1"]), sha256(versions["2"]))
    follows = threading.Timer(0.05, lambda: digest.write_text(later))
    follows.start()
    assert not reloader.look()
    follows.join()
    assert reloader.look() and served_version(slot) == "2"
    assert "bonafide_reload_failures_total 0.0" in board.render()


def test_a_bad_file_is_tried_again_ever_more_seldom_until_it_is_good(
    tmp_path: Path, versions: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place(tmp_path / "bundle", versions["1"], "1")
    slot, reloader, board = watched(path)
    path.write_bytes(b"rubbish")
    for second in range(60):
        monkeypatch.setattr(reload.time, "monotonic", lambda second=second: 1e6 + second)
        reloader.look()
    assert "bonafide_reload_failures_total 7.0" in board.render()
    path.unlink()
    place(tmp_path / "bundle", versions["1"], "1")
    assert not reloader.look()  # the same model: nothing to swap, and well again
    assert slot.ready


def test_looks_between_any_two_steps_of_a_promotion_never_fail(
    tmp_path: Path, versions: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    slot, reloader, board = watched(place(tmp_path / "bundle", versions["1"], "1"))
    write = whole.write_whole

    def look_then_write(path: Path, content: bytes) -> None:
        reloader.look()
        write(path, content)
        reloader.look()

    monkeypatch.setattr(whole, "write_whole", look_then_write)
    place(tmp_path / "bundle", versions["2"], "2")
    assert served_version(slot) == "2" and slot.ready
    assert "bonafide_reload_failures_total 0.0" in board.render()


def test_a_cold_start_with_a_bad_file_serves_the_shipped_model(
    tmp_path: Path, versions: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = place(tmp_path / "shipped", versions["1"], "1")
    for module in (reload, "serving.models"):
        monkeypatch.setattr(f"{getattr(module, '__name__', module)}.BUNDLE", shipped)
    asked = tmp_path / "asked.onnx"
    asked.write_bytes(b"rubbish")
    slot, reloader, _ = watched(asked)
    assert served_version(slot) == "1" and not slot.ready
    assert "asked.onnx" in slot.problem and "shipped model serves" in slot.problem
    asked.write_bytes(versions["2"])
    assert reloader.look() and served_version(slot) == "2" and slot.ready


def ask_until(stop: threading.Event, live: Live, clip: bytes, answers: list[tuple[str, str, int]]) -> None:
    while not stop.is_set():
        status, body = live.detect(clip)
        assert status == 200, body
        answers.append((body["model"]["version"], body["model"]["sha256"], len(body["windows"])))


def test_two_hundred_promotions_under_load_lose_no_request(
    tmp_path: Path, versions: dict[str, bytes]
) -> None:
    folder = tmp_path / "bundle"
    path = place(folder, versions["1"], "1")
    clip = encode(noise(3))
    answers: list[tuple[str, str, int]] = []
    failures: list[BaseException] = []
    stop = threading.Event()

    def client(live: Live) -> None:
        try:
            ask_until(stop, live, clip, answers)
        except BaseException as error:
            failures.append(error)

    with running(workers=2, BONAFIDE_MODEL=str(path)) as live:
        clients = [threading.Thread(target=client, args=(live,)) for _ in range(4)]
        for thread in clients:
            thread.start()
        for number in range(PROMOTIONS):
            version = "2" if number % 2 == 0 else "1"
            place(folder, versions[version], version)
            time.sleep(0.05)
        stop.set()
        for thread in clients:
            thread.join(60)
        place(folder, versions["2"], "2")
        live.wait_for("/metrics", 'version="2"', within_s=5)
        metrics = live.get("/metrics")[1]
    assert failures == []
    assert len(answers) > 100 and {version for version, _, _ in answers} == {"1", "2"}
    assert all(digest == sha256(versions[version]) for version, digest, _ in answers)
    assert all(windows == WINDOWS[version] for version, _, windows in answers)
    assert "bonafide_reload_failures_total 0.0" in metrics
