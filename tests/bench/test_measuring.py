"""The bench's instruments: process trees, counted operations, made clips, servers that don't start."""

import os
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from onnx import TensorProto, helper

from bench import __main__ as command
from bench import flops, processes
from bench.clips import Clips
from bench.fleet import Fleet, Recipe, StartError
from bench.recipes import raw

BUSY = "end = __import__('time').process_time() + 0.3\nwhile __import__('time').process_time() < end: pass"


def test_cpu_of_a_child_counts_for_its_parent() -> None:
    parent = f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {BUSY!r}]); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", parent])
    try:
        end = time.monotonic() + 30
        while processes.cpu_s(process.pid) < 0.3 and time.monotonic() < end:
            time.sleep(0.05)
        assert processes.cpu_s(process.pid) >= 0.3
        assert processes.pss_mb(process.pid) > 1
    finally:
        process.kill()
        process.wait()


def test_cpu_is_counted_finer_than_the_kernels_ticks() -> None:
    begun, before = processes.cpu_s(os.getpid()), time.process_time()
    while time.process_time() < before + 0.003:
        pass
    counted = processes.cpu_s(os.getpid()) - begun
    assert 0.003 <= counted <= time.process_time() - before + 0.005


def test_a_process_is_in_its_own_tree() -> None:
    assert os.getpid() in processes.tree(os.getpid())


def test_a_product_of_known_size_is_counted(tmp_path: Path) -> None:
    """(1, 6) by (6, 4): 24 multiplications and 24 additions."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["waveform", "w"], ["window_llr"], name="product")],
        "product",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"])],
        [helper.make_tensor_value_info("window_llr", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.ones((6, 4), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "product.onnx")
    assert flops.total(tmp_path / "product.onnx", 6) == 48


@pytest.mark.parametrize("container", ["wav", "flac", "mp3"])
def test_clips_have_the_stated_length(container: str, tmp_path: Path) -> None:
    found = soundfile.info(Clips(tmp_path).path(container, 2))
    assert found.duration == pytest.approx(2.0, abs=0.1)


def test_a_long_recording_is_not_one_repeated_minute(tmp_path: Path) -> None:
    samples, rate = soundfile.read(Clips(tmp_path).path("wav", 130))
    assert len(samples) == 130 * rate
    assert not np.allclose(samples[: 60 * rate], samples[60 * rate : 120 * rate])


def test_a_server_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "raise SystemExit('no such model')"]
    recipe = Recipe(lambda port: words, tmp_path, {}, "/", "/", raw)
    with Fleet({"broken": lambda: recipe}, tmp_path) as fleet:
        with pytest.raises(StartError, match="no such model"):
            fleet.get("broken")
        assert list(fleet.started(("broken",))) == []
        assert "no such model" in fleet.problems["broken"]


def test_a_part_that_fails_is_a_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: object) -> dict[str, object]:
        raise OSError("disk full")

    monkeypatch.setattr("bench.parts.slug.run", failing)
    assert command.run_part("slug", bench=None)["error"] == "OSError: disk full"  # type: ignore[arg-type]
    assert "FAILED" in capsys.readouterr().err


def test_without_a_model_the_bench_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="--standin"):
        command.model_of(Namespace(standin=None, model=tmp_path / "none.onnx"))
