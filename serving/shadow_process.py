"""The challenger's process: length-prefixed float32 samples on stdin -> a line of JSON a clip on stdout.

    python -m serving.shadow_process detector.onnx

Runs behind everything else on the machine (nice 10) and ends when its input does.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from serving.detection import judge
from serving.detector import Detector
from serving.errors import ModelError
from serving.models import stated_sha256


def say(**facts: Any) -> None:
    """One line, sent at once."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Scores until the input ends; 1 where the model can't be opened."""
    os.nice(10)
    path = Path(sys.argv[1])
    try:
        detector = Detector.open(path, 1, stated_sha256(path))
    except (ModelError, OSError) as error:
        say(problem=str(error))
        return 1
    manifest = detector.manifest
    say(name=manifest.name, version=manifest.version, sha256=detector.sha256)
    source = sys.stdin.buffer
    while len(head := source.read(4)) == 4:
        samples = np.frombuffer(source.read(struct.unpack("<I", head)[0]), "<f4")
        start = time.monotonic()
        try:
            verdict, _, _ = judge([samples], detector)
        except ModelError as error:
            say(problem=str(error))
            continue
        say(llr=verdict.llr, verdict=verdict.verdict, seconds=time.monotonic() - start)
    return 0


if __name__ == "__main__":
    sys.exit(main())
