"""Pictures of a step's input for TensorBoard, and of the batch of a step that failed."""

import numpy as np
import tensorflow as tf
import tiny_run
from PIL import Image, ImageColor

from object_detection.structures import drawing
from object_detection.structures.batch import CroppedMasks, Images
from object_detection.training import pictures

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
    drawn = pictures.draw_inputs(
        grey_batch(masks=CroppedMasks(masks, shape), boxes=nowhere), {1: "", 2: ""}
    )

    assert drawn.shape == (2, 20 + 6 * FACTOR, 8 * FACTOR, 3)
    seen = tinted(drawn[0])
    # Rows 3 and 4 of 5 (2.5 by nearest neighbours) and columns 0 to 3 of 7; the rest is padding.
    wanted = np.zeros([6, 8], bool)
    wanted[3:5, 0:4] = True
    inside = np.s_[FACTOR // 2 :: FACTOR]
    np.testing.assert_array_equal(seen[inside, inside], wanted)


def test_masks_that_travel_as_crops_are_drawn_alike():
    masks = np.zeros([2, 2, 12, 16], np.uint8)
    masks[:, 0, 6:12, 2:8] = 1
    shape = np.array([[12, 16]] * 2, np.int32)
    whole = pictures.draw_inputs(grey_batch(masks=CroppedMasks(masks, shape)), NAMES)
    origin = np.array([[[6, 2], [0, 0]]] * 2, np.int32)
    crops = grey_batch(masks=CroppedMasks(masks[:, :, 6:12, 2:8], shape, origin))
    np.testing.assert_array_equal(pictures.draw_inputs(crops, NAMES), whole)


def test_boxes_names_and_crowds_are_drawn(monkeypatch):
    seen = []
    plain = drawing.draw_objects

    def note(image, boxes, labels, colors, *args, **options):
        seen.append((boxes, labels))
        return plain(image, boxes, labels, colors, *args, **options)

    monkeypatch.setattr(drawing, "draw_objects", note)
    crowd = np.array([[False, True, False]] * 2)
    drawn = pictures.draw_inputs(grey_batch(masks=None, crowd=crowd), NAMES)

    (boxes, labels), _ = seen
    assert labels == ["cat", "dog (crowd)"]
    np.testing.assert_allclose(boxes, grey_batch().truth.boxes[0, :2].numpy() * FACTOR)
    top, left = (int(round(float(side))) for side in boxes[0, :2])
    color = ImageColor.getrgb(drawing.color_of(1))
    assert tuple(drawn[0, 20 + top + 80, left]) == color


def test_images_without_objects_are_drawn():
    drawn = pictures.draw_inputs(grey_batch(valid=np.zeros([2, 3], bool)), NAMES)
    assert not tinted(drawn[1]).any()
    assert tinted(drawn[1], 0)[:20].any()  # its id


def test_all_numbers_and_a_picture_of_each_image(tmp_path):
    batch = tiny_run.batch_number(3)
    batch.truth.boxes[0, 1] = np.nan
    batch.images.pixels[1, 0, 0] = np.inf

    folder = pictures.save_batches(tmp_path / "kept", [batch, tiny_run.batch_number(4)])

    assert folder == tmp_path / "kept"
    names = sorted(path.name for path in folder.iterdir())
    assert names[:3] == ["batch0.npz", "batch0_image0.png", "batch0_image1.png"]
    assert len(names) == 6
    with np.load(folder / "batch0.npz") as stored:
        np.testing.assert_array_equal(stored["truth.boxes"], batch.truth.boxes)
        assert stored["image_id"].tolist() == [b"image3_0", b"image3_1"]
    with Image.open(folder / "batch0_image0.png") as picture:
        assert picture.size == (8, 6)


def test_a_folder_that_cannot_be_written_is_no_second_failure(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    assert pictures.save_batches(tmp_path / "file" / "kept", []) is None
    assert "could not be saved" in caplog.text
