"""A worker's side of the challenger's process (`serving.shadow_process`): samples out, a verdict back."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from serving.chunking import Samples

ANSWER_S = 30.0  # for one clip
START_S = 60.0  # for the process to load the model


class Challenger:
    """The other process: samples in, `{"llr": ..., "verdict": ..., "seconds": ...}` out."""

    def __init__(self, path: Path) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "serving.shadow_process", str(path)]
        root = Path(__file__).resolve().parents[1]
        with theirs:
            self._process = subprocess.Popen(command, cwd=root, stdin=theirs.fileno(), stdout=theirs.fileno())
        self._socket, self._file = ours, ours.makefile("rb")
        try:
            self.facts = self._answer(START_S)
        except BaseException:
            self.close()
            raise

    def score(self, samples: Samples) -> dict[str, Any]:
        """Raises OSError (a timeout is one) or ValueError where the process hangs, dies or talks nonsense."""
        self._socket.settimeout(ANSWER_S)
        content = samples.astype("<f4").tobytes()
        self._socket.sendall(struct.pack("<I", len(content)) + content)
        return self._answer(ANSWER_S)

    def _answer(self, within_s: float) -> dict[str, Any]:
        self._socket.settimeout(within_s)
        line = self._file.readline(2**16)
        answer = json.loads(line) if line else {"problem": "The challenger's process ended."}
        if not isinstance(answer, dict) or "problem" in answer:
            raise ValueError(
                answer["problem"] if isinstance(answer, dict) else f"The challenger said {line!r}."
            )
        return answer

    def close(self) -> None:
        """Ends the process, whatever it does."""
        with contextlib.suppress(OSError):
            self._file.close()
            self._socket.close()
        self._process.kill()
        self._process.wait()
