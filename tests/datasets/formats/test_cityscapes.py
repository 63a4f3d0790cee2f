"""Cityscapes' instance ids."""

import io
import pickle

import numpy as np
import pytest
from PIL import Image
from reference import REFERENCE, needs_reference

from object_detection.datasets.examples import Settings, features_of
from object_detection.datasets.formats import cityscapes
from object_detection.errors import AnnotationError

NAME = "bonn_000001_000019"
IDS = {name: number for number, name in enumerate(cityscapes.EVALUATED, 1)}


def _ids():
    """A street of 40 x 60: two cars, one of them in two parts, persons in a group, a caravan."""
    ids = np.full((40, 60), 7, np.int32)  # road
    ids[5:15, 5:20] = 26000
    ids[20:30, 10:30] = 26001
    ids[20:30, 18:21] = 17  # a pole in front of it
    ids[2:12, 40:58] = 24  # persons
    ids[30:38, 40:50] = 29000
    return ids


def _add(root, ids, split="train", *, name=NAME, kind="gtFine", suffix=".png", photo=True):
    """Puts an image into a set, as `root/gtFine/train/bonn/...`."""
    city = name.split("_")[0]
    path = root / kind / split / city / f"{name}_{kind}_instanceIds{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = ids.astype(np.uint16) if suffix == ".png" else ids
    Image.fromarray(pixels).save(path)
    if photo:
        path = root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", ids.shape[::-1]).save(path)


def _written(image, ids=None):
    outcome = features_of(image, Settings(ids or IDS, include_masks=True))
    masks = []
    for png in (outcome.features or {}).get("image/object/mask", []):
        with Image.open(io.BytesIO(png)) as mask:
            masks.append(np.asarray(mask))
    return outcome, masks


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_every_id_of_a_thing_is_an_object_to_the_pixel(tmp_path, suffix):
    ids = _ids()
    _add(tmp_path, ids, suffix=suffix)

    found = cityscapes.read(tmp_path)["train"]

    assert [(each.name, each.id) for each in found.categories] == list(IDS.items())
    (image,) = found.images
    assert (image.source_id, image.objects) == (NAME, ())  # nothing is opened yet
    outcome, masks = _written(pickle.loads(pickle.dumps(image)))  # noqa: S301
    assert outcome.classes == ("person", "car", "car")
    for mask, value in zip(masks, (24, 26000, 26001), strict=True):
        np.testing.assert_array_equal(mask, ids == value)
    features = outcome.features
    assert features["image/object/is_crowd"].tolist() == [1, 0, 0]
    assert features["image/object/area"].tolist() == [180, 150, 170]
    box = [features[f"image/object/bbox/{side}"][2] for side in ("ymin", "xmin", "ymax", "xmax")]
    np.testing.assert_allclose(box, (20 / 40, 10 / 60, 30 / 40, 30 / 60))
    assert [(f.reason, f.key) for f in outcome.findings] == [
        ("class 'caravan': not asked for", f"{NAME} id 29000")
    ]


def test_other_classes(tmp_path):
    ids = np.zeros((10, 10), np.int32)
    ids[:2], ids[2:4], ids[4:6], ids[6:8] = 29000, 40001, 26000, 1024
    _add(tmp_path, ids)
    classes = cityscapes.class_ids("40:tram, caravan")

    found = cityscapes.read(tmp_path, classes=classes)["train"]

    assert [(each.name, each.id) for each in found.categories] == [("tram", 1), ("caravan", 2)]
    outcome, masks = _written(found.images[0], {"tram": 1, "caravan": 2})
    assert outcome.classes == ("caravan", "tram")
    assert [mask.sum() for mask in masks] == [20, 20]
    assert [f.reason for f in outcome.findings] == [
        "class 'ego vehicle': not asked for",
        "class 'car': not asked for",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("car,tram", "'tram' is no class with instances; Cityscapes has person, rider, car"),
        ("road", "'road' is no class with instances"),
        (" , ", "no classes are asked for"),
        ("x:tram", "'x:tram' is no class"),
    ],
)
def test_classes_that_are_none(text, why):
    with pytest.raises(AnnotationError, match=why):
        cityscapes.class_ids(text)


def test_an_id_of_an_unknown_class_is_reported(tmp_path):
    _add(tmp_path, np.full((4, 4), 65535, np.int32))

    outcome, _ = _written(cityscapes.read(tmp_path)["train"].images[0])

    (finding,) = outcome.findings
    assert finding.reason == "class 65, which Cityscapes does not have: not asked for"


