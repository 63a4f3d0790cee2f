"""The type in which convolutions and matrix products are computed: float32 or bfloat16.

bfloat16 has the range of float32 and 8 of its 24 significant bits. Products of bfloat16 numbers are
summed in float32 inside the kernels of TensorFlow, and CPUs and GPUs that have instructions for
them are several times faster. So with "bfloat16"

* convolutions and dense layers take inputs and kernels rounded to bfloat16, and what passes between
  them (feature maps, crops of them) is bfloat16;
* variables stay float32, and with them checkpoints, gradients and the optimizer's slots;
* statistics of norms, the last layer of each head, and all that follows it (softmax, sigmoid,
  boxes, suppression, losses) are float32.

It is set on the layers of one network; other models of the same process are not touched. (Keras's
own policies are not used: a layer's `mixed_bfloat16` hands out its variables rounded, statistics of
norms too.)
"""

import keras
import tensorflow as tf
from absl import logging

from object_detection.errors import ConfigError

FLOAT32 = "float32"
BFLOAT16 = "bfloat16"
PRECISIONS = (FLOAT32, BFLOAT16)

_CPU_FLAGS = {"amx_bf16", "avx512_bf16", "bf16"}  # Intel; Intel and AMD; Arm

_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")  # what a layer calls them

_SLOW_HERE = (
    " This machine has no GPU, and its CPU no instructions for bfloat16 (AVX512-BF16 or AMX): it "
    "works here, and is likely to be slower than float32."
)


class ProductLayer(keras.layers.Layer):
    """A layer that convolves or multiplies matrices, in the type `product_dtype`.

    Args:
        keep_float32: always computes in float32: for the last layer of a head, whose numbers are
            read as they are. (In bfloat16 logits of 4 to 8 lie 0.03 apart: scores would tie.)
    """

    def __init__(self, *, keep_float32=False, **kwargs):
        super().__init__(**kwargs)
        self.keep_float32 = keep_float32
        self.product_dtype = FLOAT32

    def round_kernels(self):
        """Keeps the kernels in the type of the products, for a network that is not trained again.

        Nothing is left to round at each call, and they take half the memory. Past Keras, to whom
        the layer's variables are the ones that it was built with.
        """
        for name in _KERNELS:
            kernel = getattr(self, name, None)
            if kernel is not None and self.product_dtype != FLOAT32:
                rounded = tf.Variable(self.rounded(kernel), trainable=False, name=kernel.path)
                object.__setattr__(self, name, rounded)

    @property
    def rounded_kernels(self):
        """The `tf.Variable`s that `round_kernels` made; Keras's own are none."""
        kernels = (getattr(self, name, None) for name in _KERNELS)
        return [kernel for kernel in kernels if isinstance(kernel, tf.Variable)]

    def rounded(self, x):
        """A tensor or variable in the type of this layer's products."""
        return tf.cast(tf.convert_to_tensor(x), self.product_dtype)

    def add_bias(self, y, bias, training):
        """y [..., C] of the products' type plus bias [C] float32.

        While training `bias_add` is not for bfloat16: on CPUs its gradient is summed up in
        bfloat16, where a sum stops growing at 256 times its terms. Of a plain sum it is not. But
        plain sums that follow each other, a bias and a residual, TensorFlow draws together, and
        then can fuse none of them with the convolution.
        """
        if self.product_dtype == FLOAT32 or not training:
            return tf.nn.bias_add(y, self.rounded(bias))
        return y + self.rounded(bias)


def compute_in(network, precision):
    """Sets the type of a network's products, before or between its graphs are traced.

    A `tf.function` that was traced before keeps the type that it was traced with.

    Args:
        network: a layer or model, of any depth.
        precision: one of `PRECISIONS`.

    Raises:
        ConfigError: another precision.
    """
    check(precision)
    for layer in network._flatten_layers():
        # Keras would cast what passes from layer to layer back to float32.
        layer.autocast = precision == FLOAT32
        if isinstance(layer, ProductLayer) and not layer.keep_float32:
            layer.product_dtype = precision
    if precision == BFLOAT16:
        logging.info(
            "Convolutions and matrix products are computed in bfloat16, all else in float32.%s",
            "" if is_bfloat16_fast() else _SLOW_HERE,
        )


def round_kernels(network):
    """`ProductLayer.round_kernels` of all layers: for exports, after norms are folded."""
    for layer in _product_layers(network):
        layer.round_kernels()


def stored_variables(network):
    """All `tf.Variable` that a network may read, those of rounded kernels too."""
    rounded = [v for layer in _product_layers(network) for v in layer.rounded_kernels]
    return [variable.value for variable in network.variables] + rounded


def _product_layers(network):
    return [layer for layer in network._flatten_layers() if isinstance(layer, ProductLayer)]


def check(precision):
    """Raises ValueError unless `precision` is one of `PRECISIONS`."""
    if precision not in PRECISIONS:
        raise ConfigError(f"precision is {precision!r}; allowed are {' and '.join(PRECISIONS)}")


def is_bfloat16_fast():
    """Whether there is a GPU or a CPU with bfloat16 instructions; True where that is unknown."""
    if tf.config.list_physical_devices("GPU"):
        return True
    flags = cpu_flags()
    return not flags or bool(flags & _CPU_FLAGS)


def cpu_flags(path="/proc/cpuinfo"):
    """The instruction sets that Linux lists of the first CPU; none where it has no such file."""
    try:
        with open(path) as file:
            rows = [line.partition(":") for line in file]
    except OSError:
        return set()
    named = (value for name, _, value in rows if name.strip() in ("flags", "Features"))
    return set(next(named, "").split())
