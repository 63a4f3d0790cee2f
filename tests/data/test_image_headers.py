import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from made_records import image_bytes, picture
from PIL import Image

from object_detection.data import image_headers

IN_GRAPH = tf.function(
    image_headers.stated_size, input_signature=[tf.TensorSpec([], tf.string)], autograph=False
)


def with_bytes(file, at, value):
    """A file with other bytes at a place."""
    return file[:at] + value + file[at + len(value) :]


def animated_gif():
    """A GIF with extensions before its first image."""
    frames = [Image.fromarray(picture(8, 10, seed)) for seed in range(3)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], loop=0)
    return file.getvalue()


def files():
    """(name, bytes of a file of 8 x 10 pixels)."""
    rgb = picture(8, 10)
    yield from ((kind, image_bytes(rgb, kind)) for kind in ("PNG", "JPEG", "GIF", "BMP"))
    yield "progressive", image_bytes(rgb, "JPEG", progressive=True)
    yield "animated", animated_gif()
    yield "WEBP", image_bytes(rgb, "WEBP")
    yield "lossless", image_bytes(rgb, "WEBP", lossless=True)
    yield "VP8X", image_bytes(rgb, "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")


@pytest.mark.parametrize(("name", "file"), list(files()), ids=lambda value: str(value)[:12])
def test_the_stated_size_is_the_decoded_one(name, file):
    for stated_size in (image_headers.stated_size, IN_GRAPH):
        assert stated_size(tf.constant(file)).numpy().tolist() == [8, 10]
    assert image_headers.decode_image(file).shape == (8, 10, 3)


def huge_files():
    """(name, a file whose header states 60000 x 50000 pixels, height x width)."""
    made = dict(files())
    yield "PNG", with_bytes(made["PNG"], 16, struct.pack(">II", 50000, 60000))
    at = made["JPEG"].index(b"\xff\xc0") + 5
    yield "JPEG", with_bytes(made["JPEG"], at, struct.pack(">HH", 60000, 50000))
    yield "GIF screen", with_bytes(made["GIF"], 6, struct.pack("<HH", 50000, 60000))
    at = made["animated"].index(b"\x2c\0\0\0\0\x0a\0\x08\0") + 5
    yield "GIF image", with_bytes(made["animated"], at, struct.pack("<HH", 50000, 60000))
    yield "BMP", with_bytes(made["BMP"], 18, struct.pack("<ii", 50000, -60000))


@pytest.mark.parametrize(("name", "file"), list(huge_files()), ids=lambda value: str(value)[:12])
def test_a_header_that_states_too_much_is_refused_before_decoding(name, file):
    size = image_headers.stated_size(tf.constant(file))
    assert size.numpy().tolist() == [60000, 50000]
    assert bool(image_headers.has_too_many_pixels(size))
    with pytest.raises(ValueError, match="states 60000 x 50000 pixels .*at most 178956970"):
        image_headers.decode_image(file)


def test_sides_whose_product_leaves_64_bits():
    size = tf.constant([[2**32 - 1, 2**32 - 1], [2**29 // 3, 1], [1, 1], [13378, 13377]], tf.int64)
    found = image_headers.has_too_many_pixels(size).numpy().tolist()
    assert found == [True, False, False, True]  # 13378 * 13377 = 178957506


def test_sizes_of_several_files():
    png, jpeg = image_bytes(picture(8, 10)), image_bytes(picture(5, 7), "JPEG")
    for stored, sizes in (([], []), ([png, png], [[8, 10]] * 2), ([png, jpeg], [[8, 10], [5, 7]])):
        found = image_headers.stated_sizes(tf.constant(stored, tf.string))
        np.testing.assert_array_equal(found, np.reshape(sizes, [-1, 2]))


def test_jpeg_xl_is_refused_by_name():
    for start in (b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n"):
        with pytest.raises(ValueError, match="JPEG XL is not read; store the image as JPEG"):
            image_headers.decode_image(start + b"x" * 40)


@pytest.mark.parametrize("file", [b"", b"GIF8", b"neither an image nor anything else " * 3])
def test_what_is_no_image_states_no_size(file):
    assert not image_headers.has_too_many_pixels(image_headers.stated_size(tf.constant(file)))
    with pytest.raises(ValueError, match="Unknown image file format|Input is empty|GIF"):
        image_headers.decode_image(file)
