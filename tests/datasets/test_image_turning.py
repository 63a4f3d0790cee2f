"""Photographs on their side: turned by their EXIF tag, unless the annotation was drawn so."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from object_detection.datasets.annotations import AnnotatedImage, AnnotatedObject, RunLengths
from object_detection.datasets.examples import Settings, features_of
from object_detection.datasets.image_file import prepare

ORIENTATION = 0x0112
HEIGHT, WIDTH = 32, 48  # whole blocks of a JPEG


def _picture(mode="RGB"):
    """Ramps that differ in every corner."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    pixels = np.stack([x * 5, y * 7, 200 - x - 2 * y], axis=-1).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def _encode(image, file_format, number, **options):
    exif = Image.Exif()
    exif[ORIENTATION] = number
    buffer = io.BytesIO()
    image.save(buffer, file_format, exif=exif, **options)
    return buffer.getvalue()


def _upright(encoded):
    """The picture as a viewer shows it."""
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)


def _decoded(encoded):
    """The picture as readers of records see it: they know of no tag."""
    return tf.io.decode_image(encoded, channels=3, expand_animations=False).numpy().astype(int)


def _tag(encoded):
    with Image.open(io.BytesIO(encoded)) as image:
        return image.getexif().get(ORIENTATION)


@pytest.mark.parametrize("number", range(2, 9))
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_jpeg_is_turned_and_stays_one(number, mode, subsampling):
    options = {"quality": 90} if mode == "L" else {"quality": 90, "subsampling": subsampling}
    encoded = _encode(_picture(mode), "JPEG", number, **options)

    stored = prepare(encoded)

    shape = (WIDTH, HEIGHT) if number >= 5 else (HEIGHT, WIDTH)
    assert (stored.format, stored.height, stored.width) == ("jpeg", *shape)
    assert _tag(stored.encoded) is None
    assert f"({number})" in stored.change
    # Compressed by its own tables a second time: most values are off by two at most.
    assert np.abs(_decoded(stored.encoded) - _upright(encoded)).mean() < 2
    assert len(stored.encoded) < 1.3 * len(encoded)


@pytest.mark.parametrize("number", [3, 6])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L"])
def test_a_png_is_turned_without_loss(number, mode):
    encoded = _encode(_picture(mode), "PNG", number)

    stored = prepare(encoded)

    assert np.array_equal(_decoded(stored.encoded), _upright(encoded))
    assert (stored.format, _tag(stored.encoded)) == ("png", None)


def test_other_formats_are_turned_too():
    encoded = _encode(_picture(), "WEBP", 6, lossless=True)

    stored = prepare(encoded)

    assert np.array_equal(_decoded(stored.encoded), _upright(encoded))
    assert "WEBP (RGB) stored as 8-bit PNG; turned upright" in stored.change


def test_a_tiff_is_turned_once():
    encoded = _encode(_picture(), "TIFF", 6)

    stored = prepare(encoded)

    assert (stored.height, stored.width) == (WIDTH, HEIGHT)
    assert np.array_equal(_decoded(stored.encoded), _upright(encoded))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_pixels_stay_as_they_lie_where_the_annotation_states_their_size(file_format):
    encoded = _encode(_picture(), file_format, 6)

    stored = prepare(encoded, lambda: (HEIGHT, WIDTH))

    assert (stored.height, stored.width) == (HEIGHT, WIDTH)
    assert np.array_equal(_decoded(stored.encoded), _decoded(encoded))  # to the last bit
    assert _tag(stored.encoded) is None
    assert "left out" in stored.change


@pytest.mark.parametrize(
    ("number", "stated"),
    [(6, (WIDTH, HEIGHT)), (6, (999, 999)), (6, None), (3, (HEIGHT, WIDTH)), (2, (HEIGHT, WIDTH))],
)
def test_otherwise_it_is_turned(number, stated):
    stored = prepare(_encode(_picture(), "JPEG", number), lambda: stated)

    assert "turned upright" in stored.change


def test_no_tag_or_a_plain_one_changes_no_byte():
    for encoded in (_encode(_picture(), "JPEG", 1), _encode(_picture(), "JPEG", 77)):
        stored = prepare(encoded)
        assert (stored.encoded, stored.change) == (encoded, None)


def test_a_broken_tag_does_not_lose_the_image():
    encoded = _encode(_picture(), "JPEG", 6).replace(b"Exif\0\0MM\0*", b"Exif\0\0MM\0?")

    assert prepare(encoded).change is None


def test_a_tag_in_xmp_goes_too():
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF tiff:Orientation="6"/></x:xmpmeta>'
    buffer = io.BytesIO()
    _picture().save(buffer, "JPEG", xmp=packet)

    stored = prepare(buffer.getvalue(), lambda: (HEIGHT, WIDTH))

    assert _tag(buffer.getvalue()) == 6
    assert _tag(stored.encoded) is None


def test_run_lengths_say_what_they_were_drawn_on_where_the_annotation_says_nothing():
    pixels = HEIGHT * WIDTH
    found = AnnotatedObject("1", "cat", mask=RunLengths(HEIGHT, WIDTH, (0, 10, pixels - 10)))
    image = AnnotatedImage("a.jpg", "1", "a.jpg", (found,), encoded=_encode(_picture(), "JPEG", 6))

    features = features_of(image, Settings({"cat": 1}, include_masks=True)).features
    turned = features_of(image._replace(objects=()), Settings({"cat": 1})).features

    assert features["image/height"] == [HEIGHT]
    assert turned["image/height"] == [WIDTH]


def test_the_tables_of_a_jpeg_turn_with_it():
    fine_rows = [1 + 8 * column for _ in range(8) for column in range(8)]  # coarse across columns

    stored = prepare(_encode(_picture("L"), "JPEG", 6, qtables=[fine_rows]))

    with Image.open(io.BytesIO(stored.encoded)) as image:
        assert image.quantization[0] == [1 + 8 * row for row in range(8) for _ in range(8)]
