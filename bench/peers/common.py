"""What every peer does with a clip: decode, mix down, resample, the graph, mean of windows."""

import io
import json
import os

import numpy as np
import onnxruntime
import soundfile
import soxr

SAMPLE_RATE = 16_000


class Model:
    """The ONNX file named by BENCH_MODEL, on one thread, with the settings of BENCH_PRECISION."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        for name, value in json.loads(os.environ["BENCH_PRECISION"]).items():
            options.add_session_config_entry(name, value)
        self.session = onnxruntime.InferenceSession(
            os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"]
        )
        manifest = json.loads(self.session.get_modelmeta().custom_metadata_map["manifest"])
        self.window, self.hop = manifest["window_samples"], manifest["hop_samples"]

    def score(self, clip: bytes) -> dict[str, object]:
        samples, rate = soundfile.read(io.BytesIO(clip), dtype="float32", always_2d=True)
        mono = samples.mean(axis=1)
        if rate != SAMPLE_RATE:
            mono = soxr.resample(mono, rate, SAMPLE_RATE)
        if len(mono) < self.window:
            mono = np.resize(mono, self.window)
        llr = self.session.run(["window_llr"], {"waveform": mono[None]})[0][0]
        if (len(mono) - self.window) % self.hop:  # the rest, as a last window that ends with the clip
            last = self.session.run(["window_llr"], {"waveform": mono[None, -self.window :]})[0][0]
            llr = np.concatenate([llr, last])
        return {"llr": float(llr.mean()), "windows": llr.tolist()}
