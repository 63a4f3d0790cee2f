"""One training step: losses, gradients of the whole batch, clipping, update."""

from typing import NamedTuple

import tensorflow as tf

from object_detection.compat import outputs as tfod_outputs
from object_detection.structures.batch import Batch, Images
from object_detection.training.optimizer import Optimizer

HISTOGRAM_BUCKETS = 30


class StepSettings(NamedTuple):
    """Options of a step; the names are those of train_config."""

    gradient_clipping_by_norm: float = 0.0  # 0: no clipping
    add_regularization_loss: bool = True
    bias_grad_multiplier: float = 0.0  # 0: bias gradients are not scaled
    seed: int = 0
    images_for_summary: int = 0  # number of the batch's images that a step returns ...
    images_every: int = 500  # ... at the first step and at this interval
    gradients_every: int = 0  # interval of the gradients' norms and histograms; 0: never
    accumulate_steps: int = 1  # batches whose mean gradient makes one update
    skip_non_finite: bool = False  # keep the weights if the gradient is NaN or infinite


class GradientSummary(NamedTuple):
    """The gradients that a step used, clipped, of n weights; n is 0 at other steps."""

    norms: tf.Tensor  # [n] float32; 0 of a weight that the losses do not depend on
    clipped_norm: tf.Tensor  # float32 scalar: of all together
    histograms: tf.Tensor  # [n, 2 + HISTOGRAM_BUCKETS] float64: least, largest, counts in between


class StepResult(NamedTuple):
    """What a step returns to the loop."""

    losses: dict  # TFOD's loss name -> float32 scalar, the mean over the replicas
    learning_rate: tf.Tensor  # float32 scalar
    gradient_norm: tf.Tensor  # float32 scalar: of the whole batch's gradient, before clipping
    image_ids: tf.Tensor  # [B] string, of all replicas of this process
    # The first images with their objects, pixels in uint8; empty at other steps.
    shown: Batch | None = None
    gradients: GradientSummary | None = None


class _Share(NamedTuple):
    """Losses and gradients of one replica's part of a batch."""

    losses: dict
    gradients: list  # one for each weight; None where the losses do not depend on it
    image_ids: tf.Tensor
    shown: Batch | None


def build_train_step(network, optimizer: Optimizer, settings: StepSettings, strategy):
    """Return `(iterator, step) -> StepResult`, which takes batches and updates the weights.

    The randomness of a step (sampling, dropout) depends on `settings.seed`, the step and the
    replica only, so that a resumed run makes the same choices.
    """
    share = _share_function(network, optimizer, settings)

    def update(share, step):
        context = tf.distribute.get_replica_context()
        gradients = _of_the_whole_batch(share.gradients, context)
        gradients = _scale_biases(gradients, optimizer.weights, settings.bias_grad_multiplier)
        gradients, norm = _clip(gradients, settings.gradient_clipping_by_norm)
        summary = None
        if settings.gradients_every:
            due = tf.equal(step % settings.gradients_every, 0)
            summary = tf.cond(due, lambda: _summary_of(gradients), lambda: _summary_of([]))
        only_if = tf.math.is_finite(norm) if settings.skip_non_finite else None
        rate = optimizer.apply(gradients, step, only_if=only_if)
        return StepResult(share.losses, rate, norm, share.image_ids, share.shown, summary)

    def replica_step(batch, step):
        return update(share(batch, step, 0), step)

    if settings.accumulate_steps > 1:
        return _accumulating(share, update, optimizer, settings.accumulate_steps, strategy)

    def step_of_all(iterator, step):
        return _merge_replicas(strategy.run(replica_step, args=(next(iterator), step)), strategy)

    return _compiled(step_of_all)


def _compiled(step_of_all):
    """The step as a graph; without AutoGraph, which takes as long as all the rest of tracing.

    It would translate Python's branches on tensors, which a step does not have.
    """
    return tf.function(step_of_all, autograph=False)


def _share_function(network, optimizer, settings):
    """(a replica's batch, step, which batch of the step it is) -> `_Share`."""

    def share(batch, step, part):
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync
        seed = tf.stack([tf.constant(settings.seed, tf.int64), step])
        if part:
            seed = tf.random.fold_in(seed, replicas + part)
        if replicas > 1:
            seed = tf.random.fold_in(seed, context.replica_id_in_sync_group)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(optimizer.weights.values()))
            outputs = network(batch.images, batch.truth, training=True, seed=seed)
            losses = network.losses_of(batch.images, batch.truth, outputs, seed=seed)
            regularization = (
                network.regularization_loss() if settings.add_regularization_loss else None
            )
            named = tfod_outputs.named_losses(losses, regularization)
            total = named[tfod_outputs.TOTAL_LOSS] / (replicas * settings.accumulate_steps)
        gradients = tape.gradient(total, list(optimizer.weights.values()))
        gradients = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
        shown = None
        if settings.images_for_summary and not part:
            due = tf.equal(step % settings.images_every, 0)
            shown = _first_of(batch, tf.where(due, settings.images_for_summary, 0))
        return _Share(named, gradients, batch.image_id, shown)

    return share