def test_splits_and_kinds_of_annotations(tmp_path):
    for split, name in (("val", "ulm_1"), ("train", NAME), ("train", "aachen_2")):
        _add(tmp_path / "deep", _ids(), split, name=name)
    _add(tmp_path / "deep", _ids(), "train_extra", kind="gtCoarse")

    fine, coarse = cityscapes.read(tmp_path), cityscapes.read(tmp_path, kind="gtCoarse")

    assert {split: len(found.images) for split, found in fine.items()} == {"train": 2, "val": 1}
    assert [image.source_id for image in fine["train"].images] == ["aachen_2", NAME]
    photo = f"deep/leftImg8bit/train/bonn/{NAME}_leftImg8bit.png"
    assert fine["train"].images[1].filename == photo
    assert list(coarse) == ["train_extra"]


def test_a_set_without_folders_of_splits(tmp_path):
    _add(tmp_path, _ids(), "")

    ((split, found),) = cityscapes.read(tmp_path).items()

    assert (split, len(found.images)) == ("", 1)


def test_photographs_of_other_names(tmp_path):
    _add(tmp_path, _ids(), photo=False)
    _add(tmp_path, _ids(), "val", name="a_1", photo=False)
    Image.new("L", (60, 40)).save(tmp_path / "gtFine" / "train" / f"{NAME}_gtFine_labelIds.png")
    for name in (f"photos/train/{NAME}.jpg", "photos/val/a_1.png", "photos/train/a_1.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 40)).save(path)

    sets = cityscapes.read(tmp_path)

    names = [image.filename for found in sets.values() for image in found.images]
    assert names == [f"photos/train/{NAME}.jpg", "photos/val/a_1.png"]
    assert not any(found.findings for found in sets.values())


def test_what_is_missing_or_broken_is_reported(tmp_path):
    _add(tmp_path, _ids(), name="a_1", photo=False)
    _add(tmp_path, _ids(), name="b_1")
    _add(tmp_path, _ids(), name="c_1")
    _add(tmp_path, _ids(), name="d_1")
    folder = tmp_path / "gtFine" / "train"
    (folder / "b" / "b_1_gtFine_instanceIds.png").unlink()
    (folder / "c" / "c_1_gtFine_instanceIds.png").write_bytes(b"no image")
    Image.new("RGB", (60, 40)).save(folder / "d" / "d_1_gtFine_instanceIds.png")

    found = cityscapes.read(tmp_path)["train"]

    photo = "leftImg8bit/train/b/b_1_leftImg8bit.png"
    assert [(f.reason, f.key) for f in found.findings] == [
        ("photographs without instance ids: left out", f"1 files ({photo})")
    ]
    reasons = []
    for image in found.images:
        outcome, _ = _written(image)
        assert outcome.features is None  # an image whose objects nobody knows is no empty one
        reasons += [(finding.group, finding.reason.split(":")[0]) for finding in outcome.findings]
    assert [group for group, _ in reasons] == ["skipped images"] * 3
    assert reasons[0][1].startswith("no such file in ")
    assert reasons[1][1] == "the instance ids cannot be read"
    assert reasons[2][1] == "the instance ids are no numbers, but an image of kind RGB"


def test_ids_of_another_size_than_the_photograph(tmp_path):
    _add(tmp_path, _ids())
    photo = tmp_path / "leftImg8bit" / "train" / "bonn" / f"{NAME}_leftImg8bit.png"
    Image.new("RGB", (30, 20)).save(photo)

    outcome, masks = _written(cityscapes.read(tmp_path)["train"].images[0])

    assert any(f.key == f"{NAME}: 40 x 60, not 20 x 30" for f in outcome.findings)
    assert [mask.shape for mask in masks] == [(20, 30)]  # one car; the other is outside


@pytest.mark.parametrize(("kind", "why"), [("gtFine", "has no file"), (None, "no folder")])
def test_no_set(tmp_path, kind, why):
    with pytest.raises(AnnotationError, match=why):
        cityscapes.read(tmp_path if kind else tmp_path / "none")


@needs_reference
def test_a_set_of_another_tool():
    folder = REFERENCE / "data" / "formats" / "cityscapes_dataset" / "dataset"

    sets = cityscapes.read(folder)

    assert {split: len(found.images) for split, found in sets.items()} == {
        "train": 1,
        "val": 1,
        "test": 2,
    }
    names = [(split, *_written(image)[0].classes) for split in sets for image in sets[split].images]
    assert names == [
        ("train", "person"),
        ("val",),
        ("test", "truck", "truck"),
        ("test", "train"),
    ]
