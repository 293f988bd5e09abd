"""Makes tiny.onnx and tiny.golden.json: a network of the shape that the model card speaks of, 32 pixels a side.

Needs `onnx` and `numpy`: python make_tiny.py. The card is added by the Go tests, which know what to break in it.
The golden scores come from the ONNX project's own reference evaluator, not from the runtime under test.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

SIZE, LABELS, GOLDEN = 32, 4, 4
here = Path(__file__).parent
random = np.random.default_rng(7)

constants = {
    "kernel": random.normal(0, 1, (LABELS, 1, 3, 3)),
    "weight": random.normal(0, 4, (LABELS, LABELS)),
    "bias": random.normal(0, 1, LABELS),
}
nodes = [
    helper.make_node("AveragePool", ["input"], ["small"], kernel_shape=[4, 4], strides=[4, 4]),
    helper.make_node("Conv", ["small", "kernel"], ["features"], pads=[1, 1, 1, 1]),
    helper.make_node("Relu", ["features"], ["cams"]),
    helper.make_node("ReduceMean", ["cams"], ["pooled"], axes=[2, 3], keepdims=0),
    helper.make_node("Gemm", ["pooled", "weight", "bias"], ["logits"]),
    helper.make_node("ReduceMean", ["input"], ["ood"], axes=[1, 2, 3], keepdims=0),
]
graph = helper.make_graph(
    nodes,
    "tiny",
    [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 1, SIZE, SIZE])],
    [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", LABELS]),
        helper.make_tensor_value_info("cams", TensorProto.FLOAT, ["n", LABELS, SIZE // 4, SIZE // 4]),
        helper.make_tensor_value_info("ood", TensorProto.FLOAT, ["n"]),
    ],
    [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, here / "tiny.onnx")

y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)
inputs = [0.5 + 0.5 * np.sin(0.05 * (k + 1) * x + 0.03 * (k + 2) * y) for k in range(GOLDEN)]
logits, _, ood = ReferenceEvaluator(model).run(None, {"input": np.stack(inputs)[:, None].astype(np.float32)})
golden = {"count": GOLDEN, "formula": "sine.v1", "logits": logits.tolist(), "ood": ood.tolist()}
(here / "tiny.golden.json").write_text(json.dumps(golden, indent=1) + "\n")