def _accumulating(share, update, optimizer, parts, strategy):
    """A step of several batches: their gradients are summed on each replica, then used at once."""
    with strategy.scope():
        sums = [
            tf.Variable(
                tf.zeros(weight.shape, weight.dtype),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.SUM,
                name=f"gradient_sum/{path}",
            )
            for path, weight in optimizer.weights.items()
        ]

    def add(batch, step, part):
        result = share(batch, step, part)
        for total, gradient in zip(sums, result.gradients, strict=True):
            if gradient is not None:
                total.assign_add(gradient)
        return result._replace(gradients=None)

    def finish(batch, step, part):
        result = share(batch, step, part)
        gradients = []
        for total, gradient in zip(sums, result.gradients, strict=True):
            gradients.append(None if gradient is None else total.read_value() + gradient)
            total.assign(tf.zeros_like(total))
        return update(result._replace(gradients=gradients), step)

    def step_of_all(iterator, step):
        results = []
        for part in range(parts):
            work = finish if part == parts - 1 else add
            result = strategy.run(work, args=(next(iterator), step, part))
            results.append(_merge_replicas(result, strategy))
        last = results[-1]
        return last._replace(
            losses={
                name: tf.add_n([each.losses[name] for each in results]) / parts
                for name in last.losses
            },
            image_ids=tf.concat([each.image_ids for each in results], axis=0),
            shown=results[0].shown,
        )

    return _compiled(step_of_all)


def _merge_replicas(result, strategy):
    """A result of every replica as one: mean losses, all ids; the rest is the same for all."""
    if strategy.num_replicas_in_sync == 1:
        return result

    def local(value):
        return strategy.experimental_local_results(value)

    def first(value):
        return None if value is None else local(value)[0]

    one = {
        name: tf.concat(local(value), axis=0)
        if name == "image_ids"
        else tf.nest.map_structure(first, value)
        for name, value in result._asdict().items()
        if name != "losses"
    }
    losses = {
        name: strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
        for name, value in result.losses.items()
    }
    return result._replace(losses=losses, **one)


def _first_of(batch, count):
    """The first images of a batch with their objects, pixels as bytes; no copy where none."""
    few = tf.nest.map_structure(lambda part: None if part is None else part[:count], batch)
    pixels = tf.cast(tf.clip_by_value(few.images.pixels, 0.0, 255.0), tf.uint8)
    return few._replace(images=Images(pixels, few.images.true_shape))


def _summary_of(gradients):
    """`GradientSummary` of the gradients of all weights; None stands for zeros."""
    rows = [tf.zeros([1]) if gradient is None else gradient for gradient in gradients]
    empty = tf.zeros([0, 2 + HISTOGRAM_BUCKETS], tf.float64)
    return GradientSummary(
        norms=tf.stack([tf.cast(tf.norm(row), tf.float32) for row in rows])
        if rows
        else tf.zeros([0]),
        clipped_norm=tf.cast(tf.linalg.global_norm(rows), tf.float32) if rows else tf.zeros([]),
        histograms=tf.stack([_histogram(row) for row in rows]) if rows else empty,
    )


def _histogram(values):
    """[2 + HISTOGRAM_BUCKETS] float64: the least and the largest value, and how many lie where."""
    least, largest = tf.reduce_min(values), tf.reduce_max(values)
    # Buckets need a width, also where all values are equal.
    end = tf.maximum(largest, least + tf.maximum(tf.abs(least), 1e-30) * 1e-6)
    counts = tf.histogram_fixed_width(values, [least, end], HISTOGRAM_BUCKETS)
    return tf.concat([tf.cast([least, end], tf.float64), tf.cast(counts, tf.float64)], axis=0)


def _of_the_whole_batch(gradients, context):
    """Sums over the replicas, so that what follows sees what a single large device would see.

    TFOD clips each replica's gradient separately and sums afterwards: there the same batch on more
    GPUs gives another result. Here it does not.
    """
    if context.num_replicas_in_sync == 1:
        return gradients
    present = [gradient for gradient in gradients if gradient is not None]
    summed = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if gradient is None else next(summed) for gradient in gradients]


def _scale_biases(gradients, weights, multiplier):
    if not multiplier:
        return gradients
    return [
        gradient * multiplier
        if gradient is not None and path.rsplit("/", 1)[-1] == "bias"
        else gradient
        for path, gradient in zip(weights, gradients, strict=True)
    ]


def _clip(gradients, limit):
    """(gradients, their global norm before clipping)."""
    norm = tf.linalg.global_norm(gradients)
    if not limit:
        return gradients, norm
    return tf.clip_by_global_norm(gradients, limit, use_norm=norm)[0], norm
