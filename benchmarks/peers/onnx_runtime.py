"""ONNX Runtime: a graph of Gemm nodes with all optimizations, and bound input and output."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import data
import numpy as np
from cases import Net, PredictionCase

from peers import blas_settings

LABEL = "ONNX Runtime"
SETTINGS = blas_settings()
TAKES = ("prediction",)

ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu"}
HEADS = {"binary": "Sigmoid", "cross-entropy": "Softmax"}


def version() -> str:
    """Version of the library."""
    import onnxruntime

    return str(onnxruntime.__version__)


def model(net: Net, weights: data.Weights) -> Any:
    """The network as an ONNX model."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, last = [], [], "x"
    for k, (w, b) in enumerate(weights):
        constants += [numpy_helper.from_array(w, f"w{k}"), numpy_helper.from_array(b, f"b{k}")]
        nodes.append(helper.make_node("Gemm", [last, f"w{k}", f"b{k}"], [f"z{k}"]))
        last = f"z{k}"
        kind = ACTIVATIONS[net.activation] if k + 1 < len(weights) else HEADS.get(net.loss)
        if kind:
            nodes.append(helper.make_node(kind, [last], [f"a{k}"]))
            last = f"a{k}"

    def tensor(name: str, width: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])

    x, out = tensor("x", net.widths[0]), tensor(last, net.widths[-1])
    graph = helper.make_graph(nodes, "net", [x], [out], constants)
    # Older versions than the installed onnx would write: the runtime may be older than onnx.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def predict(case: PredictionCase) -> Callable[[], data.Array]:
    """`run_with_iobinding`, which is faster than `run` for few rows."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    graph = model(case.net, data.make_weights(case.net, case.dtype))
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    X, _ = data.make_arrays(case)
    out = np.zeros((case.rows, case.net.widths[-1]), np.float32)
    output = onnxruntime.OrtValue.ortvalue_from_numpy(out)
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(X))
    binding.bind_ortvalue_output(session.get_outputs()[0].name, output)

    def call() -> data.Array:
        session.run_with_iobinding(binding)
        return output.numpy()  # type: ignore[no-any-return]

    return call
