"""Updates the weights by an optimizer plan, and keeps its slots and moving averages.

Why not the optimizers of Keras: their slots are named by joining path parts with underscores,
which is not one-to-one, and they sum gradients over replicas after clipping them; here every
slot has the path of its weight, and clipping sees the gradient of the whole batch. The updates
themselves are TensorFlow's fused kernels, the same that TFOD's optimizers ran.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from object_detection.builders.optimizer_builder import (
    Adam,
    AdamW,
    Momentum,
    OptimizerPlan,
    RMSProp,
)


class _Rule(NamedTuple):
    """The slots a rule keeps for each weight, and its in-place update of one weight."""

    slots: tuple[str, ...]
    update: Callable  # (rule, weight, slots: tuple of variables, gradient, rate, step)


def _momentum(rule, weight, slots, gradient, rate, step):
    del step
    tf.raw_ops.ResourceApplyKerasMomentum(
        var=weight.handle, accum=slots[0].handle, lr=rate, grad=gradient, momentum=rule.momentum
    )


def _rms_prop(rule, weight, slots, gradient, rate, step):
    del step
    mean_square, velocity = slots
    tf.raw_ops.ResourceApplyRMSProp(
        var=weight.handle,
        ms=mean_square.handle,
        mom=velocity.handle,
        lr=rate,
        rho=rule.mean_square_decay,
        momentum=rule.momentum,
        epsilon=rule.epsilon,
        grad=gradient,
    )


def _adam(rule, weight, slots, gradient, rate, step):
    first, second = slots
    updates = tf.cast(step + 1, weight.dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=weight.handle,
        m=first.handle,
        v=second.handle,
        beta1_power=tf.pow(tf.constant(rule.beta_1, weight.dtype), updates),
        beta2_power=tf.pow(tf.constant(rule.beta_2, weight.dtype), updates),
        lr=rate,
        beta1=rule.beta_1,
        beta2=rule.beta_2,
        epsilon=rule.epsilon,
        grad=gradient,
    )


def _adam_w(rule, weight, slots, gradient, rate, step):
    if len(weight.shape) > 1:  # kernels; biases and norms have one dimension
        weight.assign_sub(weight * (rate * rule.weight_decay))
    _adam(rule, weight, slots, gradient, rate, step)


_RULES = {
    Momentum: _Rule(("momentum",), _momentum),
    RMSProp: _Rule(("mean_square", "momentum"), _rms_prop),
    Adam: _Rule(("first_moment", "second_moment"), _adam),
    AdamW: _Rule(("first_moment", "second_moment"), _adam_w),
}


class Optimizer:
    """Slots and moving averages of a set of weights.

    Create it inside the scope of the strategy that the weights were created in.

    Args:
        plan: from `builders.optimizer_builder.build`.
        weights: path -> variable of every weight that is trained.

    Attributes:
        slots: (slot name, path) -> variable.
        averages: path -> variable; empty if the plan keeps none. They start at zero, as
            TFOD's do; its growing decay, `min(decay, (1 + n) / (10 + n))` after n updates, has
            forgotten the zeros after some ten updates.
    """

    def __init__(self, plan: OptimizerPlan, weights: dict[str, tf.Variable]):
        self.plan = plan
        self.weights = dict(weights)
        self._rule = _RULES[type(plan.rule)]
        self.slots = {
            (slot, path): _zeros_like(weight, f"{slot}/{path}")
            for slot in self._rule.slots
            for path, weight in self.weights.items()
        }
        self.averages = {}
        if plan.average_decay is not None:
            self.averages = {
                path: _zeros_like(weight, f"average/{path}")
                for path, weight in self.weights.items()
            }

    def apply(
        self,
        gradients: Sequence[tf.Tensor | None],
        step: tf.Tensor,
        *,
        only_if: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Update every weight that has a gradient; return the learning rate used.

        Call it in replica context, with gradients already summed over the replicas.

        Args:
            gradients: one for each of `weights`, in their order; None keeps a weight.
            step: int64 scalar, the updates made before this one.
            only_if: bool scalar; where it is False nothing changes, slots and averages included.
        """
        rate = self.plan.learning_rate(step)
        rows = [
            (path, gradient)
            for path, gradient in zip(self.weights, gradients, strict=True)
            if gradient is not None
        ]
        paths = [path for path, _ in rows]

        def update_all(strategy, gradients, rate, step, only_if):
            for path, gradient in zip(paths, gradients, strict=True):
                strategy.extended.update(
                    self.weights[path],
                    self._update,
                    args=(self._companions(path), gradient, rate, step, only_if),
                    group=False,
                )

        tf.distribute.get_replica_context().merge_call(
            update_all, args=([gradient for _, gradient in rows], rate, step, only_if)
        )
        return rate

    @contextlib.contextmanager
    def averaged(self):
        """Replace the weights by their moving averages while the block runs."""
        kept = {path: tf.identity(self.weights[path]) for path in self.averages}
        for path, average in self.averages.items():
            self.weights[path].assign(average)
        try:
            yield
        finally:
            for path, value in kept.items():
                self.weights[path].assign(value)

    def tfod1_momentum_scale(self, step: int) -> float | None:
        """Return the factor from TFOD 1.x's momentum to ours; None for rules other than momentum.

        TFOD 2.x runs the same kernels on the same slots. TFOD 1.x's momentum is a sum of gradients,
        which the rate multiplies at each update; ours, as Keras's, is the sum of the updates
        themselves. With the rate of the next update between them that update is the same.
        """
        if not isinstance(self.plan.rule, Momentum):
            return None
        return -float(self.plan.learning_rate(tf.constant(step, tf.int64)))

    def _companions(self, path):
        slots = tuple(self.slots[slot, path] for slot in self._rule.slots)
        return slots, self.averages.get(path)

    def _update(self, weight, companions, gradient, rate, step, only_if):
        def change():
            self._change(weight, companions, gradient, rate, step)
            return True

        if only_if is None:
            change()
        else:
            tf.cond(only_if, change, lambda: False)

    def _change(self, weight, companions, gradient, rate, step):
        slots, average = companions
        self._rule.update(self.plan.rule, weight, slots, gradient, rate, step)
        if average is not None:
            updates = tf.cast(step + 1, tf.float32)
            decay = tf.minimum(self.plan.average_decay, (1 + updates) / (10 + updates))
            average.assign_sub((average - weight) * (1 - decay))


def _zeros_like(weight, name) -> tf.Variable:
    strategy = tf.distribute.get_strategy()
    with strategy.extended.colocate_vars_with(weight):
        return tf.Variable(tf.zeros(weight.shape, weight.dtype), trainable=False, name=name)
