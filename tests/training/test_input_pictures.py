"""What a step was given, as it is drawn for TensorBoard."""

import numpy as np
import tensorflow as tf
import tiny_run
from PIL import ImageColor

from object_detection.structures import drawing
from object_detection.structures.batch import CroppedMasks, Images
from object_detection.training import input_pictures

NAMES = {1: "cat", 2: "dog"}
FACTOR = 85  # 512 // 6: what the tiny images are enlarged by


def grey_batch(**changes):
    """Two images of 6 x 8, their lower row and right column padding, in grey."""
    batch = tiny_run.batch_number(0)
    truth = batch.truth._replace(boxes=batch.truth.boxes[:, :, :] * np.float32([5 / 6, 7 / 8] * 2))
    pixels = np.full([2, 6, 8, 3], 100, np.uint8)
    images = Images(pixels, np.array([[5, 7]] * 2, np.int32))
    batch = batch._replace(images=images, truth=truth._replace(**changes))
    return tf.nest.map_structure(lambda part: None if part is None else tf.constant(part), batch)


def tinted(picture, below_title=20):
    """[H, W] bool: where a picture is no longer grey."""
    return (picture[below_title:] != 100).any(axis=2)


def test_masks_lie_where_their_objects_are():
    masks = np.zeros([2, 2, 12, 16], np.uint8)
    masks[:, 0, 6:12, 0:8] = 1  # the lower left quarter of the stored image
    nowhere, shape = np.zeros([2, 3, 4], np.float32), np.array([[12, 16]] * 2, np.int32)
    pictures = input_pictures.draw(
        grey_batch(masks=CroppedMasks(masks, shape), boxes=nowhere), {1: "", 2: ""}
    )

    assert pictures.shape == (2, 20 + 6 * FACTOR, 8 * FACTOR, 3)
    seen = tinted(pictures[0])
    # Rows 3 and 4 of 5 (2.5 by nearest neighbours) and columns 0 to 3 of 7; the rest is padding.
    wanted = np.zeros([6, 8], bool)
    wanted[3:5, 0:4] = True
    inside = np.s_[FACTOR // 2 :: FACTOR]
    np.testing.assert_array_equal(seen[inside, inside], wanted)


def test_masks_that_travel_as_crops_are_drawn_alike():
    masks = np.zeros([2, 2, 12, 16], np.uint8)
    masks[:, 0, 6:12, 2:8] = 1
    shape = np.array([[12, 16]] * 2, np.int32)
    whole = input_pictures.draw(grey_batch(masks=CroppedMasks(masks, shape)), NAMES)
    origin = np.array([[[6, 2], [0, 0]]] * 2, np.int32)
    crops = grey_batch(masks=CroppedMasks(masks[:, :, 6:12, 2:8], shape, origin))
    np.testing.assert_array_equal(input_pictures.draw(crops, NAMES), whole)


def test_boxes_names_and_crowds_are_drawn(monkeypatch):
    seen = []
    plain = drawing.draw_objects

    def note(image, boxes, labels, colors, *args, **options):
        seen.append((boxes, labels))
        return plain(image, boxes, labels, colors, *args, **options)

    monkeypatch.setattr(drawing, "draw_objects", note)
    crowd = np.array([[False, True, False]] * 2)
    pictures = input_pictures.draw(grey_batch(masks=None, crowd=crowd), NAMES)

    (boxes, labels), _ = seen
    assert labels == ["cat", "dog (crowd)"]
    np.testing.assert_allclose(boxes, grey_batch().truth.boxes[0, :2].numpy() * FACTOR)
    top, left = (int(round(float(side))) for side in boxes[0, :2])
    color = ImageColor.getrgb(drawing.color_of(1))
    assert tuple(pictures[0, 20 + top + 80, left]) == color


def test_images_without_objects_are_drawn():
    pictures = input_pictures.draw(grey_batch(valid=np.zeros([2, 3], bool)), NAMES)
    assert not tinted(pictures[1]).any()
    assert tinted(pictures[1], 0)[:20].any()  # its id
