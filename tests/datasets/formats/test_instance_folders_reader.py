"""One mask file an object, in all its layouts, into records of our own."""

import numpy as np
import pytest
from drawn_sets import HEIGHT, WIDTH, blob, image, png, reasons
from rasterization import iou

from object_detection.datasets.annotations import Category
from object_detection.datasets.formats import instance_folders
from object_detection.errors import AnnotationError


def _masks(root, *names, mode="L"):
    """Mask files; each name stands for another object."""
    for seed, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(np.roll(blob(seed), seed, axis=1), mode))


def _read(root, *masks, images=("images/a.png", "images/b.png"), **options):
    """Class names of the objects by the names of their files, for each image."""
    for name in images:
        image(root / name)
    _masks(root, *masks)
    found = instance_folders.read(root, **options)
    return {
        photo.filename: {each.key: each.class_name for each in photo.objects}
        for photo in found.images
    }


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "RGBA", "P"])
def test_a_folder_an_image_as_in_the_data_science_bowl(tmp_path, mode):
    for number in ("1f", "2a"):
        image(tmp_path / "stage" / number / "images" / f"{number}.png")
        _masks(tmp_path / "stage" / number / "masks", "x.png", "y.png", mode=mode)

    found = instance_folders.read(tmp_path / "stage", class_name="nucleus")

    assert [photo.source_id for photo in found.images] == [
        "1f/images/1f.png",
        "2a/images/2a.png",
    ]
    assert found.categories == (Category("nucleus"),)
    for photo in found.images:
        assert photo.path.is_file()
        for seed, each in enumerate(photo.objects):
            assert iou(each, np.roll(blob(seed), seed, axis=1)) == 1
            assert each.mask.path.is_file()


def test_a_folder_of_masks_an_image(tmp_path):
    found = _read(tmp_path, "masks/a/1.png", "masks/a/2.png", "masks/B/1.png")

    assert found == {
        "images/a.png": {"masks/a/1.png": "object", "masks/a/2.png": "object"},
        "images/b.png": {"masks/B/1.png": "object"},
    }


def test_masks_that_bear_the_image_s_name(tmp_path):
    images = ("images/a.png", "images/a_1.jpg", "images/b.png")

    found = _read(
        tmp_path,
        "masks/a_0.png",
        "masks/a-mask-3.png",
        "masks/a_1_0.png",
        "masks/a_1.png",
        "masks/b.png",
        images=images,
    )

    assert {name: sorted(masks) for name, masks in found.items()} == {
        "images/a.png": ["masks/a-mask-3.png", "masks/a_0.png"],
        "images/a_1.jpg": ["masks/a_1.png", "masks/a_1_0.png"],  # the longest name that fits
        "images/b.png": ["masks/b.png"],
    }


@pytest.mark.parametrize(
    "masks",
    [
        ("masks/cat/a_1.png", "masks/dog/a_2.png", "masks/cat/b.png"),
        ("masks/a/cat/1.png", "masks/a/dog/1.png", "masks/b/cat/1.png"),
        ("masks/cat/a/1.png", "masks/dog/a/1.png", "masks/cat/b/1.png"),
    ],
)
def test_classes_by_the_names_of_folders(tmp_path, masks):
    found = _read(tmp_path, *masks)

    assert [sorted(each.values()) for each in found.values()] == [["cat", "dog"], ["cat"]]


def test_classes_in_the_folder_of_one_image(tmp_path):
    masks = ("1/masks/cat/x.png", "1/masks/y.png", "2/masks/dog/x.png")

    found = _read(tmp_path, *masks, images=("1/images/1.png", "2/images/2.png"))

    assert [sorted(each.values()) for each in found.values()] == [["cat", "object"], ["dog"]]


def test_images_in_folders_of_their_own(tmp_path):
    images = ("images/x/a.png", "images/y/a.png")

    found = _read(tmp_path, "masks/x/a/1.png", "masks/y/a_1.png", images=images)

    assert [list(masks) for masks in found.values()] == [["masks/x/a/1.png"], ["masks/y/a_1.png"]]


def test_a_folder_of_masks_of_another_name(tmp_path):
    image(tmp_path / "photos" / "a.jpg")
    _masks(tmp_path / "silhouettes", "a/1.png")

    found = instance_folders.read(tmp_path / "photos", mask_dir=tmp_path / "silhouettes")

    (photo,) = found.images
    assert photo.filename == "a.jpg"
    assert iou(photo.objects[0], blob(0)) == 1


def test_what_does_not_belong_together_is_reported(tmp_path):
    for name in ("a", "b"):
        image(tmp_path / "images" / f"{name}.png")
    _masks(tmp_path, "masks/a/1.png", "masks/lost/1.png", "masks/ab.png")

    found = instance_folders.read(tmp_path)

    assert reasons(found) == {
        "the mask belongs to no image": ["masks/ab.png", "masks/lost/1.png"],
        "no mask: taken as an image without objects": ["images/b.png"],
    }
    assert [len(photo.objects) for photo in found.images] == [1, 0]
    assert HEIGHT < WIDTH  # so that a mask lying on its side would be noticed


def test_a_folder_without_images_or_masks_is_an_error(tmp_path):
    with pytest.raises(AnnotationError, match="no folder nowhere"):
        instance_folders.read("nowhere")
    image(tmp_path / "images" / "a.png")
    with pytest.raises(AnnotationError, match="the form is"):
        instance_folders.read(tmp_path)
    (tmp_path / "masks").mkdir()
    with pytest.raises(AnnotationError, match="no mask belongs to any of 1 images"):
        instance_folders.read(tmp_path)
