"""A detector as an ONNX model, for onnxruntime, OpenVINO and others.

Every operation is of ONNX's own set. Non-maximum suppression is ONNX's, one for all images and
classes at once; its answer is brought into TensorFlow's order afterwards, since ONNX promises none.
"""

import json
import logging

import numpy as np
import tensorflow as tf

from object_detection.errors import missing_extra
from object_detection.export.portable_model import INPUT, PortableModel

OPSET = 18
_DROPPED = -float("inf")
_PLACEHOLDER = "PyFunc"  # the operation of tf.numpy_function


def convert(restored, form, *, opset=OPSET, names=None):
    """The ONNX model of a detector.

    Args:
        restored: `portable_model.Restored`.
        form: `portable_model.Form`.
        opset: version of ONNX's operators.
        names: {class id: name}, kept in the model's metadata as JSON under "label_map"; or None.

    Returns:
        onnx.ModelProto; inputs and outputs bear the SavedModel's names.

    Raises:
        ValueError: tf2onnx is not installed, or the model can't be converted.
    """
    tf2onnx = _tf2onnx()
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)  # it tells of every node it folds
    model = PortableModel(restored, suppress, form)
    graph, _ = tf2onnx.convert.from_function(
        model.detect,
        input_signature=list(model.detect.input_signature),
        opset=opset,
        custom_op_handlers={_PLACEHOLDER: (_place_suppression, [])},
    )
    left = {node.op_type for node in graph.graph.node if node.domain not in ("", "ai.onnx.ml")}
    if left or any(node.op_type == _PLACEHOLDER for node in graph.graph.node):
        raise ValueError(f"tf2onnx could not convert: {', '.join(sorted(left)) or _PLACEHOLDER}")
    _state_padding(graph.graph)
    _name_dimensions(graph.graph)
    _describe(graph, names)
    return graph


def suppress(boxes, scores, *, max_output, iou_threshold, score_threshold, soft_sigma=0.0):
    """`nms.suppression_by`'s function, with a placeholder where ONNX's operation will be.

    The rows it selects are put back among all rows, where a sort finds the best, of equal scores
    the lower row first. TensorFlow can trace this but not run it.
    """
    if soft_sigma > 0:
        raise ValueError("ONNX has no Soft-NMS")
    selected = tf.numpy_function(
        _never_run,
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


def session(path, threads=0):
    """A function {name: array} of images [B, h, w, 3], by onnxruntime on the CPU.

    Raises:
        ValueError: onnxruntime is not installed.
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


def _place_suppression(context, node, name, arguments):
    """tf2onnx's handler: ONNX's NonMaxSuppression in the placeholder's stead.

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


def _never_run(*arguments):
    raise AssertionError("stands for ONNX's NonMaxSuppression and is replaced by it")


def _state_padding(graph):
    """ "SAME" padding as numbers where the image's size has no part in it.

    onnxruntime does not know SAME_UPPER beside dilation, which atrous models have.
    """
    from onnx import helper

    for node in graph.node:
        given = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
        kernel, strides = given.get("kernel_shape"), given.get("strides", [1, 1])
        if node.op_type != "Conv" or given.get("auto_pad") != b"SAME_UPPER" or not kernel:
            continue
        if any(stride != 1 and side != 1 for stride, side in zip(strides, kernel, strict=True)):
            continue
        dilations = given.get("dilations", [1, 1])
        total = [step * (side - 1) for step, side in zip(dilations, kernel, strict=True)]
        pads = [side // 2 for side in total] + [side - side // 2 for side in total]
        kept = [entry for entry in node.attribute if entry.name not in ("auto_pad", "pads")]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute("pads", pads)])


def _name_dimensions(graph):
    """Names for the dimensions that are free, instead of the converter's numbers."""
    for value in graph.input:
        for size, name in zip(
            value.type.tensor_type.shape.dim, ("batch", "height", "width"), strict=False
        ):
            if not size.dim_value:
                size.dim_param = name
    for value in graph.output:
        for place, size in enumerate(value.type.tensor_type.shape.dim):
            if not size.dim_value:
                size.dim_param = f"{value.name}_{place}" if place else "batch"


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
