"""Makes tests/parity/goldens/*.npz by TFOD 2.8 itself, from the configs there and made inputs.

Runs in an environment with TFOD 2.8.0.post1 on TensorFlow 2.13 (Python 3.10, protobuf 3.20; its
`slim` folder on the path too), from a folder where `object_detection` is TFOD's:

    python make_goldens.py FOLDER_OF_GOLDENS [NAME ...]

A golden holds what `postprocess` gives for the image, the losses in training, and the norms of all
gradients, by TFOD's checkpoint keys.
"""

import importlib
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))
import made_inputs  # noqa: E402

SCALES = {"resnet": {"gain": 1.0, "pixel_spread": 100.0}}
OTHERS = {"gain": 2.0, "pixel_spread": 0.8}
KEPT = (
    "detection_boxes",
    "detection_scores",
    "detection_classes",
    "detection_multiclass_scores",
    "detection_masks",
)
FEATURES = ("detection_features", "cropped_rpn_box_features")


def scales_of(name):
    """Arguments of `made_inputs.weight` for a golden."""
    return SCALES["resnet"] if name.startswith("resnet") else OTHERS


def _let_tf1_models_import():
    """TFOD's slim models want modules and names that TensorFlow 2 and numpy have dropped."""

    class Nothing(types.ModuleType):
        __path__ = ()

        def __getattr__(self, name):
            return None

    for name in ("image", "image.python", "image.python.ops", "image.python.ops.image_ops"):
        sys.modules.setdefault("tensorflow.contrib", Nothing("tensorflow.contrib"))
        sys.modules[f"tensorflow.contrib.{name}"] = Nothing(f"tensorflow.contrib.{name}")
    for name in ("framework", "opt", "tpu", "lookup", "quantize"):
        sys.modules[f"tensorflow.contrib.{name}"] = Nothing(f"tensorflow.contrib.{name}")
    np.int, np.float, np.bool = int, float, bool  # noqa: NPY001
    layers = importlib.import_module("keras.src.legacy_tf_layers")
    sys.modules["keras.legacy_tf_layers"] = layers
    for name in ("base", "convolutional", "core", "normalization", "pooling"):
        module = importlib.import_module(f"keras.src.legacy_tf_layers.{name}")
        sys.modules[f"keras.legacy_tf_layers.{name}"] = module


def _model(name, is_training):
    from google.protobuf import text_format

    from object_detection.builders import model_builder
    from object_detection.protos import pipeline_pb2

    base, _, variant = name.partition("+")
    text = (FOLDER / "goldens" / f"{base}.config").read_text()
    config = text_format.Parse(text, pipeline_pb2.TrainEvalPipelineConfig())
    text_format.Merge(made_inputs.VARIANTS.get(variant, ""), config.model.faster_rcnn)
    return model_builder.build(config.model, is_training=is_training, add_summaries=False)


def _infer(model, tf):
    pixels = tf.constant(made_inputs.image()[np.newaxis].astype(np.float32))
    images, shapes = model.preprocess(pixels)
    prediction = model.predict(images, shapes)
    return model.postprocess(prediction, shapes), prediction


def _losses(model, tf):
    boxes, classes, masks = made_inputs.ground_truth()
    model.provide_groundtruth(
        groundtruth_boxes_list=[tf.constant(boxes)],
        groundtruth_classes_list=[tf.one_hot(classes, 3)],
        groundtruth_masks_list=[tf.constant(masks.astype(np.float32))],
        groundtruth_weights_list=[tf.ones([len(boxes)])],
    )
    pixels = tf.constant(made_inputs.image()[np.newaxis].astype(np.float32))
    images, shapes = model.preprocess(pixels)
    losses = model.loss(model.predict(images, shapes), shapes)
    return losses, tf.add_n(model.regularization_losses() or [tf.zeros([])])


def _kept(outputs, prediction, losses, regularization, norms):
    """Everything of a golden as arrays."""
    arrays = {f"post/{k}": np.asarray(v) for k, v in outputs.items() if k in KEPT}
    arrays["post/num_detections"] = np.asarray(outputs["num_detections"])
    for key in FEATURES:
        if key in outputs:
            arrays[f"post/{key}"] = np.asarray(outputs[key]).reshape(-1)[::501]
    for key in ("rpn_box_encodings", "rpn_objectness_predictions_with_background"):
        arrays[f"predict/{key}"] = np.asarray(prediction[key])[:, ::7]
    arrays |= {f"loss/{k}": np.asarray(v) for k, v in losses.items()}
    if regularization is not None:
        arrays["loss/regularization"] = np.asarray(regularization)
    arrays["gradient/keys"] = np.array(list(norms), dtype=str)
    arrays["gradient/norms"] = np.array(list(norms.values()), np.float32)
    return arrays


