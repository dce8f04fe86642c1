"""The power spectrum of a 10 s clip, 25 ms frames every 10 ms: ways to compute it in and out of a graph."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn

from bench import peak
from bench.plan import Bench
from bench.stats import Goal, spread
from export.graph import open_session
from training.features import PowerSpectrum

SIZE, HOP, SAMPLES = 400, 160, 160_000
REFERENCE = "numpy rfft"
MOST = 3.0  # of the graph's over numpy's: near, for a product with a matrix


class OneConvolution(nn.Module):
    """The DFT as a strided convolution with 2 * (SIZE / 2 + 1) kernels."""

    def __init__(self) -> None:
        super().__init__()
        kernels = np.concatenate(_dft(), axis=1).T[:, None]
        self.register_buffer("kernels", torch.tensor(kernels, dtype=torch.float32))

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        both = nn.functional.conv1d(signal[:, None], self.kernels, stride=HOP)
        real, imaginary = both.chunk(2, dim=1)
        return (real * real + imaginary * imaginary).transpose(1, 2)


class Gathered(nn.Module):
    """Frames gathered by index, times the whole DFT matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.tensor(np.concatenate(_dft(), axis=1), dtype=torch.float32))
        starts = HOP * np.arange(1 + (SAMPLES - SIZE) // HOP)
        self.register_buffer("index", torch.tensor(starts[:, None] + np.arange(SIZE)))

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        real, imaginary = (signal[:, self.index] @ self.matrix).chunk(2, dim=2)
        return real * real + imaginary * imaginary


class StftOperator(nn.Module):
    """ONNX's own STFT."""

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        window = torch.hann_window(SIZE)
        return torch.stft(signal, SIZE, HOP, window=window, center=False, return_complex=False).pow(2).sum(3)


def _dft() -> tuple[np.ndarray, np.ndarray]:
    """Hann-windowed cosines and sines, (SIZE, SIZE / 2 + 1) each."""
    window = np.hanning(SIZE + 1)[:-1]
    phase = 2 * np.pi * np.outer(np.arange(SIZE), np.arange(SIZE // 2 + 1)) / SIZE
    return window[:, None] * np.cos(phase), window[:, None] * np.sin(phase)


def _rfft(signal: np.ndarray) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(signal, SIZE)[::HOP]
    spectra = np.fft.rfft(frames * np.hanning(SIZE + 1)[:-1].astype(np.float32), axis=1)
    return spectra.real**2 + spectra.imag**2


def run(bench: Bench) -> dict[str, Any]:
    signal = np.random.default_rng(0).normal(0, 0.1, (1, SAMPLES)).astype(np.float32)
    ways = {
        "folded products (the shipped way)": PowerSpectrum(SIZE, HOP),
        "one product of gathered frames": Gathered(),
        "one convolution": OneConvolution(),
        "ONNX STFT operator": StftOperator(),
    }
    expected = _rfft(signal[0])[:, 1:]  # the shipped way leaves out the offset
    milliseconds = {REFERENCE: _repeated(bench, lambda: _rfft(signal[0]))}
    difference, failed = {}, {}
    for name, module in ways.items():
        try:
            session = _session(module, signal)
        except Exception as error:  # an operator that torch or onnxruntime lacks is a finding, not a failure
            failed[name] = str(error).splitlines()[0][:200]
            continue
        milliseconds[name] = _repeated(bench, lambda session=session: session.run(None, {"x": signal}))
        found = session.run(None, {"x": signal})[0][0]
        found = (found if len(found) == len(expected) else found.T)[:, -expected.shape[1] :]
        difference[name] = float(f"{np.abs(found - expected).max() / expected.max():.2g}")
    ours = milliseconds["folded products (the shipped way)"]["median"] / milliseconds[REFERENCE]["median"]
    goal = Goal("Power spectrum in the graph over numpy's rfft", MOST, round(ours, 2), "x", False)
    return {"ms": milliseconds, "difference": difference, "failed": failed, "goals": [goal.as_dict()]}


def _session(module: nn.Module, signal: np.ndarray) -> onnxruntime.InferenceSession:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "way.onnx"
        torch.onnx.export(
            module.eval(),
            (torch.from_numpy(signal),),
            path,
            dynamo=False,
            opset_version=17,
            input_names=["x"],
        )
        return open_session(path.read_bytes())


def _repeated(bench: Bench, work: Any) -> dict[str, Any]:
    work()
    return spread([1000 * peak.fastest(work, 3) for _ in range(bench.plan.repeats)]).as_dict()
