"""One recording scored as the service scores it, in a process of its own.

    python -m bench.longrun MODEL CLIP THREADS

Prints JSON: seconds, CPU seconds, peak resident memory with the decoder process, counts.
"""

import json
import os
import sys
import time
from pathlib import Path

from bench import processes
from serving.audio import LOCAL
from serving.decoder import DecoderProcess
from serving.detection import detect
from serving.detector import Detector


def main() -> None:
    model, clip, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    detector = Detector.open(model, threads)
    decoder = DecoderProcess()
    decoder.start()
    begun, before = time.perf_counter(), processes.cpu_s(os.getpid())
    with decoder.open(clip, LOCAL) as opened:
        detection = detect(opened, detector)
    seconds = time.perf_counter() - begun
    mapped = detection.verdict.map
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu_s": processes.cpu_s(os.getpid()) - before,
                "peak_rss_mb": processes.peak_rss_mb(os.getpid()),
                "audio_s": detection.verdict.duration_s,
                "windows": len(detection.verdict.windows),
                "map_cells": len(mapped.llr),
            }
        )
    )
    decoder.stop()


if __name__ == "__main__":
    main()
