"""Flags, config and error handling that the commands for training and evaluation share."""

import platform
import re
from collections.abc import Callable
from typing import Any, NoReturn

from absl import flags, logging

from object_detection.cli import runner

FLAGS = flags.FLAGS
Change = Callable[[Any], None]  # changes a TrainEvalPipelineConfig in place


def define_flags() -> None:
    """Define the flags of both training commands: TFOD's, then ours."""
    flags.DEFINE_string("pipeline_config_path", None, "The pipeline.config of the run.")
    flags.DEFINE_string("model_dir", None, "Folder for checkpoints, event files and metrics.")
    flags.DEFINE_integer("num_train_steps", None, "Override train_config.num_steps.")
    flags.DEFINE_string(
        "checkpoint_dir",
        None,
        "Evaluate the checkpoints of this folder as they appear, instead of training.",
    )
    flags.DEFINE_integer(
        "sample_1_of_n_eval_on_train_examples",
        5,
        "Evaluate on every n-th training example (when evaluating on training data).",
        lower_bound=1,
    )
    flags.DEFINE_integer("checkpoint_every_n", 1000, "Steps between checkpoints.", lower_bound=1)
    _define_our_flags()
    _define_our_flags_of_training()
    flags.mark_flags_as_required(["pipeline_config_path", "model_dir"])


def _define_our_flags():
    flags.DEFINE_integer(
        "checkpoint_max_to_keep", 7, "Number of checkpoints to keep; 0: all.", lower_bound=0
    )
    flags.DEFINE_integer("log_every_n_steps", 20, "Steps between progress lines.", lower_bound=1)
    flags.DEFINE_integer(
        "eval_every_n_steps",
        None,
        "Steps between evaluations in the training process, which also evaluates at the end; 0: "
        "never. Default: model_main.py at every checkpoint, model_main_tf2.py never, as in TFOD.",
        lower_bound=0,
    )
    flags.DEFINE_string(
        "best_metric",
        "",
        "Keep the checkpoint with the best value of this metric in model_dir/best, for example "
        "DetectionMasks_Precision/mAP or Loss/total_loss (the lowest). Use NAME:metric if the "
        "eval_input_readers have names.",
    )
    flags.DEFINE_multi_string(
        "config_override",
        [],
        "Change the config: either a dotted field=value, such as train_config.batch_size=2, or "
        "text in the config's own format to merge. Repeatable.",
    )
    flags.DEFINE_enum(
        "precision",
        None,
        ["float32", "bfloat16"],
        "Type in which convolutions and matrix products are computed. Default: float32; "
        "train_config.use_bfloat16 is for TPUs. Weights and checkpoints are always float32.",
    )
    flags.DEFINE_integer(
        "seed", 0, "Seed of the initial weights, the sampling and the order of the examples."
    )
    flags.DEFINE_boolean(
        "deterministic",
        False,
        "Use only operations whose results are the same, bit for bit, in every run, if TensorFlow "
        "has them. Slower on GPUs; on CPUs, runs are repeatable without this flag.",
    )
    flags.DEFINE_boolean("strict", False, "Stop at the first bad example instead of skipping it.")


def _define_our_flags_of_training():
    flags.DEFINE_integer(
        "early_stopping_patience",
        0,
        "Number of evaluations in a row without a better --best_metric that end the run; 0: never.",
        lower_bound=0,
    )
    flags.DEFINE_enum(
        "train_layers",
        "all",
        ["heads", "5+", "4+", "3+", "all"],
        "Layers to train: all except the base network (heads), or also its stages from a number "
        "on. The regular expressions of the config also apply.",
    )
    flags.DEFINE_integer(
        "grad_accum_steps",
        1,
        "Number of batches whose gradients are accumulated per optimizer step. Use it if a larger "
        "train_config.batch_size does not fit in memory.",
        lower_bound=1,
    )
    flags.DEFINE_boolean(
        "gradient_checkpointing",
        False,
        "Compute activations again in the backward pass instead of keeping them. A step takes "
        "less memory and about a third longer.",
    )
    flags.DEFINE_enum(
        "on_non_finite",
        "stop",
        ["stop", "skip"],
        "Action at a step whose loss or gradient is NaN or infinite: end the run, or keep the "
        "weights and continue (ten such steps in a row end the run). In both cases, the batch is "
        "saved in model_dir.",
    )
    flags.DEFINE_integer(
        "input_images_every_n_steps",
        500,
        "Steps between input images in TensorBoard, with boxes and masks after augmentation, "
        "beginning with the first step. --record_summaries=false turns them off.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "max_worker_restarts",
        20,
        "With several workers: number of times that this process restarts from the newest "
        "checkpoint when another worker is lost.",
        lower_bound=0,
    )


