"""One training step: losses, gradients of the whole batch, clipping, update."""

from typing import NamedTuple

import tensorflow as tf

from object_detection.compat import outputs as tfod_outputs
from object_detection.training.optimizer import Optimizer


class StepSettings(NamedTuple):
    """What a step does besides the plain update; the names are those of train_config."""

    gradient_clipping_by_norm: float = 0.0  # 0: no clipping
    add_regularization_loss: bool = True
    bias_grad_multiplier: float = 0.0  # 0: bias gradients are taken as they are
    seed: int = 0
    images_for_summary: int = 0  # how many of the batch's images the step hands back


class StepResult(NamedTuple):
    """What a step lets the loop see."""

    losses: dict  # TFOD's loss name -> float32 scalar, the mean over the replicas
    learning_rate: tf.Tensor  # float32 scalar
    gradient_norm: tf.Tensor  # float32 scalar: of the whole batch's gradient, before clipping
    image_ids: tf.Tensor  # [B] string, of all replicas of this process
    images: tf.Tensor | None  # [n, H, W, 3] uint8


def build_train_step(network, optimizer: Optimizer, settings: StepSettings, strategy):
    """`(iterator, step) -> StepResult`, a tf.function that takes a batch and updates the weights.

    The randomness of a step (sampling, dropout) depends on `settings.seed`, the step and the
    replica alone, so that a resumed run makes the choices that it would have made.
    """

    def replica_step(batch, step):
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync
        seed = tf.stack([tf.constant(settings.seed, tf.int64), step])
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
            share = named[tfod_outputs.TOTAL_LOSS] / replicas
        gradients = tape.gradient(share, list(optimizer.weights.values()))
        gradients = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
        gradients = _of_the_whole_batch(gradients, context)
        gradients = _scale_biases(gradients, optimizer.weights, settings.bias_grad_multiplier)
        gradients, norm = _clip(gradients, settings.gradient_clipping_by_norm)
        rate = optimizer.apply(gradients, step)
        images = None
        if settings.images_for_summary:
            shown = batch.images.pixels[: settings.images_for_summary]
            images = tf.cast(tf.clip_by_value(shown, 0.0, 255.0), tf.uint8)
        return StepResult(named, rate, norm, batch.image_id, images)

    def step_of_all(iterator, step):
        result = strategy.run(replica_step, args=(next(iterator), step))
        if strategy.num_replicas_in_sync == 1:
            return result

        def local(value):
            return strategy.experimental_local_results(value)

        return StepResult(
            losses={
                name: strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
                for name, value in result.losses.items()
            },
            learning_rate=local(result.learning_rate)[0],
            gradient_norm=local(result.gradient_norm)[0],
            image_ids=tf.concat(local(result.image_ids), axis=0),
            images=None if result.images is None else local(result.images)[0],
        )

    return tf.function(step_of_all)


def _of_the_whole_batch(gradients, context):
    """Sums over the replicas, so that what follows sees what a single large device would see.

    TFOD clips each replica's gradient by itself and sums afterwards: there the same batch on more
    GPUs is another training. Here it is not.
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
