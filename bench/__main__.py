"""Runs the parts, writes results, plots and the performance page: `python -m bench [--quick]`."""

import argparse
import importlib
import os
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import report, results
from bench.fleet import Fleet
from bench.plan import FULL, QUICK, RESULTS, WORK, Bench
from bench.recipes import all_recipes

# The order is that of the page; what needs servers comes first, while they run.
PARTS = {
    "endtoend": "CPU a request against the seed and the peers",
    "load": "throughput, latency and shedding",
    "stages": "time by stage of a request",
    "longaudio": "recordings of hours, and latency by length",
    "coldstart": "from launch to ready",
    "roofline": "the network against the machine's peak",
    "features": "ways to compute the spectrum",
    "options": "onnxruntime's settings",
    "int8": "static int8 quantisation",
    "training": "epochs an hour",
    "slug": "size of a deployment",
}
NOT_QUICK = ("int8", "training", "options")


def parser() -> argparse.ArgumentParser:
    listed = "".join(f"\n  {name:<11}{what}" for name, what in PARTS.items())
    arguments = argparse.ArgumentParser(
        prog="python -m bench", description=f"{__doc__}\n\nparts:{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    arguments.add_argument(
        "--quick", action="store_true", help="few repeats, in about a minute; writes no page"
    )
    arguments.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help="these parts alone")
    arguments.add_argument("--model", type=Path, help="ONNX file (default: the shipped one)")
    arguments.add_argument(
        "--standin", help="measure an architecture with random weights: rescnn, encoder, seed"
    )
    arguments.add_argument("--out", type=Path, help="folder for the results (default: bench/results)")
    arguments.add_argument("--calibration", type=Path, help="protocol TSV whose train clips calibrate int8")
    arguments.add_argument("--judged", type=Path, help="protocol TSV whose test clips judge int8")
    return arguments


def model_of(options: argparse.Namespace) -> Path:
    """The file to measure, written now for a stand-in. Raises FileNotFoundError where there is none."""
    if options.standin:
        from bench.standin import write  # loads torch

        path = WORK / f"{options.standin}.onnx"
        return path if path.exists() else write(options.standin, path)
    from serving.models import BUNDLE

    path = options.model or BUNDLE
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Name a model with --model, or use --standin rescnn.")
    return Path(path)


def run_part(name: str, bench: Bench) -> dict[str, Any]:
    """The part's result, or {"error": ...}: one that fails is told, and the others go on."""
    print(f"{name}: {PARTS[name]} ...", file=sys.stderr, flush=True)
    begun, load = time.monotonic(), os.getloadavg()[0]
    try:
        found: dict[str, Any] = importlib.import_module(f"bench.parts.{name}").run(bench)
    except Exception as error:  # whatever a peer, a library or the machine does
        traceback.print_exc(limit=-3)
        found = {"error": f"{type(error).__name__}: {error}", "goals": []}
    found["load_average"] = round(load, 1)  # before it: what else the machine did
    found["took_s"] = round(time.monotonic() - begun, 1)
    found["date"] = datetime.now(UTC).isoformat(timespec="seconds")
    for goal in found["goals"]:
        print(f"  {report.goal_line(goal)}", file=sys.stderr, flush=True)
    if "error" in found:
        print(f"  FAILED: {found['error']}", file=sys.stderr, flush=True)
    return found


def main() -> int:
    options = parser().parse_args()
    try:
        model = model_of(options)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    names = options.only or [name for name in PARTS if not (options.quick and name in NOT_QUICK)]
    default = RESULTS / options.standin if options.standin else RESULTS
    out = options.out or (WORK / "quick" if options.quick else default)
    out.mkdir(parents=True, exist_ok=True)
    failed = 0
    with Fleet(all_recipes(model, WORK), WORK / "logs") as fleet:
        plan = QUICK if options.quick else FULL
        bench = Bench(plan, model.resolve(), options.calibration, options.judged, fleet)
        for name in names:
            found = run_part(name, bench)
            failed += "error" in found or bool(found.get("missing"))
            results.write(out, name, found, model, sys.argv[1:])
    print(report.summary(results.read(out)))
    if not options.quick and out == RESULTS:
        report.write_page(RESULTS)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