def run(
    command: Callable[[], int], define_flags: Callable[[], None], *, only_own_errors: bool = False
) -> NoReturn:
    """Run a command that takes only flags; see `runner.run`.

    The command calls `start_tensorflow` after all checks that do not need it. Arguments that are
    not flags are ignored, as in TFOD's commands.
    """
    runner.run(lambda _: command(), define_flags, only_own_errors=only_own_errors)


def start_tensorflow() -> None:
    """Start TensorFlow, which takes seconds, and log the environment."""
    runner.before_slow_start()
    from object_detection.training.tensorflow_start import import_tensorflow_quietly

    import_tensorflow_quietly()
    from object_detection.training import distribution

    _log_environment()
    distribution.let_gpu_memory_grow()


def _log_environment():
    import keras
    import tensorflow as tf

    logging.info(
        "TensorFlow %s, Keras %s, Python %s, %d GPU(s)",
        tf.__version__,
        keras.__version__,
        platform.python_version(),
        len(tf.config.list_physical_devices("GPU")),
    )


def load_config(purpose: str, reads: tuple[str, ...], change: Change | None = None):
    """Return the config with the flags' changes, checked as a whole; start TensorFlow.

    Args:
        purpose: `train` or `eval`, which determines what is checked.
        reads: which of `train_input_reader` and `eval_input_reader` will be read.
        change: further changes of the config by the command, before it is checked.

    Returns:
        A TrainEvalPipelineConfig.

    Raises:
        ConfigError: it can't be read, or it has faults: all of them are in the message.
    """
    from object_detection.config import pipeline_file

    dotted = [text for text in FLAGS.config_override if re.match(r"\s*[\w.\[\]]+\s*=", text)]
    texts = [text for text in FLAGS.config_override if text not in dotted]
    config = pipeline_file.load(
        FLAGS.pipeline_config_path, override_text="\n".join(texts), overrides=dotted
    )
    if change is not None:
        change(config)
    if FLAGS.num_train_steps is not None:
        config.train_config.num_steps = FLAGS.num_train_steps
    return checked(
        config,
        purpose=purpose,
        reads=reads,
        source=FLAGS.pipeline_config_path,
        start=_start_tensorflow_with_flags,
        model_dir=FLAGS.model_dir,
    )


def _start_tensorflow_with_flags():
    start_tensorflow()
    from object_detection.training import distribution

    distribution.be_deterministic(FLAGS.deterministic)


def checked(
    config,
    *,
    purpose: str,
    reads: tuple[str, ...],
    source: str = "the config",
    start: Callable[[], None] = lambda: None,
    model_dir: str | None = None,
):
    """Return the config if nothing is wrong with it; log its warnings.

    Args:
        config: a TrainEvalPipelineConfig.
        purpose: `train`, `eval` or `export`.
        reads: as for `load_config`.
        source: what the config is called in the message.
        start: called before the records are checked, which needs TensorFlow; not called if the
            rest of the config has faults.
        model_dir: where a training keeps its checkpoints, from which it may resume.

    Raises:
        ConfigError: it has faults: all of them are in the message.
    """
    from object_detection.config import preflight
    from object_detection.errors import ConfigError
    from object_detection.modeling.extractor_names import EXTRACTORS

    findings = preflight.check_config(
        config, purpose=purpose, supported_extractors=EXTRACTORS, reads=reads, model_dir=model_dir
    )
    if not findings.faults:
        start()
        findings = findings.merge(preflight.check_records(config, purpose=purpose, reads=reads))
    for warning in findings.warnings:
        logging.warning("config: %s", warning)
    if findings.faults:
        raise ConfigError(
            f"{source} has {len(findings.faults)} fault(s):\n"
            + "\n".join(f"  {number}. {text}" for number, text in enumerate(findings.faults, 1))
        )
    return config