def _tf2_golden(name, with_losses):
    import tensorflow as tf

    def restored(is_training):
        model = _model(name, is_training)
        if is_training:
            tf.keras.backend.set_learning_phase(True)
            _losses(model, tf)
        else:
            _infer(model, tf)
        checkpoint = tf.train.Checkpoint(model=model)
        with tempfile.TemporaryDirectory() as folder:
            reader = tf.train.load_checkpoint(checkpoint.save(f"{folder}/first"))
            shapes = reader.get_variable_to_shape_map()
            values = {}
            for key, shape in shapes.items():
                if key.startswith("model/"):
                    values[key] = made_inputs.weight(key, shape, **scales_of(name))
                else:
                    values[key] = reader.get_tensor(key)
            tf.raw_ops.SaveV2(
                prefix=f"{folder}/made",
                tensor_names=list(values),
                shape_and_slices=[""] * len(values),
                tensors=[tf.constant(v) for v in values.values()],
            )
            checkpoint.restore(f"{folder}/made").assert_existing_objects_matched()
        return model, checkpoint

    model, _ = restored(False)
    outputs, prediction = _infer(model, tf)
    if not with_losses:
        return _kept(outputs, prediction, {}, None, {})
    model, checkpoint = restored(True)
    with tf.GradientTape() as tape:
        losses, regularization = _losses(model, tf)
        total = tf.add_n(list(losses.values()))
    gradients = tape.gradient(total, model.trainable_variables)
    keys = _keys_of(checkpoint, tf)
    norms = {
        keys[v.ref()]: float(tf.norm(tf.convert_to_tensor(g)))
        for v, g in zip(model.trainable_variables, gradients, strict=True)
        if g is not None
    }
    return _kept(outputs, prediction, losses, regularization, norms)


def _keys_of(checkpoint, tf):
    """{variable: its checkpoint key}."""
    from tensorflow.python.checkpoint import graph_view

    named, _, _ = graph_view.ObjectGraphView(checkpoint).serialize_object_graph()
    return {
        saveable.op.ref(): saveable.name.removesuffix("VARIABLE_VALUE") + "VARIABLE_VALUE"
        for saveable in named
        if hasattr(saveable.op, "ref")
    }


def _tf1_golden(name, with_losses):
    import tensorflow as tf2

    _let_tf1_models_import()
    tf = tf2.compat.v1
    tf.disable_v2_behavior()

    def session_of(graph):
        session = tf.Session(graph=graph)
        for variable in tf.global_variables():
            key, shape = variable.op.name, variable.shape.as_list()
            made = made_inputs.weight(key, shape, **scales_of(name)) if shape else 0
            variable.load(made, session)
        return session

    with tf.Graph().as_default() as graph:
        outputs, prediction = _infer(_model(name, False), tf)
        keys = ("rpn_box_encodings", "rpn_objectness_predictions_with_background")
        wanted = {k: prediction[k] for k in keys}
        outputs, prediction = session_of(graph).run([outputs, wanted])
    if not with_losses:
        return _kept(outputs, prediction, {}, None, {})
    with tf.Graph().as_default() as graph:
        losses, _ = _losses(_model(name, True), tf)
        total = tf.add_n(list(losses.values()))
        regularization = tf.add_n(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))
        variables = tf.trainable_variables()
        gradients = zip(variables, tf.gradients(total, variables), strict=True)
        norms = {v.op.name: tf.norm(tf.convert_to_tensor(g)) for v, g in gradients if g is not None}
        fetched = session_of(graph).run([losses, regularization, norms])
    return _kept(outputs, prediction, *fetched)


def main(target, names):
    """Makes goldens, each in a process of its own (TF1 and TF2 modes exclude each other)."""
    if len(names) != 1:
        every = names or sorted(path.stem for path in (FOLDER / "goldens").glob("*.config"))
        for name in every:
            subprocess.run([sys.executable, __file__, target, name], check=True)
        return
    (name,) = names
    base, _, variant = name.partition("+")
    make = _tf2_golden if base.endswith("_keras") else _tf1_golden
    # TFOD fails in training with masks and a padding resizer; dropout makes losses random.
    padded = "pad_to_max_dimension: true" in (FOLDER / "goldens" / f"{base}.config").read_text()
    arrays = make(name, with_losses=not padded and variant != "dropout")
    np.savez_compressed(Path(target) / f"{name}.npz", **arrays)
    print(name, {k: v.shape for k, v in arrays.items() if k.startswith("post/")})
    print({k: float(v) for k, v in arrays.items() if k.startswith("loss/")})
    print(arrays["post/detection_scores"], arrays["post/detection_classes"])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
