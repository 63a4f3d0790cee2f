"""A detector as a TensorFlow Lite model, of its built-in operations alone."""

import tensorflow as tf

from object_detection.export.portable_model import INPUT, PortableModel

WEIGHTS = ("float32", "float16")
_DROPPED = -float("inf")


def convert(restored, form, *, weights="float32"):
    """The TensorFlow Lite model of a detector, as bytes.

    Its signature `serving_default` bears the SavedModel's names.

    Args:
        restored: `portable_model.Restored`.
        form: `portable_model.Form`.
        weights: how they are stored, one of `WEIGHTS`; computed is in float32.

    Raises:
        ValueError: what the converter says where the model needs other operations.
    """
    model = PortableModel(restored, suppress, form)
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
        advice = "" if form.size else " Models with a pyramid need --input_size."
        raise ValueError(f"TensorFlow Lite can't convert this.{advice}\n{error}") from error


def suppress(boxes, scores, *, max_output, iou_threshold, score_threshold, soft_sigma=0.0):
    """`nms.suppression_by`'s function: a loop without lists of tensors."""
    if soft_sigma > 0:
        raise ValueError("TensorFlow Lite's Soft-NMS differs from TensorFlow's")
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


def interpreter(path, threads=None):
    """A function {name: array} of images [B, h, w, 3], by TensorFlow's own interpreter."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the interpreter has moved to a package of its own
        running = tf.lite.Interpreter(model_path=str(path), num_threads=threads)
    signature = running.get_signature_runner()  # sets the input's size before each run
    return lambda images: signature(**{INPUT: images})
