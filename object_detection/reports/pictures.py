"""Images with their objects drawn in, small enough for a page."""

import base64
import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from object_detection.utils import visualization_utils

_QUALITY = 82


class Objects(NamedTuple):
    """What is drawn: the objects of one image, as `draw_named_objects` wants them."""

    boxes: np.ndarray  # [n, 4] pixels of the picture
    classes: np.ndarray  # [n]
    masks: np.ndarray | None = None  # [n, h, w] of 0 and 1, of any size
    covers: tuple[int, int] | None = None  # (height, width) that masks span; None: all of it

    def full_mask(self, index, height, width):
        """The mask of object `index` as bool [height, width], or None without masks."""
        if self.masks is None or not self.masks[index].size:
            return None
        full = np.zeros((height, width), bool)
        rows, columns = self.covers or (height, width)
        full[:rows, :columns] = nearest(self.masks[index], rows, columns) > 0
        return full


def draw(image, objects, remarks, category_index, side):
    """Draws all objects of an image.

    Args:
        image: uint8 [h, w, 3].
        objects: `Objects`, its boxes in pixels of `image`.
        remarks: a text behind the name of each, '' for none.
        category_index: {id: name}.
        side: pixels that the longer side of the picture has at most before it is drawn on.

    Returns:
        uint8 [H, W, 3].
    """
    height, width = image.shape[:2]
    scale = min(1.0, side / max(height, width))
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
        ratio = np.float32([image.shape[0] / height, image.shape[1] / width] * 2)
        covers = objects.covers
        if covers:
            covers = tuple(int(round(side)) for side in covers * ratio[:2])
        objects = objects._replace(boxes=objects.boxes * ratio, covers=covers)
    return visualization_utils.draw_named_objects(
        image, objects, range(len(objects.boxes)), remarks, category_index
    )


def data_uri(picture):
    """A picture as text that stands in a page itself."""
    with io.BytesIO() as file:
        Image.fromarray(picture).save(file, "JPEG", quality=_QUALITY)
        return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def nearest(mask, height, width):
    """[h, w] at another size, each pixel from the one that lies under it."""
    rows = np.minimum(np.arange(height) * mask.shape[0] // height, mask.shape[0] - 1)
    columns = np.minimum(np.arange(width) * mask.shape[1] // width, mask.shape[1] - 1)
    return mask[rows[:, None], columns]
