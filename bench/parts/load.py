"""Throughput at 1 to 32 connections, latency at 70 % load, and past capacity; 2 clips at a time each."""

from typing import Any

from bench import client, processes
from bench.plan import Bench
from bench.recipes import OURS
from bench.stats import Goal, percentiles_ms, ratios, spread

SHARE = 0.7  # of the highest throughput
PAST = 2.0  # times the highest throughput
MEMORY_MB = 350.0


def run(bench: Bench) -> dict[str, Any]:
    peers = tuple(name for name in bench.plan.peers if name not in ("seed", "mlflow"))
    servers = {server.name: server for server in bench.fleet.started((OURS, *peers))}
    clip, plan = bench.clips.content("wav"), bench.plan
    curves: dict[str, dict[int, float]] = {name: {} for name in servers}
    for connections in plan.connections:
        for name, server in servers.items():
            tally = client.closed_loop(server, clip, connections, plan.load_s)
            curves[name][connections] = round(tally.rate(), 2)
    most = plan.connections[-1]
    turns: dict[str, list[float]] = {name: [] for name in servers}
    for _ in range(plan.pairs):
        for name, server in servers.items():
            turns[name].append(client.closed_loop(server, clip, most, 1.5 * plan.load_s).rate())
    ours = servers[OURS]
    capacity = spread(turns[OURS]).median
    result = {
        "connections": curves,
        "at_most": {name: spread(values).as_dict() for name, values in turns.items()},
        "capacity_per_s": capacity,
        "pss_mb": {name: round(processes.pss_mb(server.pid), 1) for name, server in servers.items()},
        "part_load": _part_load(ours, clip, capacity, plan.load_s),
        "overload": _overload(ours, clip, capacity, plan.load_s),
        "missing": dict(bench.fleet.problems),
    }
    return {**result, "goals": _goals(result, turns)}


def _part_load(server: Any, clip: bytes, capacity: float, seconds: float) -> dict[str, Any]:
    tally = client.open_loop(server, clip, SHARE * capacity, 5 * seconds)
    alone = client.in_turn(server, clip, "wav", 10)
    return {
        "rate_per_s": round(SHARE * capacity, 2),
        "latency_ms": percentiles_ms(tally.accepted_s),
        "alone_ms": percentiles_ms(alone.accepted_s),
        "refused": len(tally.refused_s),
        "failed": tally.failed,
    }


def _overload(server: Any, clip: bytes, capacity: float, seconds: float) -> dict[str, Any]:
    tally = client.open_loop(server, clip, PAST * capacity, 3 * seconds)
    refused = len(tally.refused_s)
    return {
        "rate_per_s": round(PAST * capacity, 2),
        "accepted": len(tally.accepted_s),
        "accepted_per_s": round(tally.rate(), 2),
        "accepted_ms": percentiles_ms(tally.accepted_s),
        "refused": refused,
        "refused_ms": percentiles_ms(tally.refused_s),
        "share_with_retry_after": round(tally.with_retry_after / refused, 4) if refused else None,
        "failed": tally.failed,
    }


def _goals(result: dict[str, Any], turns: dict[str, list[float]]) -> list[dict[str, Any]]:
    goals = []
    peers = {name: values for name, values in turns.items() if name != OURS}
    if peers:
        best = max(peers, key=lambda name: spread(peers[name]).median)
        ratio = ratios(turns[OURS], peers[best]).median
        goals.append(Goal("Throughput over the best peer's, 32 connections", 1.5, ratio, "x", True))
    latency, overload = result["part_load"]["latency_ms"], result["overload"]
    if latency:
        tail = round(latency["p99"] / latency["p50"], 2)
        goals.append(Goal("p99 over p50 at 70 % load", 3.0, tail, "x", False))
    goals.append(
        Goal("Memory of the service after load (PSS)", MEMORY_MB, result["pss_mb"][OURS], "MB", False)
    )
    told = overload["share_with_retry_after"] or 0.0
    goals.append(Goal("Refusals past capacity that carry Retry-After", 1.0, told, "of all", True))
    goals.append(Goal("Requests past capacity that fail otherwise", 0.0, overload["failed"], "", False))
    return [goal.as_dict() for goal in goals]
