"""Training and evaluation runs: builds the parts of a config and passes them to the loops."""

import contextlib
import functools
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from object_detection.builders import (
    dataset_builder,
    model_builder,
    optimizer_builder,
)
from object_detection.checkpoints import manager, restore, run_lock
from object_detection.config import pipeline_file
from object_detection.data import record_files
from object_detection.data.files import find_files
from object_detection.errors import RecordError, TrainingError
from object_detection.modeling import recomputation
from object_detection.modeling.precision import FLOAT32
from object_detection.training import (
    distribution,
    eval_loop,
    pictures,
    run_length,
    train_loop,
    train_step,
    trained_weights,
)
from object_detection.training.best import BestCheckpoint
from object_detection.training.inputs import Inputs
from object_detection.training.optimizer import Optimizer
from object_detection.training.summaries import Summaries

_IMAGES_IN_SUMMARY = 3  # TFOD's train_input_images
_GRADIENTS_EVERY = 100  # steps between two summaries of them, as in TFOD 1.x


class TrainOptions(NamedTuple):
    """Options of a training run besides its config."""

    model_dir: str
    checkpoint_every_n: int = 1000
    checkpoint_max_to_keep: int = 7
    log_every_n_steps: int = 20
    eval_every_n_steps: int = 0  # 0: no evaluation in this process
    best_metric: str = ""  # of the evaluations; '': no best checkpoint is kept
    early_stopping_patience: int = 0  # evaluations without a better one; 0: never stop early
    train_layers: str = "all"  # one of trained_weights.TRAINABLE_STAGES
    grad_accum_steps: int = 1  # batches of train_config.batch_size that make one step
    gradient_checkpointing: bool = False  # activations are computed again instead of being kept
    skip_non_finite: bool = False  # a step whose gradient is NaN or infinite; else the run ends
    record_summaries: bool = True  # pictures of the input; numbers are written in any case
    input_images_every_n_steps: int = 500
    num_workers: int = 1
    seed: int = 0
    strict: bool = False
    precision: str = ""  # one of modeling.precision.PRECISIONS; '': float32


class EvalOptions(NamedTuple):
    """Options of a separate evaluation besides its config."""

    model_dir: str
    checkpoint_dir: str
    run_once: bool = False
    best_metric: str = ""
    eval_timeout: float = 3600.0
    on_train_data: bool = False
    seed: int = 0
    strict: bool = False
    precision: str = ""  # as of `TrainOptions`


def train(config, options: TrainOptions) -> int:
    """Train the model of a TrainEvalPipelineConfig in `options.model_dir`; return the exit code.

    The weights come from the first of these:
      1. the newest checkpoint in model_dir, with optimizer, step and position in the examples;
      2. train_config.fine_tune_checkpoint, at step 0;
      3. the config's initializers.

    Raises:
        TrainingError: the run cannot start or continue, for example because another run uses
            model_dir.
    """
    strategy = distribution.choose_strategy(options.num_workers)
    if not distribution.is_chief(strategy):
        return _train(config, options, strategy)
    with run_lock.held(options.model_dir):
        return _train(config, options, strategy)


def _train(config, options, strategy):
    # Keras draws its initializers' seeds from here. TensorFlow's own global seed stays unset: it
    # would mix into the seeds of tf.data, which are given one by one.
    random.seed(options.seed)
    train_config = config.train_config
    with strategy.scope():
        network = _network(config, options, is_training=True)
        if options.gradient_checkpointing:
            recomputation.turn_on(network)
        weights = trained_weights.select(
            network,
            only=train_config.update_trainable_variables,
            freeze=train_config.freeze_variables,
            stages=options.train_layers,
        )
        trained_weights.freeze_batch_norm(options.train_layers, network)
        optimizer = Optimizer(optimizer_builder.build(train_config.optimizer), weights)
    best = _best(options)
    evaluation = _evaluation_within(config, options, network, optimizer, best, strategy)
    state = manager.fresh_state(network, optimizer)
    keeper = manager.CheckpointDirectory(
        options.model_dir,
        max_to_keep=options.checkpoint_max_to_keep,
        keep_every_n_hours=train_config.keep_checkpoint_every_n_hours,
    )
    _restore_weights(config, keeper, network, state)
    distribution.check_same_step(strategy, int(state.step.numpy()))
    if best is not None and best.is_over:
        logging.info("%s", best.why_over())
        return 0
    chief = distribution.is_chief(strategy)
    if chief:
        pipeline_file.save(config, options.model_dir)
    inputs, iterator = _training_inputs(config, options, strategy, state)
    step_settings = _step_settings(train_config, options)
    settings = _loop_settings(train_config, options)
    _log_start(strategy, settings, int(state.step.numpy()), options.grad_accum_steps)
    warn_of_short_run(config, settings.batch_size, int(state.step.numpy()))
    summaries = Summaries(Path(options.model_dir) / "train" if chief else None)
    summaries.code("pipeline.config", pipeline_file.as_text(config), int(state.step.numpy()))
    names = eval_loop.categories_of(config.train_input_reader, network.num_classes)
    with inputs.explain_errors():
        return train_loop.train(
            train_step.build_train_step(network, optimizer, step_settings, strategy),
            iterator,
            state,
            settings,
            checkpoints=keeper if chief else None,
            summaries=summaries,
            hooks=train_loop.Hooks(
                before_save=lambda: state.bad_records.assign("\n".join(inputs.bad_records())),
                save_batch=lambda step: _save_batch(config, options, strategy, inputs, step),
                evaluate=evaluation,
                should_stop=functools.partial(distribution.for_all_workers, strategy),
                draw_inputs=lambda batch: pictures.draw_inputs(batch, names),
                weight_names=list(optimizer.weights),
            ),
        )


