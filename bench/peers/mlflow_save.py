"""An ONNX file as an MLflow model: `python mlflow_save.py MODEL FOLDER`."""

import sys

import mlflow.onnx
import onnx

if __name__ == "__main__":
    graph = onnx.load(sys.argv[1])
    short = any(entry.key == "sums" for entry in graph.metadata_props)
    exact = {} if short else {"session.x64quantprecision": "1"}  # the same scores
    options = {"intra_op_num_threads": 1, "inter_op_num_threads": 1, "extra_session_config": exact}
    mlflow.onnx.save_model(graph, sys.argv[2], onnx_session_options=options)
