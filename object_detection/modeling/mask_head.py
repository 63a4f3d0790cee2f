"""The mask branch (Mask R-CNN section 3): a roi's features -> one small mask.

TFOD resizes the roi's features to the mask's size and convolves there, for every class. Exact
rewrites make that cheap:

* `taps_before_resize`: `conv(resize(x))` = `resize` applied to the nine products of the kernel's
  taps, because resizing acts on each channel and a tap mixes channels at one pixel. The
  products are taken at the small size; resizing and shifting together are one constant matrix.
* `taps_before_repeat`: where cells are repeated instead, many taps read the same cell.
* `own_class_kernel`: of the last convolution only the kernel of the roi's own class is applied.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from object_detection.errors import ConfigError
from object_detection.modeling.conv_block import DEFAULTS, ConvBlock
from object_detection.modeling.recomputation import Segmented, recompute
from object_detection.modeling.rewrites import FAST
from object_detection.ops.convolution import convolve_repeated


class MaskSettings(NamedTuple):
    """The mask fields of a `MaskRCNNBoxPredictor` message."""

    height: int
    width: int
    conv_depth: int  # 0: `auto_depth`
    num_conv_layers: int
    class_agnostic: bool
    convolve_then_upsample: bool
    spatial: bool  # our spatial_mask_branch: crops of the pyramid itself
    crop_size: int  # of these crops
    loss_per_replica: bool  # our mask_loss_per_replica: the mean of each replica's own rois (TFOD)


class MaskHead(Segmented):
    """Mask logits of one class for each roi.

    Args:
        num_classes: C.
        settings: `MaskSettings`.
        hyperparams: `Hyperparams` of the convolutions.

    Call arguments:
        features: [n, h, w, channels] of the rois.
        classes: [n] int32 in 1..C: the class whose mask is wanted; None for all.

    Returns:
        [n, height, width] logits; [n, C, height, width] without `classes` (1 in place of C where
        masks are class-agnostic).
    """

    rewrites = FAST

    def __init__(self, num_classes, settings, hyperparams=DEFAULTS, **kwargs):
        super().__init__(**kwargs)
        self.settings = settings
        self.num_classes = num_classes
        self.hyperparams = hyperparams

    def build(self, input_shape):
        settings = self.settings
        self.mask_size = self._mask_size(*input_shape[1:3])
        masks = 1 if settings.class_agnostic else self.num_classes
        depth = settings.conv_depth or auto_depth(input_shape[-1], self.num_classes)
        count = settings.num_conv_layers - 1 + settings.convolve_then_upsample
        self.convs = [
            ConvBlock.from_hyperparams(self.hyperparams, depth, 3, name=f"conv{i + 1}")
            for i in range(count)
        ]
        plain = {"norm": None, "activation": None, "use_bias": True, "keep_float32": True}
        self.last = ConvBlock.from_hyperparams(self.hyperparams, masks, 3, name="masks", **plain)
        channels = input_shape[-1]
        for conv in (*self.convs, self.last):
            conv.build((None, None, None, channels))
            channels = conv.filters

    def _mask_size(self, height, width):
        """(height, width) of the masks of features of this size.

        Cells are repeated a whole number of times (TFOD), so with `convolve_then_upsample` masks
        are the largest multiple of the features' size that fits.
        """
        wanted = (self.settings.height, self.settings.width)
        if not self.settings.convolve_then_upsample:
            return wanted
        if wanted[0] < height or wanted[1] < width:
            raise ConfigError(
                f"mask_height and mask_width are {wanted[0]} and {wanted[1]}, below the size of "
                f"the features, {height} x {width}, which convolve_then_upsample_masks enlarges"
            )
        return wanted[0] // height * height, wanted[1] // width * width

    @property
    def has_live_norm(self):
        """Whether a convolution takes the statistics of the batch while training."""
        norm = self.hyperparams.norm
        return norm is not None and norm.kind != "group" and norm.live

    def call(self, features, classes=None, training=False):
        logits = functools.partial(self._logits, classes=classes, training=training)
        return recompute(logits, features) if self.is_recomputed and training else logits(features)

    def _logits(self, x, classes, training):
        size = self.mask_size
        if not self.settings.convolve_then_upsample:
            return self._upsample_then_convolve(x, size, classes, training)
        for conv in self.convs[:-1]:
            x = conv(x, training=training)
        return self._last(self._repeat_and_convolve(x, size, training), classes)

    def _repeat_and_convolve(self, x, size, training):
        if not self.rewrites.taps_before_repeat:
            return self.convs[-1](nearest_upsample(x, size), training=training)
        scale = (size[0] // x.shape[1], size[1] // x.shape[2])
        convolve = functools.partial(convolve_repeated, scale=scale)
        return self.convs[-1](x, training=training, convolve=convolve)

    def _upsample_then_convolve(self, x, size, classes, training):
        for i, conv in enumerate(self.convs):
            resize = i == 0 and tuple(x.shape[1:3]) != size
            if resize and self.rewrites.taps_before_resize:
                convolve = functools.partial(resized_convolution, size=size)
                x = conv(x, training=training, convolve=convolve)
            else:
                x = align_corners_resize(x, size) if resize else x
                x = conv(x, training=training)
        if not self.convs:
            x = align_corners_resize(x, size)
        return self._last(x, classes)

    def _last(self, x, classes):
        own_kernel = self.rewrites.own_class_kernel and not self.settings.class_agnostic
        if classes is None or not own_kernel:
            masks = tf.transpose(self.last(x), [0, 3, 1, 2])
            if classes is None:
                return masks
            chosen = tf.zeros_like(classes) if self.settings.class_agnostic else classes - 1
            return tf.gather(masks, chosen, batch_dims=1)
        x = self.last.rounded(x)
        return convolution_of_class(x, self.last.kernel, self.last.bias, classes - 1)


def auto_depth(channels, num_classes):
    """TFOD's rule for `mask_prediction_conv_depth: 0`.

    2 to the weighted mean of the logarithms of the input channels and the number of classes, the
    classes weighing 3 to 2; Python's rounding (half to even).
    """
    exponent = (2.0 * math.log2(channels) + 3.0 * math.log2(num_classes)) / 5.0
    return int(2.0 ** round(exponent))


def align_corners_resize(x, size):
    """Bilinear resize of [n, h, w, C] with corner pixels aligned."""
    return tf.raw_ops.ResizeBilinear(images=x, size=size, align_corners=True)


def nearest_upsample(x, size):
    """Repeats the cells of [n, h, w, C] up to `size`, a multiple of (h, w) (TFOD)."""
    scale_y, scale_x = size[0] // x.shape[1], size[1] // x.shape[2]
    return tf.repeat(tf.repeat(x, scale_y, axis=1), scale_x, axis=2)


def resized_convolution(x, kernel, *, size):
    """`conv2d(align_corners_resize(x, size), kernel, 1, "SAME")` for a 3x3 kernel, computed small.

    Args:
        x: [n, h, w, C] with static h, w.
        kernel: [3, 3, C, F].
        size: (height, width) of the output.

    Returns:
        [n, height, width, F].
    """
    height, width = size
    h, w, channels = x.shape[1:4]
    filters = kernel.shape[-1]
    taps = tf.transpose(tf.reshape(kernel, [9, channels, filters]), [1, 0, 2])
    taps = tf.reshape(taps, [channels, 9 * filters])
    products = tf.matmul(tf.reshape(x, [-1, channels]), taps)
    products = tf.reshape(products, [-1, h * w * 9, filters])
    matrix = tf.cast(_resize_and_shift_matrix(h, w, height, width)[np.newaxis], x.dtype)
    y = tf.matmul(matrix, products)
    return tf.reshape(y, [-1, height, width, filters])


@functools.lru_cache(maxsize=16)
def _resize_and_shift_matrix(h, w, height, width):
    """[height * width, h * w * 9] float32: tap k of source pixel p -> output pixel."""
    rows = _shifted_interpolation(h, height)  # [3, height, h]
    columns = _shifted_interpolation(w, width)  # [3, width, w]
    matrix = np.einsum("ayh,bxw->yxhwab", rows, columns)
    return np.ascontiguousarray(matrix.reshape(height * width, h * w * 9).astype(np.float32))


def _shifted_interpolation(source, target):
    """[3, target, source]: align-corners interpolation read one before, at, and one after a pixel.

    Reads outside are zero, as "SAME" padding has it.
    """
    scale = np.float32(source - 1) / np.float32(target - 1) if target > 1 else np.float32(0)
    position = np.arange(target, dtype=np.float32) * scale
    low = np.clip(np.floor(position).astype(int), 0, source - 1)
    high = np.minimum(low + 1, source - 1)
    fraction = position - low
    plain = np.zeros((target, source), np.float32)
    np.add.at(plain, (np.arange(target), low), 1 - fraction)
    np.add.at(plain, (np.arange(target), high), fraction)
    padded = np.pad(plain, ((1, 1), (0, 0)))
    return np.stack([padded[tap : tap + target] for tap in range(3)])


def convolution_of_class(x, kernel, bias, index):
    """A 3x3 "SAME" convolution that gives each row only the output channel of its class.

    Args:
        x: [n, h, w, C].
        kernel: [3, 3, C, K]; bias: [K].
        index: [n] int32 in 0..K-1.

    Returns:
        [n, h, w].
    """
    kernel, bias = tf.convert_to_tensor(kernel), tf.convert_to_tensor(bias)
    n, height, width, channels = tf.shape(x)[0], x.shape[1], x.shape[2], x.shape[3]
    per_class = tf.transpose(tf.reshape(kernel, [9, channels, -1]), [2, 1, 0])  # [K, C, 9]
    own = tf.gather(per_class, index)  # [n, C, 9]
    products = tf.matmul(tf.reshape(x, [n, height * width, channels]), own)
    products = tf.pad(tf.reshape(products, [n, height, width, 9]), [[0, 0], [1, 1], [1, 1], [0, 0]])
    y = sum(
        products[:, dy : dy + height, dx : dx + width, 3 * dy + dx]
        for dy in range(3)
        for dx in range(3)
    )
    return y + tf.gather(bias, index)[:, tf.newaxis, tf.newaxis]
