"""A detector as a TensorFlow Lite model, of its built-in operations only."""

import tensorflow as tf

from object_detection.errors import ExportError
from object_detection.export.portable import INPUT, PortableModel

WEIGHTS = ("float32", "float16")
_DROPPED = -float("inf")


def convert(restored, spec, *, weights="float32"):
    """Convert a detector to a TensorFlow Lite model, returned as bytes.

    Its signature `serving_default` has the SavedModel's names.

    Args:
        restored: `portable.Restored`.
        spec: `portable.InputSpec`.
        weights: storage format, one of `WEIGHTS`; the computation is in float32.

    Raises:
        ExportError: the converter fails, for example because the model needs other operations.
    """
    model = PortableModel(restored, suppress, spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [model.detect.get_concrete_function()], model
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if weights == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    try:
        return converter.convert()
    except Exception as error:  # the converter's own class, which has no public name
        advice = "" if spec.size else " Models with a pyramid need --input_size."
        raise ExportError(f"TensorFlow Lite cannot convert this model.{advice}\n{error}") from error


def suppress(boxes, scores, *, max_output, iou_threshold, score_threshold, soft_sigma=0.0):
    """`nms.suppression_by`'s function: a loop without lists of tensors."""
    if soft_sigma > 0:
        raise ExportError("TensorFlow Lite's Soft-NMS differs from TensorFlow's")
    sets = tf.shape(scores)[0]

    def one(number, rows, best):
        row, score, count = tf.raw_ops.NonMaxSuppressionV5(
            boxes=boxes[number],
            scores=scores[number],
            max_output_size=max_output,
            iou_threshold=iou_threshold,
            score_threshold=score_threshold,
            soft_nms_sigma=0.0,
            pad_to_max_output_size=True,
        )
        score = tf.where(tf.range(max_output) < count, score, _DROPPED)
        at = tf.reshape(number, [1, 1])
        rows = tf.tensor_scatter_nd_update(rows, at, row[tf.newaxis])
        return number + 1, rows, tf.tensor_scatter_nd_update(best, at, score[tf.newaxis])

    _, rows, best = tf.while_loop(
        lambda number, *_: number < sets,
        one,
        (0, tf.zeros([sets, max_output], tf.int32), tf.zeros([sets, max_output])),
        shape_invariants=(tf.TensorShape([]), *[tf.TensorShape([None, max_output])] * 2),
    )
    return rows, best


def tflite_runner(path, threads=None):
    """Return a function {name: array} of images [B, h, w, 3], run by TensorFlow's interpreter."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the interpreter has moved to a package of its own
        running = tf.lite.Interpreter(model_path=str(path), num_threads=threads)
    signature = running.get_signature_runner()  # sets the input's size before each run
    return lambda images: signature(**{INPUT: images})
