"""The synthetic data set: exact masks, overlaps, and the same set from the same seed."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from object_detection.dataset_tools import make_shapes, shape_scenes
from object_detection.dataset_tools.shape_scenes import Shape
from object_detection.datasets.formats import coco

SCENES = [shape_scenes.draw(seed, size=96) for seed in range(40)]


@pytest.mark.parametrize(
    ("kind", "area"),
    [
        ("disc", np.pi),
        ("box", 2.0),  # a square whose diagonal is 2
        ("triangle", 3 * np.sqrt(3) / 4),
        # Ten triangles between a point at 1 and a dent at 0.45, 36 degrees apart.
        ("star", 10 * 0.5 * 1 * 0.45 * np.sin(np.pi / 5)),
    ],
)
def test_each_kind_has_the_area_of_its_geometry(kind, area):
    radius = 40.0
    distance = shape_scenes._signed_distance(Shape(kind, 50.3, 49.8, radius, 0.7, 1.0), 100)

    assert (distance <= 0).sum() == pytest.approx(area * radius**2, rel=0.01)


def test_visible_masks_never_overlap_and_are_never_empty():
    for scene in SCENES:
        assert scene.pixels.shape == (96, 96, 3)
        assert len(scene.kinds) == len(scene.masks)
        assert scene.masks.sum(axis=0).max() == 1
        assert scene.masks.any(axis=(1, 2)).all()


def test_scenes_have_one_to_six_shapes_of_every_kind_and_size():
    assert {len(scene.kinds) for scene in SCENES} == {1, 2, 3, 4, 5, 6}
    assert {kind for scene in SCENES for kind in scene.kinds} == set(shape_scenes.KINDS)
    areas = [mask.sum() for scene in SCENES for mask in scene.masks]
    assert max(areas) > 9 * min(areas)


def test_shapes_overlap_often():
    assert sum(_touch(scene.masks) for scene in SCENES) >= 15


def _touch(masks):
    """Whether two of the masks share a border."""
    grown = [np.pad(mask, 1)[2:, 1:-1] | np.pad(mask, 1)[1:-1, 2:] for mask in masks]
    return any(
        (grown[a] & masks[b]).any() for a in range(len(masks)) for b in range(len(masks)) if a != b
    )


def test_the_same_seed_makes_the_same_scene_and_another_another():
    np.testing.assert_array_equal(shape_scenes.draw(3, size=96).pixels, SCENES[3].pixels)
    assert (SCENES[3].pixels != SCENES[4].pixels).any()


def test_a_split_is_coco_with_exact_masks(tmp_path):
    path = make_shapes.make_split(tmp_path, "val", 3, size=96, seed=5)

    found = coco.read(path, tmp_path / "val")

    assert [category.name for category in found.categories] == list(shape_scenes.KINDS)
    assert len(found.images) == 3
    content = json.loads(path.read_text())
    for number, image in enumerate(found.images, start=1):
        scene = shape_scenes.draw((5, 1, number), 96)
        with Image.open(image.path) as picture:
            assert picture.size == (96, 96)
        assert tuple(each.class_name for each in image.objects) == scene.kinds
        own = [a for a in content["annotations"] if a["image_id"] == number]
        for annotation, mask in zip(own, scene.masks, strict=True):
            np.testing.assert_array_equal(coco_mask.decode(annotation["segmentation"]), mask)
            x, y, width, height = (int(side) for side in annotation["bbox"])
            assert mask[y : y + height, x : x + width].sum() == mask.sum() == annotation["area"]


def test_train_and_val_differ(tmp_path):
    for split in ("train", "val"):
        make_shapes.make_split(tmp_path, split, 1, size=96, seed=0)

    one, other = (tmp_path / split / f"{split}_00001.jpg" for split in ("train", "val"))
    assert one.read_bytes() != other.read_bytes()
