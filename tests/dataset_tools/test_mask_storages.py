"""Masks from annotations through records to the decoder: the same bits by every storage."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from pycocotools import mask as coco_mask

from object_detection.data.decoder import Decoder, DecoderOptions
from object_detection.datasets.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    MaskFile,
    Polygons,
    RunLengths,
)
from object_detection.datasets.conversion import convert
from object_detection.datasets.examples import Settings
from object_detection.datasets.masks import rasterize
from object_detection.datasets.records import ShardedRecords
from object_detection.structures.masks import CroppedMask

HEIGHT, WIDTH = 61, 83


def _objects(random, folder):
    """One object of each kind of mask, some across the border."""
    corners = random.uniform(-20, 100, size=(6, 2)).ravel()
    dense = np.asfortranarray(random.random((HEIGHT, WIDTH)) < 0.3, np.uint8)
    pixels = random.random((20, 30)) < 0.5
    ids = random.integers(0, 4, (HEIGHT, WIDTH), np.uint8)
    path = folder / f"{ids.sum()}.png"
    Image.fromarray(ids).save(path)
    masks = [
        Polygons((tuple(corners),)),
        RunLengths(HEIGHT, WIDTH, coco_mask.encode(dense)["counts"]),
        CroppedMask(pixels, 50, -7),
        CroppedMask(np.ones((1, 1)), 60, 82),  # the last pixel
        MaskFile(path, (2,)),
    ]
    return [mask for mask in masks if rasterize(mask, HEIGHT, WIDTH).any()]


@pytest.mark.parametrize("storage", ["png", "box", "numerical"])
def test_every_pixel_reaches_the_decoder(tmp_path, storage):
    random = np.random.default_rng(3)
    (tmp_path / "masks").mkdir()
    images, expected = [], []
    for number in range(8):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (WIDTH, HEIGHT)).save(path)
        masks = _objects(random, tmp_path / "masks") if number else []
        objects = tuple(
            AnnotatedObject(str(place), "cat", (0.0, 0.0, 61.0, 83.0), mask)
            for place, mask in enumerate(masks)
        )
        images.append(AnnotatedImage(path.name, str(number), path.name, objects, path))
        expected.append(np.array([rasterize(mask, HEIGHT, WIDTH) for mask in masks]))
    records = ShardedRecords(tmp_path / "x.record", 0)
    settings = Settings({"cat": 1}, include_masks=True, mask_storage=storage)

    convert(images, records, settings, title="x")

    options = DecoderOptions(1, {"cat": 1}, load_masks=True, png_masks=storage != "numerical")
    decoder = Decoder(options)
    for record, masks in zip(tf.data.TFRecordDataset(str(records.base)), expected, strict=True):
        stored = decoder(record).example.masks
        assert tuple(stored.shape.numpy()) == (HEIGHT, WIDTH)
        decoded = stored.pixels.numpy()
        assert decoded.shape == (len(masks), HEIGHT, WIDTH)
        np.testing.assert_array_equal(decoded, masks.reshape(decoded.shape))
