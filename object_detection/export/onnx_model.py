"""A detector as an ONNX model, for onnxruntime, OpenVINO and others.

Every operation is of ONNX's own set. Non-maximum suppression is ONNX's, one for all images and
classes at once; its result is sorted into TensorFlow's order afterwards, because ONNX
defines none.
"""

import json
import logging

import numpy as np
import tensorflow as tf

from object_detection.errors import ExportError, missing_extra
from object_detection.export.portable import INPUT, PortableModel

OPSET = 18
_DROPPED = -float("inf")
_PLACEHOLDER = "PyFunc"  # the operation of tf.numpy_function


def convert(restored, spec, *, opset=OPSET, names=None):
    """Convert a detector to an ONNX model.

    Args:
        restored: `portable.Restored`.
        spec: `portable.InputSpec`.
        opset: version of ONNX's operators.
        names: {class id: name}, kept in the model's metadata as JSON under "label_map"; or None.

    Returns:
        onnx.ModelProto; inputs and outputs have the SavedModel's names.

    Raises:
        ExportError: tf2onnx is not installed, or the model can't be converted.
    """
    tf2onnx = _tf2onnx()
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)  # it logs every node it folds
    model = PortableModel(restored, suppress, spec)
    graph, _ = tf2onnx.convert.from_function(
        model.detect,
        input_signature=list(model.detect.input_signature),
        opset=opset,
        custom_op_handlers={_PLACEHOLDER: (_insert_suppression, [])},
    )
    left = {node.op_type for node in graph.graph.node if node.domain not in ("", "ai.onnx.ml")}
    if left or any(node.op_type == _PLACEHOLDER for node in graph.graph.node):
        raise ExportError(f"tf2onnx could not convert: {', '.join(sorted(left)) or _PLACEHOLDER}")
    _make_padding_explicit(graph.graph)
    _name_dimensions(graph.graph)
    _describe(graph, names)
    return graph


def suppress(boxes, scores, *, max_output, iou_threshold, score_threshold, soft_sigma=0.0):
    """`nms.suppression_by`'s function, with a placeholder for ONNX's operation.

    The rows it selects are put back among all rows, where a sort selects the best; of equal scores
    the lower row comes first. TensorFlow can trace this but not run it.
    """
    if soft_sigma > 0:
        raise ExportError("ONNX has no Soft-NMS")
    selected = tf.numpy_function(
        _placeholder,
        [
            boxes,
            scores,
            np.array([max_output], np.int64),
            np.array([iou_threshold], np.float32),
            np.array([score_threshold], np.float32),
        ],
        tf.int64,
    )
    selected = tf.reshape(selected, [-1, 2])
    shape = tf.shape(scores)
    kept = tf.gather_nd(scores, selected)
    kept = tf.where(kept > score_threshold, kept, _DROPPED)  # some runtimes keep equal ones
    of_all = tf.tensor_scatter_nd_update(tf.fill(shape, _DROPPED), selected, kept)
    missing = tf.maximum(max_output - shape[1], 0)
    of_all = tf.pad(of_all, [[0, 0], [0, missing]], constant_values=_DROPPED)
    best, rows = tf.math.top_k(of_all, max_output)
    return tf.where(best > _DROPPED, rows, 0), best


def onnx_session(path, threads=0):
    """Return a function {name: array} of images [B, h, w, 3], run by onnxruntime on the CPU.

    Raises:
        ExportError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_extra("comparing an ONNX model needs onnxruntime", "onnx", error) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    running = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in running.get_outputs()]
    return lambda images: dict(zip(names, running.run(None, {INPUT: images}), strict=True))


def _insert_suppression(context, node, name, arguments):
    """Replace the placeholder by ONNX's NonMaxSuppression; a handler of tf2onnx.

    It takes scores of several classes, here of one, and gives (set, class, row).
    """
    del name, arguments
    from tf2onnx import utils

    boxes, scores, *limits = node.input[:5]
    output = node.output[0]
    context.remove_node(node.name)

    def constant(values):
        return context.make_const(utils.make_name("suppression"), np.array(values)).output[0]

    scores = context.make_node("Unsqueeze", [scores, constant([1])]).output[0]
    selected = context.make_node("NonMaxSuppression", [boxes, scores, *limits]).output[0]
    context.make_node(
        "Gather",
        [selected, constant([0, 2])],
        attr={"axis": 1},
        outputs=[output],
        shapes=[[-1, 2]],
        dtypes=[7],  # TensorProto.INT64
    )


def _placeholder(*arguments):
    raise AssertionError("placeholder of ONNX's NonMaxSuppression, which replaces it")


def _make_padding_explicit(graph):
    """Write "SAME" padding as numbers if it does not depend on the image's size.

    onnxruntime does not support SAME_UPPER with dilation, which atrous models have.
    """
    from onnx import helper

    for node in graph.node:
        attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        kernel, strides = attributes.get("kernel_shape"), attributes.get("strides", [1, 1])
        if node.op_type != "Conv" or attributes.get("auto_pad") != b"SAME_UPPER" or not kernel:
            continue
        if any(stride != 1 and side != 1 for stride, side in zip(strides, kernel, strict=True)):
            continue
        dilations = attributes.get("dilations", [1, 1])
        total = [step * (side - 1) for step, side in zip(dilations, kernel, strict=True)]
        pads = [side // 2 for side in total] + [side - side // 2 for side in total]
        kept = [entry for entry in node.attribute if entry.name not in ("auto_pad", "pads")]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute("pads", pads)])


def _name_dimensions(graph):
    """Name the free dimensions, instead of the converter's numbers."""
    for value in graph.input:
        for size, name in zip(
            value.type.tensor_type.shape.dim, ("batch", "height", "width"), strict=False
        ):
            if not size.dim_value:
                size.dim_param = name
    for value in graph.output:
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            if not size.dim_value:
                size.dim_param = f"{value.name}_{axis}" if axis else "batch"


def _describe(model, names):
    import object_detection

    model.producer_name = "object_detection"
    model.producer_version = object_detection.__version__
    if names:
        entry = model.metadata_props.add()
        entry.key, entry.value = "label_map", json.dumps(names, ensure_ascii=False)


def _tf2onnx():
    try:
        import tf2onnx
        import tf2onnx.convert
    except ImportError as error:
        raise missing_extra("the conversion to ONNX needs tf2onnx", "onnx", error) from None
    return tf2onnx
