"""A run on a network of twelve weights, for the tests of the loop; also a command.

`python tiny_run.py MODEL_DIR NUM_STEPS [seconds a step]` trains in MODEL_DIR, resuming by itself,
and prints its final weights.
"""

import sys
import time
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from object_detection.builders.optimizer_builder import Momentum, OptimizerPlan
from object_detection.checkpoints.manager import (
    CheckpointDirectory,
    RunState,
    entries_of,
    fresh_state,
)
from object_detection.checkpoints.variables import path_of
from object_detection.data.report import InputReport
from object_detection.ops import schedules
from object_detection.structures.batch import (
    Batch,
    CroppedMasks,
    Detections,
    GroundTruth,
    Images,
    Losses,
)
from object_detection.training import train_loop, train_step
from object_detection.training.optimizer import Optimizer
from object_detection.training.summaries import Summaries


class TinyNetwork(keras.Model):
    """Has the face of a detector: two losses that depend on the batch and on the seed."""

    num_classes = 2

    def __init__(self, width=3):
        super().__init__(name="tiny")
        # In a list, as Keras 3 loses from its own checkpoints.
        self.parts = [
            keras.layers.Dense(width, name="first"),
            keras.layers.BatchNormalization(name="norm"),
        ]
        self.width = width
        self.build()

    def build(self, input_shape=None):
        for part in self.parts:
            part.build((None, 3 if part.name == "first" else self.width))

    def call(self, images, truth=None, training=False, seed=None):
        noise = tf.random.stateless_uniform([3], seed)
        mean = tf.reduce_mean(images.pixels, axis=[1, 2]) / 255.0 + noise
        return self.parts[1](self.parts[0](mean), training=training)

    def losses_of(self, images, truth, outputs, seed=None):
        target = tf.reduce_sum(truth.boxes, axis=[1, 2])[:, tf.newaxis] / 100.0
        return Losses(tf.reduce_mean((outputs - target) ** 2), tf.reduce_mean(tf.abs(outputs)))

    def regularization_loss(self):
        return 0.01 * tf.reduce_sum(self.parts[0].kernel.value ** 2)

    def evaluate_batch(self, images, truth, seed=None):
        """Finds every true box, with the scores 1.0, 0.9 ..., and a mask that fills it."""
        count, boxes = tf.shape(truth.boxes)[0], truth.boxes.shape[1]
        scores = tf.where(truth.valid, 1.0 - 0.1 * tf.range(boxes, dtype=tf.float32), 0.0)
        found = Detections(
            boxes=truth.boxes,
            scores=scores,
            classes=truth.classes,
            valid=truth.valid,
            masks=tf.ones([count, boxes, 4, 4]),
        )
        outputs = self(images, truth, seed=seed)
        return found, self.losses_of(images, truth, outputs, seed=seed)


class Input(NamedTuple):
    """Stands for the dataset builder's pipeline."""

    dataset: tf.data.Dataset
    report: InputReport


def batch_number(number, batch_size=2) -> Batch:
    """Batch `number` of a data set without end, as numpy: 6 x 8 images, stored at 12 x 16."""
    rng = np.random.default_rng(number)
    boxes = np.array([[[1, 1, 4, 5], [2, 2, 5, 7], [0, 0, 0, 0]]] * batch_size, np.float32)
    boxes[:, 0, 3] += rng.integers(0, 2, batch_size)
    objects = (batch_size, 3)
    masks = np.zeros((*objects, 12, 16), np.uint8)
    for image, image_boxes in enumerate(boxes.astype(int) * 2):
        for k, (top, left, bottom, right) in enumerate(image_boxes):
            masks[image, k, top:bottom, left:right] = 1
    return Batch(
        Images(
            rng.uniform(0, 255, (batch_size, 6, 8, 3)).astype(np.float32),
            np.array([[6, 8]] * batch_size, np.int32),
        ),
        GroundTruth(
            boxes=boxes,
            classes=np.array([[1, 2, 0]] * batch_size, np.int32),
            valid=np.array([[True, True, False]] * batch_size),
            weights=np.ones(objects, np.float32),
            crowd=np.zeros(objects, bool),
            difficult=np.zeros(objects, bool),
            area=np.zeros(objects, np.float32),
            masks=CroppedMasks(masks, np.array([[12, 16]] * batch_size, np.int32)),
        ),
        np.array([f"image{number}_{k}".encode() for k in range(batch_size)]),
        np.array([[12, 16]] * batch_size, np.int32),
        rng.integers(0, 256, (batch_size, 12, 16, 3)).astype(np.uint8),
    )


