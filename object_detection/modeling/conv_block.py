"""Convolution, normalization and activation as one unit, and the dense layer.

Frozen batch normalization is a constant scale and shift, so it is folded into the kernel on the
fly: `conv(x, w * s) + b`, with `s = gamma / sqrt(variance + epsilon)`. That is exact, keeps gamma
and beta inside the gradient (TFOD trains them even where the statistics are frozen) and saves a
whole feature map in memory and time for every convolution of the network.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

from object_detection.errors import ConfigError
from object_detection.modeling import recomputation
from object_detection.modeling.precision import ProductLayer
from object_detection.modeling.rewrites import FAST
from object_detection.ops.convolution import Parts

ACTIVATIONS = {
    None: tf.identity,
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "swish": tf.nn.swish,
}
GROUPS = 32  # of group normalization, as in TFOD and in the paper (Wu & He 2018)


def replica_count() -> int:
    """Return the number of replicas that run in step, 1 outside a strategy's replica context."""
    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context else 1


def mean_over_replicas(values: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the mean over all replicas of each tensor, the same on every replica."""
    if replica_count() == 1:
        return values
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, values)


class Norm(NamedTuple):
    """How a convolution is normalized.

    `live` batch normalization takes the statistics of the batch while training and updates the
    moving ones; otherwise the moving statistics are constants. "sync" batch normalization takes
    them over all replicas of a `tf.distribute` strategy.
    """

    kind: str = "batch"  # "batch", "sync" or "group"
    momentum: float = 0.997
    epsilon: float = 1e-5
    center: bool = True
    scale: bool = True
    live: bool = False


class Hyperparams(NamedTuple):
    """The settings of a `Hyperparams` message for its layers."""

    initializer: Callable | str = "he_normal"
    penalty: Callable | None = None  # kernel -> scalar added to the loss
    activation: str | None = "relu"
    norm: Norm | None = None
    use_bias: bool = False  # a bias even with a norm (force_use_bias)

    def with_norm_live(self, live: bool) -> "Hyperparams":
        """The same with `live` and-ed into the norm, if there is one."""
        if self.norm is None:
            return self
        return self._replace(norm=self.norm._replace(live=self.norm.live and live))


DEFAULTS = Hyperparams()


class ConvBlock(ProductLayer):
    """Convolution + norm + activation.

    Args:
        filters: output channels.
        kernel_size: side of the square kernel, or its (height, width).
        strides, dilation: of the convolution.
        padding: "same", "valid", or "fixed": (k - 1) // 2 zeros before and k // 2 after, whatever
            the input size, as TFOD pads strided convolutions.
        norm: `Norm`, or None for a plain bias.
        activation: a key of `ACTIVATIONS`.
        hyperparams: initializer and penalty of the kernel.
        use_bias: adds a bias in addition to a norm.
        gain: factor on kernel and bias; it needs no variable of its own and no pass over the map.

    Call arguments:
        x: [B, H, W, C] float.
        training: bool; only a live norm looks at it.
        residual: [B, H', W', filters] added before the activation, or None.
        convolve: (x, kernel) -> y or `Parts` of y in place of the plain convolution, for exact
            rewrites of it.

    Returns:
        [B, H', W', filters] of the type `product_dtype`; norms are computed in float32.
    """

    rewrites = FAST

    def __init__(
        self,
        filters,
        kernel_size,
        *,
        strides=1,
        dilation=1,
        padding="same",
        norm=None,
        activation="relu",
        hyperparams=DEFAULTS,
        use_bias=None,
        gain=1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        square = isinstance(kernel_size, int)
        self.kernel_size = (kernel_size, kernel_size) if square else tuple(kernel_size)
        self.strides = strides
        self.dilation = dilation
        self.padding = padding
        self.norm = norm
        self.activation = activation
        self.hyperparams = hyperparams
        self.use_bias = norm is None if use_bias is None else use_bias
        self.gain = gain

    @classmethod
    def from_hyperparams(cls, hyperparams, filters, kernel_size, **kwargs):
        """A block with norm, activation, initializer and penalty of a `Hyperparams`."""
        kwargs.setdefault("activation", hyperparams.activation)
        kwargs.setdefault("norm", hyperparams.norm)
        kwargs.setdefault("use_bias", kwargs["norm"] is None or hyperparams.use_bias)
        return cls(filters, kernel_size, hyperparams=hyperparams, **kwargs)

    def build(self, input_shape):
        self._build_kernel(input_shape[-1])
        self.bias = self._vector("bias", "zeros") if self.use_bias else None
        if self.norm is not None:
            self.gamma = self._vector("gamma", "ones") if self.norm.scale else None
            self.beta = self._vector("beta", "zeros") if self.norm.center else None
            if self.norm.kind != "group":
                self.moving_mean = self._vector("moving_mean", "zeros", trainable=False)
                self.moving_variance = self._vector("moving_variance", "ones", trainable=False)

    def _build_kernel(self, channels):
        self.kernel = self._weight("kernel", (*self.kernel_size, channels, self.filters))

    def _weight(self, name, shape):
        return self.add_weight(name=name, shape=shape, initializer=self.hyperparams.initializer)

    def whole_kernel(self):
        """What the input is convolved with, before any norm: [h, w, C, filters]."""
        return tf.convert_to_tensor(self.kernel)

    def _vector(self, name, initializer, trainable=True):
        return self.add_weight(
            name=name,
            shape=(self.filters,),
            initializer=initializer,
            trainable=trainable,
            aggregation="none" if trainable else "mean",
        )

    def call(self, x, training=False, residual=None, convolve=None):
        convolve = convolve or functools.partial(self._convolve, training=training)
        x, kernel = self.rounded(x), self.whole_kernel()
        if self.gain != 1.0:
            kernel = kernel * self.gain
        norm, bias = self.norm, None if self.bias is None else self._whole_bias()
        if self._is_folded(training):
            scale, bias = self.folded_norm()
            norm, kernel = None, kernel * scale

        def finish(y):
            y = y if bias is None else self.add_bias(y, bias, training)
            y = y if norm is None else self._normalize(y, training)
            y = y if residual is None else y + self.rounded(residual)
            return ACTIVATIONS[self.activation](y)

        y = convolve(x, self.rounded(kernel))
        if not isinstance(y, Parts):
            return finish(y)
        if norm is None and residual is None:
            return y.join([finish(part) for part in y.maps])
        return finish(y.joined())

    def _is_folded(self, training):
        if self.norm is None or self.norm.kind == "group" or not self.rewrites.folded_norms:
            return False
        return not (self.norm.live and training)

    def _normalize(self, y, training):
        y = tf.cast(y, tf.float32)
        if self.norm.kind == "group":
            y = self._group_norm(y)
        elif self.norm.live and training:
            y = self._live_batch_norm(y)
        else:
            y = self._batch_normalization(y, self.moving_mean, self.moving_variance)
        return self.rounded(y)

    def folded_norm(self):
        """Scale and shift [filters] that equal the frozen norm, the bias included."""
        # Tensors, not Keras variables: Keras' operators on those take twice as long to trace.
        scale = tf.math.rsqrt(tf.convert_to_tensor(self.moving_variance) + self.norm.epsilon)
        if self.gamma is not None:
            scale = scale * tf.convert_to_tensor(self.gamma)
        shift = -tf.convert_to_tensor(self.moving_mean) * scale
        if self.bias is not None:
            shift = shift + self._whole_bias() * scale
        if self.beta is not None:
            shift = shift + tf.convert_to_tensor(self.beta)
        return scale, shift

    def _convolve(self, x, kernel, training=False):
        # Without a stride "fixed" pads as "same" does, whose result TensorFlow knows to have the
        # size of x: only so it fuses the sum with a residual.
        padding = "SAME" if self.padding == "fixed" else self.padding.upper()
        if self.padding == "fixed" and self.strides > 1:
            extents = [(side - 1) * self.dilation for side in self.kernel_size]
            pads = [[extent // 2, extent - extent // 2] for extent in extents]
            x = tf.pad(x, [[0, 0], *pads, [0, 0]])
            padding = "VALID"
        if self.dilation == 1 or self.kernel_size == (1, 1):
            return tf.nn.conv2d(x, kernel, self.strides, padding)
        # On a CPU `conv2d` has a gradient with holes only by oneDNN. `convolution` sorts the pixels
        # into maps without holes first: the same numbers but for rounding, which without training
        # is left as TFOD's: whether a proposal on the border reads the last row depends on it.
        sort_pixels = training and not tf.config.list_logical_devices("GPU")
        convolve = tf.nn.convolution if sort_pixels else tf.nn.conv2d
        return convolve(x, kernel, self.strides, padding, dilations=self.dilation)

    def _whole_bias(self):
        bias = tf.convert_to_tensor(self.bias)
        return bias if self.gain == 1.0 else bias * self.gain

    def _live_batch_norm(self, y):
        if self.norm.kind == "sync" and replica_count() > 1:
            return self._live_norm_of_all_replicas(y)
        ones, zeros = tf.ones([self.filters]), tf.zeros([self.filters])
        y, mean, variance, _, _, _ = tf.raw_ops.FusedBatchNormV3(
            x=y,
            scale=ones if self.gamma is None else tf.convert_to_tensor(self.gamma),
            offset=zeros if self.beta is None else tf.convert_to_tensor(self.beta),
            mean=zeros[:0],
            variance=zeros[:0],
            epsilon=self.norm.epsilon,
            is_training=True,
        )
        self._move_statistics(mean, variance)
        return y

    def _live_norm_of_all_replicas(self, y):
        mean = tf.reduce_mean(y, [0, 1, 2])
        square = tf.reduce_mean(tf.square(y), [0, 1, 2])
        mean, square = mean_over_replicas([mean, square])
        variance = square - tf.square(mean)
        self._move_statistics(mean, variance)
        return self._batch_normalization(y, mean, variance)

    def _batch_normalization(self, y, mean, variance):
        values = (mean, variance, self.beta, self.gamma)
        values = (None if x is None else tf.convert_to_tensor(x) for x in values)
        return tf.nn.batch_normalization(y, *values, self.norm.epsilon)

    def _move_statistics(self, mean, variance):
        if recomputation.is_again():
            return
        keep = self.norm.momentum
        self.moving_mean.assign(self.moving_mean * keep + mean * (1.0 - keep))
        self.moving_variance.assign(self.moving_variance * keep + variance * (1.0 - keep))

    def _group_norm(self, y):
        groups = min(GROUPS, self.filters)
        shape = tf.shape(y)
        y = tf.reshape(y, [shape[0], shape[1], shape[2], groups, self.filters // groups])
        mean, variance = tf.nn.moments(y, [1, 2, 4], keepdims=True)
        y = tf.reshape((y - mean) * tf.math.rsqrt(variance + self.norm.epsilon), shape)
        if self.gamma is not None:
            y = y * self.gamma
        return y if self.beta is None else tf.nn.bias_add(y, tf.convert_to_tensor(self.beta))

    def penalty(self):
        """The regularization loss of the kernel, a scalar; None where there is none."""
        return self.hyperparams.penalty(self.kernel) if self.hyperparams.penalty else None


class SeparableConvBlock(ConvBlock):
    """A depthwise convolution and a 1x1 one after it, nothing between them (Xception).

    The two are linear, so they are one convolution whose kernel is their product; that is what
    runs.

    Args:
        multiplier: how many maps the depthwise convolution makes of each input channel.
    """

    def __init__(self, filters, kernel_size, *, multiplier, **kwargs):
        super().__init__(filters, kernel_size, **kwargs)
        self.multiplier = multiplier

    def _build_kernel(self, channels):
        depth = channels * self.multiplier
        shape = (*self.kernel_size, channels, self.multiplier)
        self.depthwise_kernel = self._weight("depthwise_kernel", shape)
        self.pointwise_kernel = self._weight("pointwise_kernel", (1, 1, depth, self.filters))

    def whole_kernel(self):
        channels = self.depthwise_kernel.shape[2]
        shape = [channels, self.multiplier, self.filters]
        pointwise = tf.reshape(tf.convert_to_tensor(self.pointwise_kernel), shape)
        return tf.einsum("hwcm,cmo->hwco", tf.convert_to_tensor(self.depthwise_kernel), pointwise)

    def penalty(self):
        """Of both kernels, a scalar; None where there is none."""
        if self.hyperparams.penalty is None:
            return None
        kernels = (self.depthwise_kernel, self.pointwise_kernel)
        return tf.add_n([self.hyperparams.penalty(kernel) for kernel in kernels])


class DenseBlock(ProductLayer):
    """Dense layer [n, C] -> [n, units] with frozen or live batch norm, and activation.

    The result is of the type `product_dtype`; the norm is computed in float32.

    TFOD normalizes *after* the activation of the first dense layer of its FPN box head; so the
    order here is dense, activation, norm.

    Raises:
        ConfigError: a group norm, which needs positions.
    """

    def __init__(
        self,
        units,
        *,
        activation=None,
        norm=None,
        hyperparams=DEFAULTS,
        use_bias=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if norm is not None and norm.kind == "group":
            raise ConfigError("group_norm is for convolutions; a dense layer can have batch_norm")
        self.units = units
        self.activation = activation
        self.norm = norm
        self.hyperparams = hyperparams
        self.use_bias = use_bias

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], self.units),
            initializer=self.hyperparams.initializer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
        if self.norm is not None:
            self.norm_layer = keras.layers.BatchNormalization(
                momentum=self.norm.momentum,
                epsilon=self.norm.epsilon,
                center=self.norm.center,
                scale=self.norm.scale,
                name="norm",
            )
            self.norm_layer.build((None, self.units))

    def call(self, x, training=False):
        x = tf.matmul(self.rounded(x), self.rounded(self.kernel))
        if self.bias is not None:
            x = self.add_bias(x, tf.convert_to_tensor(self.bias), training)
        x = ACTIVATIONS[self.activation](x)
        if self.norm is not None:
            x = tf.cast(x, tf.float32)
            x = self.rounded(self.norm_layer(x, training=training and self.norm.live))
        return x

    def penalty(self):
        """The regularization loss of the kernel, a scalar; None where there is none."""
        return self.hyperparams.penalty(self.kernel) if self.hyperparams.penalty else None
