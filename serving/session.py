"""How onnxruntime is asked to compute a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnxruntime

EXACT = "session.x64quantprecision"  # onnxruntime's name for it
SHORT_SUMS = "sums", "16 bits"  # in the metadata of a file whose products of integers can be added in 16 bits
# That entry as the end of an ONNX file: what a file says of itself can't be asked for before it is opened.
ENDING = b"r\x0f\n\x04sums\x12\x0716 bits"


def options(model: bytes, threads: int = 1) -> onnxruntime.SessionOptions:
    """Settings for a session of this file: one call at a time on `threads` threads, and exact sums of
    integers.
    """
    import onnxruntime

    chosen = onnxruntime.SessionOptions()
    chosen.intra_op_num_threads = threads
    chosen.inter_op_num_threads = 1
    chosen.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    chosen.log_severity_level = 3  # errors; they are raised as well
    for name, value in precision(model).items():
        chosen.add_session_config_entry(name, value)
    return chosen


def precision(model: bytes) -> dict[str, str]:
    """Settings by which this file's sums of integers are exact on any processor.

    x86 processors that lack VNNI add pairs of 8-bit products in 16 bits, where large ones are cut off. Asked
    to be precise, onnxruntime uses wider sums there, and there alone; short sums need none.
    """
    return {} if model.endswith(ENDING) else {EXACT: "1"}
