"""How onnxruntime is asked to compute a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnxruntime

EXACT = "session.x64quantprecision"  # onnxruntime's name for it


def options(threads: int = 1) -> onnxruntime.SessionOptions:
    """Settings for a session: one call at a time on `threads` threads, and sums of integers that are exact.

    Without the last, x86 processors that lack VNNI add pairs of 8-bit products in 16 bits, where large ones
    are cut off. Asked to be precise, onnxruntime uses wider sums there, and there alone.
    """
    import onnxruntime

    chosen = onnxruntime.SessionOptions()
    chosen.intra_op_num_threads = threads
    chosen.inter_op_num_threads = 1
    chosen.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    chosen.log_severity_level = 3  # errors; they are raised as well
    chosen.add_session_config_entry(EXACT, "1")
    return chosen
