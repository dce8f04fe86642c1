"""Large weights that are exact in float16 are stored so, with a Cast that onnxruntime folds away.

Training rounds large weights (training.models.rounded), so the file halves and no score changes.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LEAST_VALUES = 2**14  # of a tensor that is worth a node


def compact(graph: onnx.ModelProto) -> None:
    """Rewrites the graph's large float32 initializers in place where that loses nothing."""
    casts = []
    for initializer in graph.graph.initializer:
        values = numpy_helper.to_array(initializer)
        if values.dtype != np.float32 or values.size < LEAST_VALUES:
            continue
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name, stored = initializer.name, f"{initializer.name}_float16"
        initializer.CopyFrom(numpy_helper.from_array(half, stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    nodes = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend(casts + nodes)
