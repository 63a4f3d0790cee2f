"""This package's side of a comparison; `benchmarks/compare.py` runs it.

    python ours.py export MODEL PRECISION FOLDER [--proposals N] [--checkpoint TFOD'S]
    python ours.py infer FOLDER HEIGHT WIDTH [--save FILE]
    python ours.py train MODEL PRECISION HEIGHT WIDTH BATCH [--checkpointing]
    python ours.py flops MODEL HEIGHT WIDTH [--proposals N]

`export` writes a SavedModel as `exporter_main_v2 --optimize` does; `infer` loads and runs it.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[2]))

import models
import numpy as np
import tensorflow as tf
import worker
from google.protobuf import text_format

from object_detection.protos import pipeline_pb2


def config_of(name, proposals=None):
    """A whole pipeline config with the model of that name."""
    config = pipeline_pb2.TrainEvalPipelineConfig()
    text_format.Parse(models.text_of(name, proposals), config.model)
    text_format.Parse(
        "momentum_optimizer { momentum_optimizer_value: 0.9 learning_rate { "
        "constant_learning_rate { learning_rate: 1e-4 } } } use_moving_average: false",
        config.train_config.optimizer,
    )
    return config


def network_of(config, *, is_training, precision="float32"):
    """The network of a config, with weights like those of a trained one."""
    from object_detection.builders import model_builder

    tf.keras.utils.set_random_seed(1)
    network = model_builder.build_network(config.model, is_training, precision)
    generator = np.random.default_rng(0)
    for variable in network.variables:
        value = models.weight_like_a_trained_one(variable.path, variable.numpy(), generator)
        if value is not None:
            variable.assign(value)
    return network


def export(given):
    """Writes the model as a SavedModel and says how long that took."""
    from object_detection.builders import image_resizer_builder
    from object_detection.checkpoints.restore import restore
    from object_detection.export import options, preparation, serving

    config = config_of(given.model, given.proposals)
    start = time.perf_counter()
    network = network_of(config, is_training=False)
    if given.checkpoint:
        restore(network, given.checkpoint)
    resizer = image_resizer_builder.build(config.model.faster_rcnn.image_resizer)
    chosen = options.ExportOptions(optimize=True, precision=given.precision, verify=False)
    folder = Path(given.folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = preparation.Export(config, chosen, network, resizer, None, ())
    serving.save(preparation.served(model, folder).module, folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    seconds = time.perf_counter() - start
    print(worker.MARK + json.dumps({"seconds": seconds, "mb": size / 1e6}), flush=True)


def infer(given):
    """Runs a SavedModel on one image."""
    start = time.perf_counter()
    loaded = tf.saved_model.load(given.folder)
    function = loaded.signatures["serving_default"]
    image = tf.constant(models.image(given.height, given.width))
    seconds = time.perf_counter() - start

    def run():
        return {name: value.numpy() for name, value in function(input_tensor=image).items()}

    if given.save:
        np.savez(given.save, **run())
    worker.serve(run, load_seconds=seconds)


def train(given):
    """Takes training steps on one batch, the ones that `model_main` takes."""
    from object_detection.builders import optimizer_builder
    from object_detection.modeling import recomputation
    from object_detection.structures.batch import Batch, CroppedMasks, GroundTruth, Images
    from object_detection.training import train_step, trained_weights
    from object_detection.training.optimizer import Optimizer

    config, batch = config_of(given.model), given.batch
    network = network_of(config, is_training=True, precision=given.precision)
    if given.checkpointing:
        recomputation.turn_on(network)
    boxes, classes, masks = models.objects(given.height, given.width)
    shape = tf.constant([[given.height, given.width]] * batch, tf.int32)

    def of_batch(values, dtype):
        return tf.constant(np.stack([values] * batch), dtype)

    zeros = tf.zeros([batch, models.OBJECTS])
    truth = GroundTruth(
        boxes=of_batch(boxes, tf.float32),
        classes=of_batch(classes, tf.int32),
        valid=tf.ones_like(zeros, tf.bool),
        weights=tf.ones_like(zeros),
        crowd=tf.zeros_like(zeros, tf.bool),
        difficult=tf.zeros_like(zeros, tf.bool),
        area=zeros,
        masks=CroppedMasks(of_batch(masks, tf.uint8), shape),
    )
    pixels = of_batch(models.image(given.height, given.width)[0], tf.float32)
    examples = Batch(Images(pixels, shape), truth, tf.constant(["0"] * batch), shape)
    plan = optimizer_builder.build(config.train_config.optimizer)
    optimizer = Optimizer(plan, trained_weights.select(network))
    step_function = train_step.build_train_step(
        network,
        optimizer,
        train_step.StepSettings(gradient_clipping_by_norm=10.0),
        tf.distribute.get_strategy(),
    )
    iterator = iter(tf.data.Dataset.from_tensors(examples).repeat())
    number = tf.constant(0, tf.int64)

    def step():
        found = step_function(iterator, number)
        return {name: float(value) for name, value in found.losses.items()}

    worker.serve(step)


def flops(given):
    """Counts the arithmetic of convolutions and matrix products for one image."""
    from tensorflow.python.framework import convert_to_constants

    from object_detection.export import batching, preparation

    network = network_of(config_of(given.model, given.proposals), is_training=False)
    preparation.fold_norms(network)
    frozen = convert_to_constants.convert_variables_to_constants_v2(
        batching.Detector(network).concrete, lower_control_flow=False
    )
    v1, graph = tf.compat.v1, tf.Graph()
    with graph.as_default():
        tf.import_graph_def(frozen.graph.as_graph_def(), name="")
        counted = [op for op in graph.get_operations() if op.type in _REDUCED]
        shapes = [([tf.shape(x) for x in op.inputs], tf.shape(op.outputs[0])) for op in counted]
    image = models.image(given.height, given.width).astype(np.float32)
    names = [tensor.name for tensor in frozen.inputs[:2]]
    feeds = {names[0]: image, names[1]: [[given.height, given.width]]}
    with v1.Session(graph=graph) as session:
        shapes = session.run(shapes, feeds)
    total = sum(
        2.0 * np.prod(output, dtype=np.float64) * _REDUCED[op.type](op, inputs)
        for op, (inputs, output) in zip(counted, shapes, strict=True)
    )
    print(worker.MARK + json.dumps({"gflop": total / 1e9}), flush=True)


# How many products are summed up to one number of an operation's output.
_REDUCED = {
    "Conv2D": lambda op, inputs: np.prod(inputs[1][:3], dtype=np.float64),
    "DepthwiseConv2dNative": lambda op, inputs: np.prod(inputs[1][:2], dtype=np.float64),
    "MatMul": lambda op, inputs: inputs[0][0 if op.get_attr("transpose_a") else 1],
    "BatchMatMulV2": lambda op, inputs: inputs[0][-2 if op.get_attr("adj_x") else -1],
}


def main():
    """Does the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    work = parser.add_subparsers(dest="work", required=True)
    for name, function in (
        ("export", export),
        ("infer", infer),
        ("train", train),
        ("flops", flops),
    ):
        one = work.add_parser(name)
        one.set_defaults(function=function)
        if name != "infer":
            one.add_argument("model", choices=models.NAMES)
        if name in ("export", "train"):
            one.add_argument("precision", choices=("float32", "bfloat16"))
        if name in ("export", "infer"):
            one.add_argument("folder")
        if name != "export":
            one.add_argument("height", type=int)
            one.add_argument("width", type=int)
        if name in ("export", "flops"):
            one.add_argument("--proposals", type=int)
        if name == "export":
            one.add_argument("--checkpoint")
        if name == "infer":
            one.add_argument("--save", help="writes the outputs there")
        if name == "train":
            one.add_argument("batch", type=int)
            one.add_argument("--checkpointing", action="store_true")
    given = parser.parse_args()
    given.function(given)


if __name__ == "__main__":
    main()
