"""Where the CPU of one request goes: each stage of serving's own code alone, and HTTP as what is left."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import client, processes
from bench.plan import Bench
from bench.recipes import OURS
from bench.stats import Goal, spread
from serving.activity import LevelMeter
from serving.audio import stream
from serving.decoder import DecoderProcess
from serving.detection import detect
from serving.detector import INPUT, Detector, rows_of
from serving.quality import QualityMeter
from serving.uploads import digest
from serving.verdict import decide

NETWORK, AGAIN = "network", "network, parts heard again"
RATE_44 = 44_100
REQUESTS = 30


def run(bench: Bench) -> dict[str, Any]:
    detector = Detector.open(bench.model)
    result: dict[str, Any] = {"cpu_ms": {}}
    for container in bench.plan.containers:
        result["cpu_ms"][container] = _stages(bench, detector, bench.clips.path(container))
    resampled = _stages(bench, detector, bench.clips.path("wav", 10, RATE_44))
    resampled["resample"] = max(0.0, resampled["decode"] - result["cpu_ms"]["wav"]["decode"])
    resampled["decode"] = result["cpu_ms"]["wav"]["decode"]
    result["cpu_ms"]["wav 44.1 kHz"] = resampled
    result["goals"] = [_goal(name, stages) for name, stages in result["cpu_ms"].items()]
    return result


def _goal(name: str, stages: dict[str, float]) -> dict[str, Any]:
    inside = stages[NETWORK] + stages[AGAIN]
    share = round((sum(stages.values()) - inside) / inside, 3)
    return Goal(
        f"Everything around the network over the network, 10 s {name}", 1.0, share, "x", False
    ).as_dict()


def _stages(bench: Bench, detector: Detector, path: Path) -> dict[str, float]:
    """Median CPU ms of each stage."""
    blocks = list(_blocks(path))
    manifest = detector.manifest
    scores = detector.score(blocks)
    inputs = [rows_of(call, manifest.window_samples) for call in detector._calls(blocks)]

    def cut() -> None:
        list(detector._calls(blocks))

    def network() -> None:
        for rows in inputs:
            detector._session.run(detector._outputs, {INPUT: rows})

    def scored(with_sections: bool) -> float:
        return _cpu_ms(lambda: detector.score(blocks, with_sections=with_sections), bench.plan.repeats)

    def judge() -> None:
        meter, levels = QualityMeter(), LevelMeter()
        for block in blocks:
            meter.add(block)
            levels.add(block)
        meter.result(levels.activity().share)

    with _decoder() as decoder:
        with decoder.open(path) as clip:
            detection = detect(clip, detector)
        pid = decoder._process.pid if decoder._process else 0
        whole = _cpu_ms(lambda: _drain(decoder, path), bench.plan.repeats, pid)
    decode = _cpu_ms(lambda: list(_blocks(path)), bench.plan.repeats)
    stages = {
        "decode": decode,
        "resample": 0.0,
        "pass to and from the decoder process": max(0.0, whole - decode),
        "windowing": _cpu_ms(cut, bench.plan.repeats),
        "quality notes": _cpu_ms(judge, bench.plan.repeats),
        NETWORK: _cpu_ms(network, bench.plan.repeats),
        AGAIN: max(0.0, scored(True) - scored(False)),
        "verdict": _cpu_ms(lambda: decide(scores, manifest), bench.plan.repeats),
        "JSON": _cpu_ms(lambda: json.dumps(detection.to_dict(), separators=(",", ":")), bench.plan.repeats),
        "sha256 of the clip": _cpu_ms(lambda: _hash(path), bench.plan.repeats),
    }
    stages["HTTP and the rest"] = max(0.0, _over_http(bench, path) - sum(stages.values()))
    return {stage: round(ms, 3) for stage, ms in stages.items()}


def _blocks(path: Path) -> Iterator[Any]:
    with stream(path) as clip:
        yield from clip


def _drain(decoder: DecoderProcess, path: Path) -> None:
    with decoder.open(path) as clip:
        for _ in clip:
            pass


def _hash(path: Path) -> None:
    with path.open("rb") as file:
        digest(file)


@contextmanager
def _decoder() -> Iterator[DecoderProcess]:
    decoder = DecoderProcess()
    try:
        decoder.start()
        yield decoder
    finally:
        decoder.stop()


def _cpu_ms(work: Callable[[], Any], repeats: int, other_pid: int = 0) -> float:
    """Median over repeats of the mean CPU time of one call; of another process as well, if there is one."""
    work()
    begun = time.perf_counter()
    work()
    inner = max(1, min(200, round(0.15 / max(1e-6, time.perf_counter() - begun))))
    found = []
    for _ in range(repeats):
        before = time.process_time() + (processes.cpu_s(other_pid) if other_pid else 0)
        for _ in range(inner):
            work()
        after = time.process_time() + (processes.cpu_s(other_pid) if other_pid else 0)
        found.append(1000 * (after - before) / inner)
    return spread(found).median


def _over_http(bench: Bench, path: Path) -> float:
    """CPU ms of the service a request."""
    server, content, container = bench.fleet.get(OURS), path.read_bytes(), path.suffix[1:]
    count = REQUESTS if bench.plan.repeats > 2 else 5
    client.in_turn(server, content, container, 4)
    found = []
    for _ in range(bench.plan.pairs):
        before = processes.cpu_s(server.pid)
        client.in_turn(server, content, container, count)
        found.append(1000 * (processes.cpu_s(server.pid) - before) / count)
    return spread(found).median