def evaluate(config, options: EvalOptions) -> int:
    """Evaluate the checkpoints of `options.checkpoint_dir` as they appear; return the exit code."""
    network = _network(config, options, is_training=False)
    sets = eval_loop.build_evaluators(
        config, network, options.model_dir, options, on_train_data=options.on_train_data
    )
    directory = manager.CheckpointDirectory(options.checkpoint_dir)
    best = _best(options)
    if best is not None:
        best.check(eval_loop.metric_names(sets))

    def newest():
        return next(iter(directory.newest_first()), None)

    def evaluate_one(prefix):
        averages = config.eval_config.use_moving_averages
        step = manager.read_weights(prefix, network, averages=averages)
        logging.info("Evaluating %s, of step %d.", prefix, step)
        numbers = eval_loop.evaluate_all(sets, step)
        if best is not None:
            best.take(step, numbers, prefix)
        return step

    return eval_loop.evaluate_checkpoints(
        options.checkpoint_dir,
        newest,
        evaluate_one,
        eval_loop.Waiting(
            run_once=options.run_once,
            timeout=options.eval_timeout,
            interval=config.eval_config.eval_interval_secs,
            max_evals=config.eval_config.max_evals,
            last_step=config.train_config.num_steps,
        ),
    )


def _evaluation_within(config, options, network, optimizer, best, strategy):
    """Return what `train_loop.train` calls to evaluate; None if nothing is to be evaluated.

    Only the chief evaluates; all workers learn whether the run is over.
    """
    if not options.eval_every_n_steps:
        return None
    if not distribution.is_chief(strategy):
        over = "Early stopping: the chief has ended the run."
        return lambda *_: over if distribution.for_all_workers(strategy, False) else None
    sets = eval_loop.build_evaluators(config, network, options.model_dir, options)
    if best is not None:
        best.check(eval_loop.metric_names(sets))
    of_averages = config.eval_config.use_moving_averages and optimizer.averages

    def run(step, stop, prefix):
        with optimizer.averaged() if of_averages else contextlib.nullcontext():
            numbers = eval_loop.evaluate_all(sets, step, lambda: bool(stop))
        if best is not None and numbers is not None:
            best.take(step, numbers, prefix)
        is_over = best is not None and best.is_over
        return best.why_over() if distribution.for_all_workers(strategy, is_over) else None

    return run


def _network(config, options, *, is_training):
    precision = options.precision or FLOAT32
    if config.train_config.use_bfloat16 and not options.precision:
        logging.info(
            "train_config.use_bfloat16 is for TPUs, as in TFOD: this run computes in float32. "
            "Give --precision=bfloat16 to compute in bfloat16 here."
        )
    return model_builder.build_network(config.model, is_training=is_training, precision=precision)


def _best(options):
    """Return the `BestCheckpoint` that the options request, or None."""
    if not options.best_metric:
        return None
    patience = getattr(options, "early_stopping_patience", 0)
    return BestCheckpoint(Path(options.model_dir) / "best", options.best_metric, patience)


def warn_of_short_run(config, images_a_step: int, step: int) -> None:
    """Log a warning where a new training from random weights is too short to learn much.

    Args:
        config: a TrainEvalPipelineConfig.
        images_a_step: images of one optimizer step.
        step: that the training begins at.
    """
    train_config = config.train_config
    if step or train_config.fine_tune_checkpoint:
        return
    field = "train_input_reader.tf_record_input_reader.input_path"
    steps = train_config.num_steps
    if not run_length.short_run_warning(steps, images_a_step, 1):
        return  # before any record is counted
    patterns = config.train_input_reader.tf_record_input_reader.input_path
    try:
        paths = [path for each in patterns for path in find_files(each, field=field)]
        count = sum(map(record_files.count_records, paths))
    except (RecordError, OSError, tf.errors.OpError):
        return  # the input pipeline says what is wrong with them
    logging.warning("%s.", run_length.short_run_warning(steps, images_a_step, count))


