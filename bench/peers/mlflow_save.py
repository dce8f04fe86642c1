"""An ONNX file as an MLflow model, set as BENCH_PRECISION says: `python mlflow_save.py MODEL FOLDER`."""

import json
import os
import sys

import mlflow.onnx
import onnx

if __name__ == "__main__":
    precision = json.loads(os.environ["BENCH_PRECISION"])
    options = {"intra_op_num_threads": 1, "inter_op_num_threads": 1, "extra_session_config": precision}
    mlflow.onnx.save_model(onnx.load(sys.argv[1]), sys.argv[2], onnx_session_options=options)
