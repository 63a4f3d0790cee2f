"""TFOD's side of a comparison; `benchmarks/compare.py` runs it with a Python that has TFOD.

    python tfod.py export MODEL FOLDER
    python tfod.py infer FOLDER/saved_model HEIGHT WIDTH [--save FILE]
    python tfod.py train MODEL HEIGHT WIDTH BATCH

It is started outside this repository, whose package has the name of TFOD's.
"""

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import models
import numpy as np
import tensorflow as tf
import worker
from google.protobuf import text_format


def config_of(name):
    """A pipeline config with the model of that name."""
    from object_detection.protos import pipeline_pb2

    config = pipeline_pb2.TrainEvalPipelineConfig()
    text_format.Parse(models.text_of(name), config.model)
    text_format.Parse(
        "optimizer { momentum_optimizer { momentum_optimizer_value: 0.9 learning_rate { "
        "constant_learning_rate { learning_rate: 1e-4 } } } use_moving_average: false }",
        config.train_config,
    )
    return config


def give_weights(variables):
    """Weights like those of a trained network."""
    generator = np.random.default_rng(0)
    for variable in variables:
        path = variable.name.split(":")[0]
        value = models.weight_like_a_trained_one(path, variable.numpy(), generator)
        if value is not None:
            variable.assign(value)


def export(name, folder):
    """Writes a checkpoint and the SavedModel that TFOD's exporter makes of it."""
    from object_detection import exporter_lib_v2
    from object_detection.builders import model_builder

    config = config_of(name)
    model = model_builder.build(config.model, is_training=False)
    exporter_lib_v2.DetectionFromImageModule(model).__call__.get_concrete_function()
    give_weights(model.variables)
    tf.train.Checkpoint(model=model).save(os.path.join(folder, "checkpoint_in", "ckpt"))
    start = time.perf_counter()
    exporter_lib_v2.export_inference_graph(
        "image_tensor", config, os.path.join(folder, "checkpoint_in"), folder
    )
    print(worker.MARK + json.dumps({"seconds": time.perf_counter() - start}), flush=True)


def infer(folder, height, width, save=None):
    """Runs a SavedModel on one image."""
    start = time.perf_counter()
    loaded = tf.saved_model.load(folder)
    function = loaded.signatures["serving_default"]
    image = tf.constant(models.image(int(height), int(width)))
    seconds = time.perf_counter() - start

    def run():
        return {key: value.numpy() for key, value in function(input_tensor=image).items()}

    if save:
        np.savez(save, **run())
    worker.serve(run, load_seconds=seconds)


def train(name, height, width, batch):
    """Takes training steps on one batch, as TFOD's training loop does."""
    from object_detection import model_lib_v2
    from object_detection.builders import model_builder, optimizer_builder
    from object_detection.core import standard_fields

    height, width, batch = int(height), int(width), int(batch)
    config = config_of(name)
    model = model_builder.build(config.model, is_training=True)
    counter = tf.Variable(0, dtype=tf.int64, trainable=False)
    optimizer, _ = optimizer_builder.build(config.train_config.optimizer, global_step=counter)
    features, labels = batch_of(standard_fields.InputDataFields, height, width, batch)

    @tf.function
    def take_step(features, labels):
        return model_lib_v2.eager_train_step(
            model,
            features,
            labels,
            True,
            optimizer,
            training_step=counter,
            add_regularization_loss=True,
            clip_gradients_value=10.0,
        )

    def step():
        return {key: float(value) for key, value in take_step(features, labels).items()}

    # Once, so that the weights are there; then they are made like a trained network's.
    step()
    give_weights(model.variables)
    worker.serve(step)


def batch_of(keys, height, width, batch):
    """What TFOD's input pipeline hands to a step: objects padded to 100, masks at image size."""
    padded = 100
    boxes, classes, masks = models.objects(height, width)
    count = len(boxes)

    def pad(values):
        values = np.pad(values, [[0, padded - count]] + [[0, 0]] * (values.ndim - 1))
        return tf.constant(np.stack([values] * batch))

    one_hot = np.eye(models.CLASSES, dtype=np.float32)[classes - 1]
    image = models.image(height, width)[0].astype(np.float32)
    shape = np.array([height, width, 3], np.int32)
    features = {
        keys.image: tf.constant(np.stack([image] * batch)),
        keys.true_image_shape: tf.constant(np.stack([shape] * batch)),
    }
    labels = {
        keys.num_groundtruth_boxes: tf.constant([count] * batch),
        keys.groundtruth_boxes: pad(boxes / np.float32([height, width, height, width])),
        keys.groundtruth_classes: pad(one_hot),
        keys.groundtruth_weights: pad(np.ones(count, np.float32)),
        keys.groundtruth_instance_masks: pad(masks.astype(np.float32)),
    }
    return features, labels


if __name__ == "__main__":
    {"export": export, "infer": infer, "train": train}[sys.argv[1]](*sys.argv[2:])
