"""From launch to ready: ours, an empty Flask and gunicorn app, and opening a session alone."""

import subprocess
import time
from typing import Any

from bench.fleet import stop
from bench.plan import WORK, Bench
from bench.recipes import OURS, serving_python
from bench.stats import Goal, spread

LOAD = """
import sys, time
begun = time.monotonic()
import onnxruntime
from serving.session import options
model = open(sys.argv[1], "rb").read()
onnxruntime.InferenceSession(model, options(model), providers=["CPUExecutionProvider"])
print(time.monotonic() - begun)
"""
MOST = 1.5


def run(bench: Bench) -> dict[str, Any]:
    found: dict[str, list[float]] = {"ours": [], "empty": [], "session": []}
    python = str(serving_python(WORK))
    for _ in range(bench.plan.cold_starts):
        for key, name in (("ours", OURS), ("empty", "empty")):
            server = bench.fleet.fresh(name)
            stop(server.process)
            found[key].append(server.started_s)
        command = [python, "-c", LOAD, str(bench.model)]
        found["session"].append(float(subprocess.run(command, check=True, capture_output=True).stdout))
        time.sleep(0.2)
    share = [
        ours / (empty + session)
        for ours, empty, session in zip(found["ours"], found["empty"], found["session"], strict=True)
    ]
    text = "Cold start over that of an empty app plus the session load"
    return {
        "seconds": {name: spread(values).as_dict() for name, values in found.items()},
        "share": spread(share).as_dict(),
        "goals": [Goal(text, MOST, spread(share).median, "x", False).as_dict()],
    }
