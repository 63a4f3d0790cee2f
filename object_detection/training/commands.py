"""What the two training doors share: flags, the config they make of them, and plain failures."""

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
    flags.DEFINE_string("model_dir", None, "Where checkpoints, event files and metrics go.")
    flags.DEFINE_integer("num_train_steps", None, "Overrides train_config.num_steps.")
    flags.DEFINE_string(
        "checkpoint_dir",
        None,
        "Evaluate the checkpoints of this folder as they come, instead of training.",
    )
    flags.DEFINE_integer(
        "sample_1_of_n_eval_on_train_examples",
        5,
        "Evaluate on one of so many training examples (when evaluating on training data).",
        lower_bound=1,
    )
    flags.DEFINE_integer("checkpoint_every_n", 1000, "Steps between checkpoints.", lower_bound=1)
    _define_our_flags()
    _define_our_flags_of_training()
    flags.mark_flags_as_required(["pipeline_config_path", "model_dir"])


def _define_our_flags():
    flags.DEFINE_integer(
        "checkpoint_max_to_keep", 7, "How many checkpoints are kept; 0: all.", lower_bound=0
    )
    flags.DEFINE_integer("log_every_n_steps", 20, "Steps between progress lines.", lower_bound=1)
    flags.DEFINE_integer(
        "eval_every_n_steps",
        None,
        "Evaluate in the training process every so many steps and at the end; 0: never. Default: "
        "model_main.py at every checkpoint, model_main_tf2.py never (as their TFOD models did).",
        lower_bound=0,
    )
    flags.DEFINE_string(
        "best_metric",
        "",
        "Keep the checkpoint with the best value of this number of the evaluations in "
        "model_dir/best, for example DetectionMasks_Precision/mAP or Loss/total_loss (the lowest); "
        "NAME:metric where the eval_input_readers have names.",
    )
    flags.DEFINE_multi_string(
        "config_override",
        [],
        "Changes the config: either a dotted field=value, such as train_config.batch_size=2, or "
        "text of the config's own format to be merged. May be given more than once.",
    )
    flags.DEFINE_enum(
        "precision",
        None,
        ["float32", "bfloat16"],
        "The type in which convolutions and matrix products are computed. Default: float32; "
        "train_config.use_bfloat16 is for TPUs. Weights and checkpoints are float32 in either.",
    )
    flags.DEFINE_integer("seed", 0, "Makes weights, sampling and data order repeatable.")
    flags.DEFINE_boolean(
        "deterministic",
        False,
        "Use only operations whose results are the same to the last bit in every run, where "
        "TensorFlow has them: on GPUs slower; on CPUs runs repeat as they are.",
    )
    flags.DEFINE_boolean("strict", False, "Stop at the first bad example instead of skipping it.")


def _define_our_flags_of_training():
    flags.DEFINE_integer(
        "early_stopping_patience",
        0,
        "End the run after so many evaluations in a row without a better --best_metric; 0: never.",
        lower_bound=0,
    )
    flags.DEFINE_enum(
        "train_layers",
        "all",
        ["heads", "5+", "4+", "3+", "all"],
        "Train only these: all but the base network (heads), or also its stages from a number on. "
        "The config's regular expressions hold besides.",
    )
    flags.DEFINE_integer(
        "grad_accum_steps",
        1,
        "Sum the gradients of so many batches of train_config.batch_size for one step, where a "
        "larger batch does not fit in memory.",
        lower_bound=1,
    )
    flags.DEFINE_boolean(
        "gradient_checkpointing",
        False,
        "Compute activations again in the backward pass instead of keeping them: a step takes "
        "less memory and about a third longer.",
    )
    flags.DEFINE_enum(
        "on_non_finite",
        "stop",
        ["stop", "skip"],
        "What to do at a step whose loss or gradient is NaN or infinite: end the run, or leave the "
        "weights alone and go on (ten such steps in a row end it all the same). Either way its "
        "batch is kept in model_dir.",
    )
    flags.DEFINE_integer(
        "input_images_every_n_steps",
        500,
        "Steps between two pictures of the input in TensorBoard, with its boxes and masks after "
        "augmentation; the first is of the first step. --record_summaries=false: none.",
        lower_bound=1,
    )
    flags.DEFINE_integer(
        "max_worker_restarts",
        20,
        "With several workers: how often this process begins again by itself from the newest "
        "checkpoint when another worker is lost.",
        lower_bound=0,
    )


def run(
    command: Callable[[], int], define_flags: Callable[[], None], *, only_own_errors: bool = False
) -> NoReturn:
    """Run a command whose work takes no arguments but flags; see `runner.run`.

    The work calls `start_tensorflow` itself, once all is checked that can be without it. Arguments
    that are no flags are ignored, as TFOD's commands did.
    """
    runner.run(lambda _: command(), define_flags, only_own_errors=only_own_errors)


def start_tensorflow() -> None:
    """Starts TensorFlow, which takes seconds, and says which it is."""
    runner.before_slow_start()
    from object_detection.training import quiet

    quiet.start_tensorflow()
    from object_detection.training import distribution

    _say_what_runs_us()
    distribution.let_gpu_memory_grow()


def _say_what_runs_us():
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
    """The config with the flags' changes, checked as a whole; TensorFlow is started on the way.

    Args:
        purpose: `train` or `eval`, which selects the checks.
        reads: which of `train_input_reader` and `eval_input_reader` will be read.
        change: applied to the config before the checks.

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
        start=_start_as_the_flags_say,
        model_dir=FLAGS.model_dir,
    )


def _start_as_the_flags_say():
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
    """The config, if nothing is wrong with it; its warnings are logged.

    Args:
        config: a TrainEvalPipelineConfig.
        purpose: `train`, `eval` or `export`.
        reads: as for `load_config`.
        source: what the config is called in the message.
        start: called before the records are looked at, which takes TensorFlow; where the rest of
            the config has faults, neither happens.
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
    """Trains as the shared flags say; the exit code.

    Args:
        eval_every_n_steps: what holds where the flag is not given.
        change: as for `load_config`.
        options: further members of `TrainOptions`.
    """
    from object_detection.errors import WorkerLostError

    wanted = FLAGS.eval_every_n_steps
    every = eval_every_n_steps if wanted is None else wanted
    if FLAGS.early_stopping_patience and not FLAGS.best_metric:
        return refuse("early_stopping_patience", "name the metric with --best_metric.")
    if FLAGS.best_metric and not every:
        return refuse("best_metric", "nothing is evaluated here; give --eval_every_n_steps.")
    reads = ("train_input_reader", "eval_input_reader") if every else ("train_input_reader",)
    config = load_config("train", reads, change)
    from object_detection.training import jobs, rejoin

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
        rejoin.start_again(error, FLAGS.max_worker_restarts)
        raise


def evaluate(*, on_train_data: bool, change: Change | None = None, **options) -> int:
    """Evaluates the checkpoints of --checkpoint_dir as the shared flags say; the exit code.

    Args:
        on_train_data: evaluate on the training data instead of the evaluation data.
        change: as for `load_config`.
        options: further members of `EvalOptions`.
    """
    logging.info(
        "Evaluation only, because --checkpoint_dir is given: no training happens here. Leave that "
        "flag out to train."
    )
    if FLAGS.early_stopping_patience:
        return refuse("early_stopping_patience", "it belongs to the command that trains.")
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
    """Says why a flag can't be served; the exit code."""
    logging.error("--%s: %s", flag, reason)
    return 1


def _sample(readers, every):
    for reader in readers:
        reader.sample_1_of_n_examples = every