def _restore_weights(config, keeper, network, state):
    """Restore from the first of the sources that `train` lists."""
    source = config.train_config.fine_tune_checkpoint
    if source and _folder_of(source) == os.path.realpath(keeper.directory):
        raise TrainingError(
            f"train_config.fine_tune_checkpoint ({source}) lies in --model_dir itself. Give a new "
            "--model_dir; or, to continue the run in it, clear fine_tune_checkpoint."
        )
    resumed = keeper.restore_newest(state)
    if resumed is not None:
        logging.info("resuming from %s at step %d", resumed, int(state.step.numpy()))
        if source:
            logging.info("fine_tune_checkpoint is not read: this run has already started.")
        return
    if not source:
        logging.info("No checkpoint in %s: a new run from random weights.", keeper.directory)
        return
    report = restore.restore_for_fine_tuning(network, config.train_config)
    logging.info("A new run from fine_tune_checkpoint %s:\n%s", source, report.summary())


def _folder_of(prefix):
    return os.path.realpath(prefix if os.path.isdir(prefix) else os.path.dirname(prefix) or ".")


def _loop_settings(train_config, options):
    return train_loop.LoopSettings(
        num_steps=train_config.num_steps,
        batch_size=train_config.batch_size * options.grad_accum_steps,
        skip_non_finite=options.skip_non_finite,
        several_workers=options.num_workers > 1,
        checkpoint_every_n=options.checkpoint_every_n,
        log_every_n_steps=options.log_every_n_steps,
        evaluate_every_n=options.eval_every_n_steps,
    )


def _step_settings(train_config, options):
    return train_step.StepSettings(
        gradient_clipping_by_norm=train_config.gradient_clipping_by_norm,
        add_regularization_loss=train_config.add_regularization_loss,
        bias_grad_multiplier=train_config.bias_grad_multiplier,
        seed=options.seed,
        images_for_summary=_IMAGES_IN_SUMMARY if options.record_summaries else 0,
        images_every=options.input_images_every_n_steps,
        gradients_every=_GRADIENTS_EVERY if train_config.summarize_gradients else 0,
        accumulate_steps=options.grad_accum_steps,
        skip_non_finite=options.skip_non_finite,
    )


def _training_inputs(config, options, strategy, state) -> tuple[Inputs, Iterator]:
    """Return this process's pipelines, and its batches from the position where the run was."""
    inputs, step = Inputs(), int(state.step.numpy())
    known_bad = state.bad_records.numpy().decode().splitlines()

    def build_dataset(shard_index, num_shards):
        pipeline = _training_pipeline(
            config, options, strategy, step, known_bad, shard_index, num_shards
        )
        return inputs.add(pipeline).dataset

    return inputs, distribution.iterate(strategy, build_dataset)


def _training_pipeline(config, options, strategy, step, known_bad, shard_index=0, num_shards=1):
    """Return the batches of one replica's size from a step on."""
    return dataset_builder.build(
        config.train_input_reader,
        model_config=config.model,
        train_config=config.train_config,
        training=True,
        batch_size=distribution.batch_of_a_replica(config.train_config.batch_size, strategy),
        seed=options.seed,
        strict=options.strict,
        skip_batches=distribution.batches_taken(step * options.grad_accum_steps, strategy),
        num_shards=num_shards,
        shard_index=shard_index,
        known_bad=known_bad,
    )


def _save_batch(config, options, strategy, inputs, step):
    """Read the batches of a step again and save them; order and randomness are the seed's."""
    index, count = distribution.shard_of(strategy)
    pipeline = _training_pipeline(
        config, options, strategy, step, inputs.bad_records(), index, count
    )
    batches = strategy.num_replicas_in_sync // count * options.grad_accum_steps
    folder = f"batch-of-step-{step + 1}" + (f"-worker-{index}" if count > 1 else "")
    return pictures.save_batches(Path(options.model_dir) / folder, pipeline.dataset.take(batches))


def _log_start(strategy, settings, step, parts):
    if settings.num_steps and step >= settings.num_steps:
        logging.info(
            "This run is complete: it is at step %d, and train_config.num_steps is %d. To train "
            "longer, raise num_steps (--num_train_steps); to begin anew, give another --model_dir.",
            step,
            settings.num_steps,
        )
        return
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    replicas = strategy.num_replicas_in_sync
    logging.info(
        "Training from step %d to %s on %d replica(s) (%s): %d images a step, %d on each%s.",
        step,
        settings.num_steps or "no limit (train_config.num_steps is 0)",
        replicas,
        ", ".join(device.name for device in devices),
        settings.batch_size,
        settings.batch_size // replicas,
        f", in {parts} parts whose gradients are summed" if parts > 1 else "",
    )
