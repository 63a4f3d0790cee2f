"""Masks in the forms that records hold them in: TFOD's two, and one of our own that is smaller.

`png`: TFOD's; for each object a PNG of the whole image. `numerical`: TFOD's too; one float for each
pixel of each object. `box`: ours; the PNG holds only the rows and columns between the first and the
last pixel of the object, and two numbers say where they lie. All three are exact.
"""

import numpy as np

from object_detection.datasets import mask_png

STORAGES = ("png", "box", "numerical")

# TFOD's key. `png`: a list of bytes, one PNG of [image height, image width] of 0 and 1 an object.
# `numerical`: a list of floats of 0 and 1, object after object and row after row of the image.
MASK = "image/object/mask"
# `box`: a list of bytes, one 8-bit grey PNG of [h, w] of 0 and 1 an object; h and w stand in the
# PNG alone, and are 1 or more. Its first and last row and column hold a pixel of the object.
BOX_PNG = "image/object/mask/box_png"
# `box`: int64, one an object: the row of the image in which the first row of the PNG lies, from 0.
BOX_TOP = "image/object/mask/box_top"
# `box`: int64, one an object: the column of the image in which the PNG's first column lies.
BOX_LEFT = "image/object/mask/box_left"


def features(masks, height, width, storage):
    """The features of all masks of an image; pixels outside a mask's own are 0.

    Args:
        masks: `Bitmap`s cut at their pixels' extent, inside the image.
        height: of the image in pixels.
        width: of the image in pixels.
        storage: one of `STORAGES`.

    Returns:
        key -> list of bytes, or array of int64 or float32; all are there where there is no mask.
    """
    if storage == "box":
        return {
            BOX_PNG: [mask_png.encode(mask.pixels) for mask in masks],
            BOX_TOP: np.array([mask.top for mask in masks], np.int64),
            BOX_LEFT: np.array([mask.left for mask in masks], np.int64),
        }
    if storage == "png":
        return {MASK: [mask_png.encode_placed(mask, height, width) for mask in masks]}
    stack = np.zeros((len(masks), height, width), np.float32)
    for canvas, (pixels, top, left) in zip(stack, masks, strict=True):
        canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return {MASK: stack.reshape(-1)}