def dataset(first=0, count=None, batch_size=2) -> tf.data.Dataset:
    """Batches `first`, `first + 1` ..., without end unless `count` is given."""
    flat = tf.nest.flatten(batch_number(0, batch_size))  # None where a structure has nothing
    present = [part for part in flat if part is not None]
    types = [tf.string if part.dtype.kind == "S" else tf.as_dtype(part.dtype) for part in present]

    def values(number):
        return [
            part for part in tf.nest.flatten(batch_number(number, batch_size)) if part is not None
        ]

    def load(number):
        parts = tf.numpy_function(lambda n: values(int(n)), [number], types)
        for part, example in zip(parts, present, strict=True):
            part.set_shape([None, *example.shape[1:]])
        rest = iter(parts)
        parts = [None if part is None else next(rest) for part in flat]
        return tf.nest.pack_sequence_as(batch_number(0, batch_size), parts)

    numbers = tf.data.Dataset.counter(first, dtype=tf.int64)
    return (numbers if count is None else numbers.take(count)).map(load)


def split(batch, pieces):
    """A batch as so many equal ones, one behind the other in a new first dimension."""

    def cut(part):
        return None if part is None else tf.reshape(part, [pieces, -1, *part.shape[1:]])

    return tf.nest.map_structure(cut, batch)


class Parts(NamedTuple):
    """What `train_loop.train` needs."""

    network: TinyNetwork
    optimizer: Optimizer
    state: RunState


def parts(*, seed=0, width=3, average_decay=0.9, strategy=None) -> Parts:
    """A fresh network with momentum and averages; its state outside the strategy, as in a run."""
    keras.utils.set_random_seed(seed)
    with (strategy or tf.distribute.get_strategy()).scope():
        network = TinyNetwork(width)
        weights = {path_of(v): v.value for v in network.trainable_variables}
        plan = OptimizerPlan(
            Momentum(0.9),
            schedules.cosine_with_warmup(0.1, total_steps=50, warmup_rate=0.01, warmup_steps=5),
            average_decay,
        )
        optimizer = Optimizer(plan, weights)
    return Parts(network, optimizer, fresh_state(network, optimizer))


def step_of(made: Parts, **settings):
    """The compiled step of these parts."""
    return train_step.build_train_step(
        made.network,
        made.optimizer,
        train_step.StepSettings(**settings),
        tf.distribute.get_strategy(),
    )


def run(model_dir, num_steps, *, made=None, evaluate=None, pause=0.0, **settings):
    """Trains in a folder, from its newest checkpoint on; gives the parts and the exit code."""
    made = made or parts()
    keeper = CheckpointDirectory(model_dir)
    keeper.restore_newest(made.state)
    step = step_of(made)

    def slowed(iterator, number):
        time.sleep(pause)
        return step(iterator, number)

    code = train_loop.train(
        slowed if pause else step,
        iter(dataset(int(made.state.step.numpy()))),
        made.state,
        train_loop.LoopSettings(
            **{"num_steps": num_steps, "batch_size": 2, "checkpoint_every_n": 5, **settings}
        ),
        checkpoints=keeper,
        summaries=Summaries(None),
        hooks=train_loop.Hooks(evaluate=evaluate),
    )
    return made, code


def values(made: Parts) -> dict:
    """Everything that a checkpoint is to hold, as arrays."""
    entries = entries_of(made.state)
    return {key: variable.numpy() for key, variable in entries.items() if key != "bad_records"}


if __name__ == "__main__":
    from absl import logging

    logging.set_verbosity(logging.INFO)
    done, exit_code = run(
        sys.argv[1], int(sys.argv[2]), pause=float((sys.argv[3:] or ["0"])[0]), log_every_n_steps=1
    )
    for key, value in sorted(values(done).items()):
        print("RESULT", key, *map(float.hex, np.ravel(value).astype(float).tolist()))
    sys.exit(exit_code)
