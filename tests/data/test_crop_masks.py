"""Pipelines with `crop_masks`, and with the functions in C, beside the plain ones."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from made_records import image_bytes, record, write
from test_box_masks import stored
from test_pipeline import READ

from object_detection.data import native, native_resize, pipeline, reading
from object_detection.data.augment import crop, geometry
from object_detection.data.decoder import DecoderOptions
from object_detection.data.report import InputReport
from object_detection.ops import image, masks

SIZE = (23, 31)
MOVES = (
    geometry.RandomHorizontalFlip(0.5),
    geometry.RandomVerticalFlip(0.5),
    geometry.RandomRotation90(0.5),
)
CUTS = (*MOVES, crop.RandomSquareCropByScale(4, 0.6, 1.3, 5))
RESIZERS = {
    "ratio": image.KeepAspectRatio(40, 60),
    "padded": image.KeepAspectRatio(40, 60, pad_to_max_dimension=True, pad_value=(9.0, 8.0, 7.0)),
    "fixed": image.FixedShape(33, 44),
    "gray": image.FixedShape(33, 44, grayscale=True),
    "nearest": image.FixedShape(33, 44, method=image.NEAREST_NEIGHBOR),
}


def mask_of(rng):
    whole = np.zeros(SIZE, np.uint8)
    (top, bottom), (left, right) = (np.sort(rng.choice(side, 2, False)) for side in SIZE)
    whole[top : bottom + 1, left : right + 1] = (
        rng.random((bottom - top + 1, right - left + 1)) < 0.5
    )
    whole[bottom, right] = 1
    return whole


def records(storage="png"):
    rng = np.random.default_rng(0)
    for seed in range(24):
        found = [mask_of(rng) for _ in range(seed % 4)]
        boxes = [(0.1, 0.2, 0.9, 0.8)] * len(found)
        yield record(boxes, size=SIZE, seed=seed, **(stored(found, storage) if found else {}))


def batches(path, *, masks_wanted=True, **options):
    defaults = {"batch_size": 3, "max_boxes": 4, "resizer": RESIZERS["ratio"]}
    built = pipeline.build(
        reading.Sources([[str(path)]], [], READ._replace(seed=5)),
        DecoderOptions(num_classes=1, class_ids={}, load_masks=masks_wanted),
        pipeline.PipelineOptions(**{**defaults, **options}),
        InputReport(),
    )
    return list(built)


def check_same(ones, others):
    """Batches are the same to the last bit, masks as whole ones."""
    assert len(ones) == len(others) > 0
    for one, other in zip(ones, others, strict=True):
        truths = []
        for truth in (one.truth, other.truth):
            if truth.masks is not None:
                truth = truth._replace(masks=masks.whole_masks(truth.masks))
            truths.append(truth)
        a, b = (
            tf.nest.flatten(x._replace(truth=t)) for x, t in zip((one, other), truths, strict=True)
        )
        assert len(a) == len(b)
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right)


@pytest.fixture
def without_native(monkeypatch):
    """A function that sets whether there is a library."""

    def switch(is_off):
        monkeypatch.setenv("OBJECT_DETECTION_NATIVE", "0" if is_off else "1")
        native.load.cache_clear()
        native_resize.is_exact.cache_clear()

    yield switch
    switch(False)


@pytest.fixture(scope="module")
def batches_of(tmp_path_factory):
    """A function of a form of storage, augmentations and `crop_masks`, each computed once."""
    folder = tmp_path_factory.mktemp("records")
    paths = {name: write(folder / f"{name}.record", records(name)) for name in ("png", "box")}

    @functools.cache
    def computed(storage, augmentations, crop_masks):
        return batches(paths[storage], augmentations=augmentations, crop_masks=crop_masks)

    computed.paths = paths
    return computed


@pytest.mark.parametrize("storage", ["png", "box"])
@pytest.mark.parametrize("augmentations", [(), MOVES, CUTS], ids=["none", "moves", "cuts"])
def test_masks_are_the_same(batches_of, storage, augmentations):
    plain = batches_of(storage, augmentations, False)
    cropped = batches_of(storage, augmentations, True)
    check_same(plain, cropped)
    assert any(batch.truth.masks.pixels.numpy().any() for batch in plain)
    assert all(batch.truth.masks.origin is not None for batch in cropped)


def test_forms_of_storage_give_the_same_batches(batches_of):
    check_same(batches_of("png", MOVES, False), batches_of("box", MOVES, False))


def test_memory_follows_the_objects_and_not_the_image(tmp_path):
    small = np.zeros((400, 500), np.uint8)
    small[300:310, 400:420] = 1
    size = {"size": (400, 500), "mask": [image_bytes(small)]}
    path = write(tmp_path / "a.record", [record([(0.7, 0.7, 0.8, 0.9)], **size)])
    (batch,) = batches(path, batch_size=1, crop_masks=True)
    assert batch.truth.masks.pixels.shape == (1, 1, 10, 20)
    assert batch.truth.masks.origin.numpy().tolist() == [[[300, 400]]]
    assert batch.truth.masks.shape.numpy().tolist() == [[400, 500]]


def test_evaluation_has_whole_masks(tmp_path):
    path = write(tmp_path / "a.record", records("box"))
    found = batches(path, training=False, batch_size=1, crop_masks=True)
    assert all(batch.truth.masks.origin is None for batch in found)
    assert found[3].truth.masks.pixels.shape == (1, 3, *SIZE)


@pytest.mark.skipif(native.load() is None, reason="no C compiler")
@pytest.mark.parametrize("crop_masks", [False, True], ids=["whole", "crop_masks"])
@pytest.mark.parametrize("storage", ["png", "box"])
def test_tensorflow_alone_gives_the_same_batches(batches_of, without_native, storage, crop_masks):
    natives = batches_of(storage, MOVES, crop_masks)
    without_native(True)
    assert not native_resize.is_exact()
    path = batches_of.paths[storage]
    check_same(natives, batches(path, augmentations=MOVES, crop_masks=crop_masks))


@pytest.mark.skipif(native.load() is None, reason="no C compiler")
@pytest.mark.parametrize(
    ("kind", "batch_size"), [(kind, 4) for kind in RESIZERS] + [("ratio", 1), ("padded", 1)]
)
def test_every_resizer_gives_tensorflows_pixels(tmp_path, without_native, kind, batch_size):
    rng = np.random.default_rng(1)
    sizes = [tuple(rng.integers(3, 70, 2).tolist()) for _ in range(8)]
    path = write(tmp_path / "a.record", [record(size=size, seed=n) for n, size in enumerate(sizes)])
    options = {"batch_size": batch_size, "resizer": RESIZERS[kind], "masks_wanted": False}
    assert native_resize.is_exact()
    natives = batches(path, **options)
    without_native(True)
    check_same(natives, batches(path, **options))


def test_the_library_replaces_only_what_it_can():
    for kind in ("gray", "nearest"):
        assert not native_resize.can_replace(RESIZERS[kind], tf.uint8)
    assert not native_resize.can_replace(image.Identity(), tf.uint8)
    assert not native_resize.can_replace(RESIZERS["fixed"], tf.float32)


def test_memory_is_used_again_when_nobody_holds_it():
    buffers = native.Buffers()
    first = buffers.take(1000)
    start = first.ctypes.data
    view = first.view(np.float32)
    del first
    other = buffers.take(1000)
    assert other.ctypes.data != start
    del view
    assert buffers.take(1000).ctypes.data == start
    assert start % 64 == 0