def train(*, eval_every_n_steps: int, change: Change | None = None, **options) -> int:
    """Train as the shared flags say; return the exit code.

    Args:
        eval_every_n_steps: the default of the flag.
        change: as for `load_config`.
        options: further members of `TrainOptions`.
    """
    from object_detection.errors import WorkerLostError

    every = FLAGS.eval_every_n_steps
    every = eval_every_n_steps if every is None else every
    if FLAGS.early_stopping_patience and not FLAGS.best_metric:
        return refuse("early_stopping_patience", "name the metric with --best_metric.")
    if FLAGS.best_metric and not every:
        return refuse("best_metric", "nothing is evaluated here; give --eval_every_n_steps.")
    reads = ("train_input_reader", "eval_input_reader") if every else ("train_input_reader",)
    config = load_config("train", reads, change)
    from object_detection.training import distribution, jobs

    if every and FLAGS.sample_1_of_n_eval_examples is not None:
        _sample(config.eval_input_reader, FLAGS.sample_1_of_n_eval_examples)
    options = jobs.TrainOptions(
        model_dir=FLAGS.model_dir,
        checkpoint_every_n=FLAGS.checkpoint_every_n,
        checkpoint_max_to_keep=FLAGS.checkpoint_max_to_keep,
        log_every_n_steps=FLAGS.log_every_n_steps,
        eval_every_n_steps=every,
        best_metric=FLAGS.best_metric,
        early_stopping_patience=FLAGS.early_stopping_patience,
        train_layers=FLAGS.train_layers,
        grad_accum_steps=FLAGS.grad_accum_steps,
        gradient_checkpointing=FLAGS.gradient_checkpointing,
        skip_non_finite=FLAGS.on_non_finite == "skip",
        input_images_every_n_steps=FLAGS.input_images_every_n_steps,
        seed=FLAGS.seed,
        strict=FLAGS.strict,
        precision=FLAGS.precision or "",
        **options,
    )
    try:
        return jobs.train(config, options)
    except WorkerLostError as error:
        distribution.restart_after_lost_worker(error, FLAGS.max_worker_restarts)
        raise


def evaluate(*, on_train_data: bool, change: Change | None = None, **options) -> int:
    """Evaluate the checkpoints of --checkpoint_dir as the shared flags say; return the exit code.

    Args:
        on_train_data: evaluate on the training data instead of the evaluation data.
        change: as for `load_config`.
        options: further members of `EvalOptions`.
    """
    logging.info(
        "Evaluation only, because --checkpoint_dir is given: nothing is trained. Omit that flag to "
        "train."
    )
    if FLAGS.early_stopping_patience:
        return refuse("early_stopping_patience", "it applies to the command that trains.")
    reads = ("train_input_reader" if on_train_data else "eval_input_reader",)
    config = load_config("eval", reads, change)
    from object_detection.training import jobs

    if on_train_data:
        _sample([config.train_input_reader], FLAGS.sample_1_of_n_eval_on_train_examples)
    elif FLAGS.sample_1_of_n_eval_examples is not None:
        _sample(config.eval_input_reader, FLAGS.sample_1_of_n_eval_examples)
    return jobs.evaluate(
        config,
        jobs.EvalOptions(
            model_dir=FLAGS.model_dir,
            checkpoint_dir=FLAGS.checkpoint_dir,
            on_train_data=on_train_data,
            best_metric=FLAGS.best_metric,
            seed=FLAGS.seed,
            strict=FLAGS.strict,
            precision=FLAGS.precision or "",
            **options,
        ),
    )


def refuse(flag: str, reason: str) -> int:
    """Log why a flag cannot be used; return the exit code."""
    logging.error("--%s: %s", flag, reason)
    return 1


def _sample(readers, every):
    for reader in readers:
        reader.sample_1_of_n_examples = every
