"""Bytes of a clip -> verdict: decode, windowing, one ONNX graph, pooling, HTTP. Needs no torch."""
