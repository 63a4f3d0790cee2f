"""The exact rewrites: the numbers of the plain network for a fraction of its work.

Each can be switched off independently, which leaves the straightforward computation. Tests
hold the two equal but for rounding, and `benchmarks/rewrites.py` times each one.
"""

from typing import NamedTuple


class Rewrites(NamedTuple):
    """Which rewrites a network runs with; the default is all of them.

    The plain computation of a row is the text after "instead of".
    """

    # The products of the first mask convolution's nine taps at the size of the roi's features,
    # then resized and added; instead of resizing the features and convolving there.
    taps_before_resize: bool = True
    # Taps of the convolution after cells are repeated that read the same cell summed beforehand;
    # instead of repeating the cells (`convolve_then_upsample_masks`) and convolving there.
    taps_before_repeat: bool = True
    # Of the last mask convolution the kernel of the roi's class; instead of every class' mask.
    own_class_kernel: bool = True
    # Masks of positive rois and of detections; instead of those of all rois and of padding too.
    counted_masks: bool = True
    # Mask targets read from the masks as they are stored; instead of masks resized to the image.
    stored_mask_targets: bool = True
    # Frozen batch norms multiplied into kernels; instead of passes over the features.
    folded_norms: bool = True
    # 1x1 convolutions that stand first after a crop computed once on the whole map, and their
    # results cropped; instead of on every crop. Where there are more cells in crops than in maps.
    convolution_before_crop: bool = True
    # Suppression among the best proposals and the best pairs of box and class first, and of no
    # class without a candidate; instead of among all boxes of every class.
    best_first_suppression: bool = True


FAST = Rewrites()
PLAIN = Rewrites(*(False for _ in FAST))


def use_rewrites(network, rewrites):
    """Sets the rewrites of all layers of a network, before or between its graphs are traced.

    Args:
        network: a layer or model, of any depth.
        rewrites: `Rewrites`.
    """
    for layer in network._flatten_layers():
        if hasattr(layer, "rewrites"):
            layer.rewrites = rewrites
