"""A segmenter in numpy that finds bright shapes: what a model gives for it is known beforehand.

It is called as an exported model is, with uint8 [B, h, w, 3], and gives arrays under TFOD's names.
"""

import numpy as np

MASK_SIDE = 28  # of a mask inside its box, as in many a real model
LEAST_PIXELS = 4  # of a shape that it finds


class BrightSegmenter:
    """Finds 4-connected shapes of pixels of one colour; the class is the colour's channel.

    Args:
        exact: gives masks of whole images; else probabilities inside each box.
        mask_side: of the latter.
        masks: whether there are masks at all.

    Attributes:
        shapes_seen: (B, h, w) of each call.
    """

    def __init__(self, *, exact=True, mask_side=MASK_SIDE, masks=True):
        self.exact, self.mask_side, self.masks = exact, mask_side, masks
        self.shapes_seen = []

    def __call__(self, images):
        images = np.asarray(images)
        self.shapes_seen.append(images.shape[:3])
        found = [self._shapes(image) for image in images]
        count = max([1, *map(len, found)])
        height, width = images.shape[1:3]
        outputs = {
            "num_detections": np.array([len(each) for each in found], np.float32),
            "detection_boxes": np.zeros([len(images), count, 4], np.float32),
            "detection_scores": np.zeros([len(images), count], np.float32),
            "detection_classes": np.ones([len(images), count], np.float32),
        }
        side = self.mask_side
        if self.masks and self.exact:
            name, shape = "detection_masks_reframed", (height, width)
            outputs[name] = np.zeros([len(images), count, *shape], np.uint8)
        elif self.masks:
            name = "detection_masks"
            outputs[name] = np.zeros([len(images), count, side, side], np.float32)
        for place, shapes in enumerate(found):
            for k, ((rows, columns, pixels), kind, score) in enumerate(shapes):
                box = rows.start, columns.start, rows.stop, columns.stop
                outputs["detection_boxes"][place, k] = np.array(box) / ([height, width] * 2)
                outputs["detection_scores"][place, k] = score
                outputs["detection_classes"][place, k] = kind
                if self.masks and self.exact:
                    outputs[name][place, k, rows, columns] = pixels
                elif self.masks:
                    outputs[name][place, k] = _in_box(pixels, side)
        return outputs

    def _shapes(self, image):
        """(part, class, score) of each shape, the best first: its score is its colour's."""
        found = []
        for channel in range(3):
            for part in connected(image[..., channel] >= 128):
                if part[2].sum() >= LEAST_PIXELS:
                    score = image[part[0], part[1], channel].max() / 255.0
                    found.append((part, channel + 1, score))
        return sorted(found, key=lambda each: -each[2])


def connected(mask):
    """The 4-connected parts of a mask as (rows slice, columns slice, pixels), by first pixels."""
    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    runs = list(zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True))
    owner, last = list(range(len(runs))), 0

    def root(k):
        while owner[k] != k:
            k = owner[k]
        return k

    for k, (row, start, end) in enumerate(runs):
        while runs[last][0] < row - 1:
            last += 1
        for other in range(last, k):
            if runs[other][0] >= row:
                break
            if runs[other][1] < end and runs[other][2] > start:
                owner[max(root(k), root(other))] = min(root(k), root(other))
    parts = {}
    for k, run in enumerate(runs):
        parts.setdefault(root(k), []).append(run)
    return [_part(part) for part in parts.values()]


def _part(runs):
    rows, starts, ends = zip(*runs, strict=True)
    top, left = min(rows), min(starts)
    pixels = np.zeros((max(rows) + 1 - top, max(ends) - left), bool)
    for row, start, end in runs:
        pixels[row - top, start - left : end - left] = True
    height, width = pixels.shape
    return slice(top, top + height), slice(left, left + width), pixels


def _in_box(pixels, side):
    """The shape's probabilities on a grid whose outermost points lie on the box's border."""
    y, x = (np.linspace(0, length - 1, side).round().astype(int) for length in pixels.shape)
    return pixels[y][:, x].astype(np.float32)
