"""Time of the graph against the least that this core could take for the same products.

Estimate: each MatMul, Gemm and Conv of a 10 s clip takes its operations at the measured peak of its kind, or
its bytes at the measured copy rate, whichever is longer. All else (activations, norms, copies) is free.
"""

import json
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from bench import flops, peak
from bench.plan import Bench
from bench.stats import Goal, spread
from serving.chunking import windows_in
from serving.detector import Detector
from serving.session import options

CLIP_SAMPLES = 160_000
LEAST_SHARE = 0.6
LISTED = 12  # operators, of the profile


def run(bench: Bench) -> dict[str, Any]:
    manifest = Detector.open(bench.model).manifest
    window, hop = manifest.window_samples, manifest.hop_samples
    samples = window + (CLIP_SAMPLES - window) // hop * hop
    products = flops.products(bench.model, samples)
    machine = {
        "gemm_gflops": round(peak.gemm_gflops(), 1),
        "convolution_gflops": round(peak.convolution_gflops(), 1),
        "int8_gops": round(peak.int8_gops(), 1),
        "copied_gb_per_s": round(peak.copied_gb_per_s(), 1),
    }
    least_ms = sum(1000 * _least_s(product, machine) for product in products)
    waveform = np.random.default_rng(0).normal(0, 0.1, (1, samples)).astype(np.float32)
    measured_ms = _measured_ms(bench, waveform)
    share = round(least_ms / measured_ms["median"], 3)
    return {
        "machine": machine,
        "samples": samples,
        "gflop": round(sum(product.flops for product in products) / 1e9, 4),
        "windows": windows_in(samples, window, hop),
        "least_ms": round(least_ms, 3),
        "measured_ms": measured_ms,
        "reached_gflops": round(sum(p.flops for p in products) / measured_ms["median"] / 1e6, 1),
        "by_operator_ms": _profile(bench.model, waveform),
        "goals": [
            Goal(
                "Share of the roofline estimate reached in onnxruntime", LEAST_SHARE, share, "", True
            ).as_dict()
        ],
    }


def _least_s(product: flops.Product, machine: dict[str, float]) -> float:
    kind = "convolution_gflops" if product.kind == "Conv" else "gemm_gflops"
    if product.integers:
        kind = "int8_gops"
    return max(product.flops / machine[kind], product.bytes / machine["copied_gb_per_s"]) / 1e9


def _measured_ms(bench: Bench, waveform: np.ndarray) -> dict[str, Any]:
    """As serving runs it, on one thread."""
    session = Detector.open(bench.model)._session
    session.run(None, {"waveform": waveform})
    times = [
        1000 * peak.fastest(lambda: session.run(None, {"waveform": waveform}), 3)
        for _ in range(bench.plan.repeats)
    ]
    return spread(times).as_dict()


def _profile(model: Path, waveform: np.ndarray) -> dict[str, float]:
    """Operator -> ms of one call, by onnxruntime's profiler; the longest first."""
    calls = 5
    with tempfile.TemporaryDirectory() as folder:
        profiled = options(model.read_bytes())
        profiled.enable_profiling, profiled.profile_file_prefix = True, f"{folder}/profile"
        session = onnxruntime.InferenceSession(str(model), profiled, providers=["CPUExecutionProvider"])
        for _ in range(calls):
            session.run(None, {"waveform": waveform})
        events = json.loads(Path(session.end_profiling()).read_text())
    sums: dict[str, float] = defaultdict(float)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            sums[event["args"]["op_name"]] += event["dur"] / 1000 / calls
    longest = sorted(sums.items(), key=lambda item: -item[1])[:LISTED]
    return {name: round(ms, 3) for name, ms in longest}
