"""CPU of a server's process tree a request, bytes of a 10 s clip to JSON: ours, the seed's and the peers'."""

from typing import Any

from bench import client, processes
from bench.fleet import Server
from bench.plan import Bench
from bench.recipes import OURS
from bench.stats import Goal, Spread, ratios, spread

WARM_UP_S, WARM_UP_CONNECTIONS = 2.0, 4  # so that every thread and every process has scored
LEAST = {"seed": 10.0, "mlflow": 7.0, "litserve": 1.0, "bentoml": 1.0, "fastapi": 1.0}


def run(bench: Bench) -> dict[str, Any]:
    servers = list(bench.fleet.started((OURS, *bench.plan.peers)))
    if not servers or servers[0].name != OURS:
        raise RuntimeError(f"Our own server did not start: {bench.fleet.problems.get(OURS)}")
    result: dict[str, Any] = {"formats": {}, "missing": dict(bench.fleet.problems), "goals": []}
    for server in servers:
        client.closed_loop(server, bench.clips.content("wav"), WARM_UP_CONNECTIONS, WARM_UP_S)
    for container in bench.plan.containers:
        result["formats"][container] = _format(bench, servers, container)
    result["pss_mb"] = {server.name: round(processes.pss_mb(server.pid), 1) for server in servers}
    result["goals"] = _goals(result["formats"])
    return result


def _format(bench: Bench, servers: list[Server], container: str) -> dict[str, Any]:
    clip = bench.clips.content(container)
    # mlflow takes decoded samples as JSON: one format is enough to know it.
    asked = [s for s in servers if container == "wav" or s.name != "mlflow"]
    cost: dict[str, list[float]] = {server.name: [] for server in asked}
    wall: dict[str, list[float]] = {server.name: [] for server in asked}
    for _ in range(bench.plan.pairs):
        for server in asked:
            count = bench.plan.seed_requests if server.name == "seed" else bench.plan.requests
            before = processes.cpu_s(server.pid)
            tally = client.in_turn(server, clip, container, count)
            if len(tally.accepted_s) < count:
                raise RuntimeError(
                    f"{server.name} answered {len(tally.accepted_s)} of {count} {container} clips."
                )
            cost[server.name].append(1000 * (processes.cpu_s(server.pid) - before) / count)
            wall[server.name].append(1000 * tally.seconds / count)
    return {
        name: {
            "cpu_ms": spread(cost[name]).as_dict(),
            "wall_ms": spread(wall[name]).as_dict(),
            "times_ours": ratios(cost[name], cost[OURS]).as_dict(),
        }
        for name in cost
    }


def _goals(formats: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for container, servers in formats.items():
        for name, least in LEAST.items():
            if name in servers:
                ratio = Spread(**servers[name]["times_ours"]).median
                text = f"CPU of {name} over ours, 10 s {container.upper()}"
                found.append(Goal(text, least, ratio, "x", at_least=True).as_dict())
    return found
