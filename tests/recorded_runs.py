"""What a config makes of its parts, as fingerprints: networks, optimizers, inputs, whole runs.

The builders are the real ones. In place of what is slow and of no interest here (layers with their
variables, TensorFlow's pipelines, the loops) are recorders of their arguments.
"""

import contextlib
from types import SimpleNamespace
from unittest import mock

import tensorflow as tf
from fingerprints import ANYTHING, Anything, fingerprint

from object_detection.builders import (
    dataset_builder,
    image_resizer_builder,
    model_builder,
    optimizer_builder,
    preprocessor_builder,
)
from object_detection.checkpoints import restore
from object_detection.training import eval_loop, jobs

_PARTS = "FasterRCNN RegionProposalNetwork RoiStage MaskStage MaskHead BoxHead RoiCropper".split()
_STEPS = (0, 1, 5, 11, 50, 99)  # of learning rates


class RecordedPart:
    """Stands for a part of a network: its name and its arguments."""

    box_trunk = None

    def __init__(self, part, *args, **kwargs):
        self.arguments = (part, args, kwargs)

    def build(self):
        """Makes nothing."""


def network(config):
    """Of the network, for training and without, and of the resizer before it."""
    rows = {
        name: row._replace(build=lambda spec, name=name: RecordedPart(name, spec))
        for name, row in model_builder.BACKBONES.items()
    }
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(model_builder, "BACKBONES", rows))
        for setter in ("compute_in", "use_rewrites"):
            stack.enter_context(mock.patch.object(model_builder, setter, ANYTHING))
        for part in _PARTS:
            teller = lambda *args, part=part, **kwargs: RecordedPart(part, *args, **kwargs)  # noqa: E731
            stack.enter_context(mock.patch.object(model_builder, part, teller))
        built = [model_builder.build_network(config.model, training) for training in (True, False)]
    resizer = image_resizer_builder.build(config.model.faster_rcnn.image_resizer)
    return fingerprint([built, resizer])


def optimizer(config):
    """Of the rule, the rates of some steps and the averages."""
    plan = optimizer_builder.build(config.train_config.optimizer)
    rates = [float(plan.learning_rate(tf.constant(step, tf.int64))) for step in _STEPS]
    return fingerprint([plan.rule, plan.average_decay, rates])


def augmentations(config):
    """Of all steps."""
    steps = config.train_config.data_augmentation_options
    return fingerprint(preprocessor_builder.build_all(steps, 100))


def runs(config):
    """Of a training, of an evaluation, of the input of both, and of the weights to start from."""
    reported = []
    with contextlib.ExitStack() as stack:

        def stand_in(place, name, result=None, *, effect=None, says=True):
            def call(*args, **kwargs):
                if says:
                    reported.append((name, fingerprint([args, kwargs])))
                return effect(*args, **kwargs) if effect else result

            stack.enter_context(mock.patch.object(place, name, call))

        stand_in(dataset_builder.pipeline, "build", ANYTHING)
        _train(config, stack, stand_in)
        _evaluate(config, stack, stand_in, reported)
        _fine_tune(config, stand_in)
    return reported


def _train(config, stack, stand_in):
    """With the rest of a run; its functions, which hold the config, are left out."""
    keeper = Anything(directory="run", restore_newest=lambda state: None)
    for name in ("_log_start", "Optimizer", "Summaries", "pipeline_file"):
        stack.enter_context(mock.patch.object(jobs, name, ANYTHING))
    for name in ("optimizer_builder", "restore"):
        stack.enter_context(mock.patch.object(jobs, name, ANYTHING))
    stack.enter_context(mock.patch.object(jobs, "distribution", _distribution()))
    network = SimpleNamespace(num_classes=2)
    stand_in(jobs.model_builder, "build_network", network)
    stand_in(jobs.trained_weights, "select")
    stand_in(jobs.trained_weights, "freeze_batch_norm")
    stack.enter_context(mock.patch.object(jobs.manager, "fresh_state", ANYTHING))
    stand_in(jobs.manager, "CheckpointDirectory", keeper)
    stand_in(jobs.train_step, "StepSettings")
    stand_in(jobs.train_step, "build_train_step")
    stand_in(jobs.train_loop, "LoopSettings", SimpleNamespace(batch_size=1))
    stand_in(jobs.train_loop, "train", says=False)
    stack.enter_context(mock.patch.object(jobs, "warn_of_short_run", ANYTHING))
    jobs.train(config, jobs.TrainOptions("run"))


def _distribution():
    return Anything(
        batch_of_a_replica=lambda batch_size, strategy: batch_size,
        iterate=lambda strategy, build_dataset: build_dataset(0, 1),
    )


def _evaluate(config, stack, stand_in, reported):
    def evaluator(*args, **kwargs):
        """Results of functions count, not the functions."""
        made = [one() if callable(one) else one for one in (*args, *kwargs.values())]
        reported.append(("Evaluator makes", fingerprint(made)))
        return Anything(evaluate=lambda *_: {}, name="")

    def evaluate_checkpoints(_, newest, evaluate_one, waiting):
        reported.append(("waits", fingerprint(waiting)))
        evaluate_one("ckpt-1")

    # The text of the whole config, which TensorBoard gets, says nothing of what is gone by.
    stack.enter_context(mock.patch.object(eval_loop, "pipeline_file", ANYTHING, create=True))
    stand_in(jobs.manager, "read_weights", 0)
    stand_in(eval_loop, "evaluate_checkpoints", effect=evaluate_checkpoints, says=False)
    stand_in(eval_loop, "Evaluator", effect=evaluator, says=False)
    jobs.evaluate(config, jobs.EvalOptions("run", "run"))


def _fine_tune(config, stand_in):
    """From a detection checkpoint of TF1."""
    names = ["FirstStageBoxPredictor/ClassPredictor/biases"]
    stored = SimpleNamespace(
        path="weights", file_format="checkpoint", shapes=names, is_object_based=False
    )
    stand_in(restore, "open_checkpoint", effect=lambda path: contextlib.nullcontext(stored))
    stand_in(restore, "_layers_of_classes", [])
    stand_in(restore, "_restore_named")
    stand_in(restore.logging, "warning")
    restore.restore_for_fine_tuning(SimpleNamespace(variables=()), config.train_config)
