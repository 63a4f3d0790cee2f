"""Which devices and processes a run is spread over, and how its batch is divided among them."""

import functools
import json
import os
import sys

import tensorflow as tf
from absl import logging

from object_detection.errors import ConfigError, TrainingError
from object_detection.training.tensorflow_start import import_tensorflow_quietly

_RESTARTS = "OBJECT_DETECTION_RESTARTS"  # environment variable: how often this process restarted


def choose_strategy(num_workers: int = 1) -> tf.distribute.Strategy:
    """Return the strategy for this machine.

    Several workers: MultiWorkerMirroredStrategy (each worker names itself in TF_CONFIG); else
    several GPUs: MirroredStrategy; else one device, without a strategy's overhead.

    Raises:
        TrainingError: `num_workers` and TF_CONFIG disagree.
    """
    if num_workers > 1:
        _check_cluster(num_workers)
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = tf.config.list_logical_devices("GPU")
    if len(gpus) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def let_gpu_memory_grow() -> None:
    """Take GPU memory as it is needed instead of all at once; call it before GPUs are used."""
    import_tensorflow_quietly()  # without GPUs, looking for them logs warnings
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # a caller has started TensorFlow already: leave it as it is
            logging.info("GPU memory growth was fixed before; left as it is.")


def be_deterministic(enabled: bool) -> None:
    """Make TensorFlow choose kernels that repeat to the last bit; call it before any runs."""
    if enabled:
        tf.config.experimental.enable_op_determinism()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Return whether this process writes the logs, summaries and checkpoints."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    return resolver.task_type == "chief" or (
        resolver.task_type == "worker"
        and resolver.task_id == 0
        and "chief" not in resolver.cluster_spec().as_dict()
    )


def batch_of_a_replica(batch_size: int, strategy: tf.distribute.Strategy) -> int:
    """Return the share of the batch that each replica works on.

    Raises:
        ConfigError: the batch can't be shared out evenly.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size < 1 or batch_size % replicas:
        fitting = max(replicas, batch_size // replicas * replicas)
        raise ConfigError(
            f"train_config.batch_size is {batch_size}, to be shared by {replicas} replicas (GPUs): "
            f"it must be a multiple of {replicas}, for example {fitting}."
        )
    return batch_size // replicas


def iterate(strategy: tf.distribute.Strategy, build_dataset):
    """Return an iterator over the batches of every replica of this process.

    Args:
        build_dataset: (shard_index, num_shards) -> dataset of one replica's batches; each worker
            process reads a shard of its own, its GPUs take turns with the batches of it.
    """
    if strategy.num_replicas_in_sync == 1:
        return iter(build_dataset(0, 1))
    return iter(
        strategy.distribute_datasets_from_function(
            lambda context: build_dataset(context.input_pipeline_id, context.num_input_pipelines)
        )
    )


def batches_taken(steps: int, strategy: tf.distribute.Strategy) -> int:
    """Return the number of its dataset's batches that a worker process has used after `steps`."""
    resolver = strategy.cluster_resolver
    cluster = resolver.cluster_spec().as_dict() if resolver is not None else {}
    return steps * strategy.num_replicas_in_sync // max(1, _num_workers(cluster))


def shard_of(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Return (index, number) of the shards of the records: which one this process reads."""
    resolver = strategy.cluster_resolver
    cluster = resolver.cluster_spec().as_dict() if resolver is not None else {}
    count = max(1, _num_workers(cluster))
    if count == 1:
        return 0, 1
    first = len(cluster.get("chief", [])) if resolver.task_type == "worker" else 0
    return first + resolver.task_id, count


def for_all_workers(strategy: tf.distribute.Strategy, flag: bool) -> bool:
    """Return whether any worker process raised the flag; all must call it at the same step."""
    resolver = strategy.cluster_resolver
    if resolver is None or _num_workers(resolver.cluster_spec().as_dict()) < 2:
        return flag
    return float(_sum_of(strategy)(tf.constant(float(flag)))) > 0


@functools.lru_cache(maxsize=1)
def _sum_of(strategy):
    """A number of each worker -> their sum; compiled, as it is asked for at every step."""

    @tf.function
    def total(number):
        shares = strategy.run(lambda: tf.identity(number))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None)

    return total


def check_same_step(strategy: tf.distribute.Strategy, step: int) -> None:
    """Raise TrainingError where the workers have resumed at different steps."""
    if shard_of(strategy)[1] == 1:
        return
    own = strategy.run(lambda: tf.constant(float(step), tf.float64))
    mean = strategy.reduce(tf.distribute.ReduceOp.MEAN, own, axis=None)
    if float(mean) != step:
        raise TrainingError(
            f"This worker resumes at step {step}, others elsewhere (the mean is {float(mean):g}): "
            "--model_dir must be one folder that all workers share."
        )


def _check_cluster(num_workers):
    text = os.environ.get("TF_CONFIG", "")
    example = (
        '{"cluster": {"worker": ["host0:12345", "host1:12345"]}, '
        '"task": {"type": "worker", "index": 0}}'
    )
    try:
        cluster = json.loads(text)["cluster"]
    except (ValueError, KeyError, TypeError):
        raise TrainingError(
            f"--num_workers={num_workers} needs the environment variable TF_CONFIG on every "
            f"worker, for example {example}; it is {text!r}."
        ) from None
    named = _num_workers(cluster)
    if named != num_workers:
        raise TrainingError(
            f"--num_workers={num_workers}, but TF_CONFIG names {named} workers: {cluster}."
        )


def _num_workers(cluster) -> int:
    return sum(len(cluster.get(kind, [])) for kind in ("chief", "worker"))


def restart_after_lost_worker(error: Exception, limit: int) -> None:
    """Replace this process by the same command, which resumes; return if the limit is reached.

    TensorFlow's collectives cannot continue without a worker, nor accept one while they run: every
    process has to start anew. The lost one is started by whoever started it first (a person, a
    cluster manager); the others call this function, and wait until all are there.

    Args:
        error: what happened, for the log.
        limit: number of restarts of one command.
    """
    done = int(os.environ.get(_RESTARTS, "0"))
    if done >= limit:
        return
    logging.warning(
        "%s\nStarting again from the newest checkpoint (%d of at most %d times), and waiting for "
        "all workers.",
        error,
        done + 1,
        limit,
    )
    os.environ[_RESTARTS] = str(done + 1)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
