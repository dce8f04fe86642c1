"""Recordings up to five hours to a confidence map: times real time, peak memory, growth; clips over HTTP."""

import json
import subprocess
import sys
from typing import Any

from bench import client
from bench.plan import ROOT, Bench
from bench.recipes import OURS
from bench.stats import Goal, percentiles_ms

THREADS = 2  # both cores on one recording
HOUR_S = 3600
FASTEST, MEMORY_MB, LINEAR, FLAT = 600.0, 200.0, 1.15, 1.1


def run(bench: Bench) -> dict[str, Any]:
    lengths = bench.plan.long_s
    runs = {str(seconds): _score(bench, "wav", seconds, THREADS) for seconds in lengths}
    judged = HOUR_S if HOUR_S in lengths else lengths[-1]
    result = {
        "two_threads": runs,
        "one_thread": {str(judged): _score(bench, "wav", judged, 1)},
        "flac": {str(judged): _score(bench, "flac", judged, THREADS)},
        "http_ms": {str(seconds): _over_http(bench, seconds) for seconds in bench.plan.lengths_s},
    }
    for seconds in lengths:
        if seconds > HOUR_S:  # half a gigabyte that is quickly made again
            bench.clips.path("wav", seconds).unlink()
    return {**result, "goals": _goals(runs, judged, lengths)}


def _goals(runs: dict[str, Any], judged: int, lengths: tuple[int, ...]) -> list[dict[str, Any]]:
    at, first, last = runs[str(judged)], runs[str(lengths[-2])], runs[str(lengths[-1])]
    per_s = [found["cpu_s"] / found["audio_s"] for found in (first, last)]
    speed, growth = round(at["audio_s"] / at["seconds"], 1), round(per_s[1] / per_s[0], 3)
    swelling = round(last["peak_rss_mb"] / first["peak_rss_mb"], 3)
    pair = f"{lengths[-1]} s over {lengths[-2]} s"
    goals = [
        Goal(f"Real-time factor of {judged} s on 2 cores", FASTEST, speed, "x", True),
        Goal(f"Peak resident memory of {judged} s", MEMORY_MB, at["peak_rss_mb"], "MB", False),
        Goal(f"CPU a second of audio, {pair}", LINEAR, growth, "x", False),
        Goal(f"Peak memory, {pair}", FLAT, swelling, "x", False),
    ]
    return [goal.as_dict() for goal in goals]


def _score(bench: Bench, container: str, seconds: int, threads: int) -> dict[str, Any]:
    clip = bench.clips.path(container, seconds)
    command = [sys.executable, "-m", "bench.longrun", str(bench.model), str(clip), str(threads)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"Scoring {clip.name} failed: {done.stderr.strip()[-400:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return {name: round(value, 3) for name, value in found.items()}


def _over_http(bench: Bench, seconds: int) -> dict[str, float]:
    count = 3 if seconds > 60 else 8
    server = bench.fleet.get(OURS)
    return percentiles_ms(
        client.in_turn(server, bench.clips.content("flac", seconds), "flac", count).accepted_s
    )
