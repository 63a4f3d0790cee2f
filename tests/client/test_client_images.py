"""What the client takes as an image, to send it and to draw on it."""

import io

import numpy as np
import pytest
from PIL import Image

from object_detection.client import Detection, drawing, images
from object_detection.client.rest import Client


def photograph():
    """Three rows of five pixels, all different."""
    return np.arange(45, dtype=np.uint8).reshape(3, 5, 3) * 5


def file_of(image, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def decoded(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_every_kind_of_image_is_sent_and_drawn_alike(tmp_path):
    image = photograph()
    (tmp_path / "a.png").write_bytes(file_of(image))
    kinds = [
        str(tmp_path / "a.png"),
        tmp_path / "a.png",
        file_of(image),
        bytearray(file_of(image)),
        Image.fromarray(image),
        Image.fromarray(np.dstack([image, image[..., :1]])),  # with alpha
        image,
        np.dstack([image, image[..., :1]]),
        image.astype(np.float64),
        image.astype(np.int64),
    ]
    for kind in kinds:
        np.testing.assert_array_equal(decoded(images.encoded(kind)), image)
        np.testing.assert_array_equal(drawing.draw(kind, []), image)
    grey = image[..., 0]
    for kind in (grey, grey[..., np.newaxis], Image.fromarray(grey)):
        np.testing.assert_array_equal(decoded(images.encoded(kind)), np.dstack([grey] * 3))
    assert images.encoded(tmp_path / "a.png") == (tmp_path / "a.png").read_bytes()


def test_a_pillow_image_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to see it
    opened = Image.open(io.BytesIO(file_of(photograph(), exif=exif)))
    np.testing.assert_array_equal(decoded(images.encoded(opened)), np.rot90(photograph(), -1))


def test_sixteen_bits_keep_their_upper_eight():
    deep = Image.fromarray(np.array([[0, 256, 65535]], np.uint16))
    assert images.pixels(deep)[0, :, 0].tolist() == [0, 1, 255]


def test_drawing_leaves_the_image_alone_and_draws():
    image = np.zeros([60, 80, 3], np.uint8)
    picture = drawing.draw(image, [Detection((0.2, 0.2, 0.8, 0.8), 0.9, 1, "cat")])
    assert not image.any() and picture[12, 30].any()


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (None, TypeError, "image is a NoneType; give a path, the bytes"),
        ([photograph()], TypeError, "image is a list"),
        (photograph()[np.newaxis], ValueError, r"an array \[1, 3, 5, 3\]; give uint8"),
        (photograph() / 255.0, ValueError, "float64 from 0.0 to .*multiply by 255"),
        (photograph().astype(int) * 9, ValueError, "int64 from 0 to 1980"),
        (b"no image", ValueError, "8 bytes: not an image of a format"),
    ],
)
def test_what_is_no_image(image, error, message):
    with pytest.raises(error, match=message):
        drawing.draw(image, [])
    if not isinstance(image, bytes):  # bytes travel as they are; the server looks at them
        with pytest.raises(error, match=message):
            images.encoded(image)


def test_what_is_no_list_of_detections():
    one = Detection((0, 0, 1, 1), 0.9, 1, "cat")
    for wrong, message in (
        (one, "a single Detection"),
        (3, "a single int"),
        ([[one]], "one of list"),
        ({"detection_boxes": []}, "one of str"),
    ):
        with pytest.raises(TypeError, match=f"must be a list of Detection, .*{message}"):
            drawing.draw(photograph(), wrong)


def test_several_images_are_expected():
    client = Client(patience=0)
    for single in ("a.jpg", b"bytes", photograph(), Image.fromarray(photograph())):
        with pytest.raises(TypeError, match="several images are expected"):
            client.detect(single)
