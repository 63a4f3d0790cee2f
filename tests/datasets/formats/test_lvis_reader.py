"""LVIS' jsons, v0.5 and v1."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from rasterization import even_odd, iou, star

from object_detection.datasets import label_ids
from object_detection.datasets.examples import Settings, features_of
from object_detection.datasets.formats import lvis
from object_detection.datasets.masks import rasterize
from object_detection.errors import AnnotationError

URL = "http://images.cocodataset.org"
CATEGORIES = [
    {"id": 1, "name": "aerosol_can", "frequency": "c", "instance_count": 109, "synset": "x.n.01"},
    {"id": 2, "name": "air_conditioner", "frequency": "f", "instance_count": 1081},
    {"id": 9, "name": "zucchini", "frequency": "r"},
]
LINE = star(60, 50, 20, 40)


def _set(folder, **changes):
    """Two images of 100 x 120, of train2017 and of val2017, and an object of the first."""
    for place in ("train2017/000000000001.jpg", "val2017/000000000002.jpg"):
        (folder / "coco" / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (120, 100)).save(folder / "coco" / place)
    polygon = [float(number) for number in np.ravel(LINE)]
    content = {
        "info": {"description": "LVIS v1"},
        "categories": CATEGORIES,
        "images": [
            {
                "id": 1,
                "coco_url": f"{URL}/train2017/000000000001.jpg",
                "height": 100,
                "width": 120,
                "neg_category_ids": [9],
                "not_exhaustive_category_ids": [2, 1],
            },
            {
                "id": 2,
                "coco_url": f"{URL}/val2017/000000000002.jpg",
                "height": 100,
                "width": 120,
                "neg_category_ids": [],
                "not_exhaustive_category_ids": [],
            },
        ],
        "annotations": [
            {
                "id": 7,
                "image_id": 1,
                "category_id": 2,
                "bbox": [20.0, 10.0, 80.0, 80.0],
                "area": 3000.5,
                "segmentation": [polygon],
            }
        ],
    }
    path = folder / "lvis.json"
    path.write_text(json.dumps(content | changes))
    return path


def test_images_are_found_by_their_urls(tmp_path):
    path = _set(tmp_path)

    first, second = lvis.read(path, tmp_path / "coco").images

    assert first.path == tmp_path / "coco/train2017/000000000001.jpg"
    assert (first.filename, first.source_id) == ("train2017/000000000001.jpg", "1")
    assert second.path.is_file()


def test_one_of_cocos_folders_alone_will_do(tmp_path):
    path = _set(tmp_path)

    first, second = lvis.read(path, tmp_path / "coco/train2017").images

    assert first.path == tmp_path / "coco/train2017/000000000001.jpg"
    assert not second.path.exists()
    assert second.filename == "val2017/000000000002.jpg"  # as which the report misses it


@pytest.mark.parametrize("name", ["000000000001.jpg", "COCO_train2014_000000000001.jpg"])
def test_file_names_of_version_05(tmp_path, name):
    images = [{"id": 1, "file_name": name, "neg_category_ids": [9]}]

    (image,) = lvis.read(_set(tmp_path, images=images), tmp_path / "coco").images

    assert image.path == tmp_path / "coco/train2017/000000000001.jpg"
    assert len(image.objects) == 1


def test_lists_of_classes_reach_the_record_in_the_numbers_of_the_label_map(tmp_path):
    first, second = lvis.read(_set(tmp_path), tmp_path / "coco").images
    ids = {"aerosol_can": 11, "air_conditioner": 12, "zucchini": 19}

    features = features_of(first, Settings(ids)).features
    assert features["image/neg_category_ids"].tolist() == [19]
    assert features["image/not_exhaustive_category_ids"].tolist() == [12, 11]
    assert not any("category_ids" in key for key in features_of(second, Settings(ids)).features)


def test_the_label_map_says_how_frequent_a_class_is(tmp_path):
    found = lvis.read(_set(tmp_path), tmp_path / "coco")

    labels = label_ids.resolve(
        tmp_path / "label_map.pbtxt", label_ids.from_annotations([found]), keep=False
    )

    assert labels.ids == {"aerosol_can": 1, "air_conditioner": 2, "zucchini": 9}
    text = (tmp_path / "label_map.pbtxt").read_text()
    assert text.count("frequency: ") == 3
    fields = label_ids.read(tmp_path / "label_map.pbtxt").item_fields
    assert fields["aerosol_can"] == (("frequency", "COMMON"), ("instance_count", 109))
    assert fields["zucchini"] == (("frequency", "RARE"),)


def test_masks_are_those_of_other_tools(tmp_path):
    path = _set(tmp_path)

    (found,) = lvis.read(path, tmp_path / "coco").images[0].objects

    coco = COCO(path)
    np.testing.assert_array_equal(rasterize(found.mask, 100, 120), coco.annToMask(coco.anns[7]))
    assert iou(found, even_odd([LINE], 100, 120)) > 0.99
    assert (found.box, found.area) == ((10.0, 20.0, 90.0, 100.0), 3000.5)


def test_what_does_not_fit_together_is_reported(tmp_path):
    images = json.loads(_set(tmp_path).read_text())["images"]
    images[0]["neg_category_ids"] = [2, 77, [9]]
    images[1]["neg_category_ids"] = "x"

    found = lvis.read(_set(tmp_path, images=images), tmp_path / "coco")

    assert [(f.reason.split(":")[0][:45], f.key) for f in found.findings] == [
        ("neg_category_ids names categories that the fi", "train2017/000000000001.jpg: [77, [9]]"),
        (
            "the image says that the class does not occur;",
            "train2017/000000000001.jpg annotation 7",
        ),
        ("neg_category_ids names categories that the fi", "val2017/000000000002.jpg: ['x']"),
    ]
    assert found.images[0].negative_classes == ("air_conditioner",)
    assert len(found.images[0].objects) == 1


def test_a_json_of_coco_is_sent_to_its_own_command(tmp_path):
    path = _set(tmp_path, images=[{"id": 1, "file_name": "a.jpg"}])

    with pytest.raises(AnnotationError, match="create_coco_tf_record"):
        lvis.read(path, tmp_path)


def test_an_image_without_any_name_is_an_error_of_the_file(tmp_path):
    path = _set(tmp_path, images=[{"id": 1, "neg_category_ids": []}])

    with pytest.raises(AnnotationError, match="an image needs an id and a file_name"):
        lvis.read(path, tmp_path)


def test_a_folder_of_images_that_is_not_there(tmp_path):
    with pytest.raises(AnnotationError, match="there is no folder nowhere"):
        lvis.read(_set(tmp_path), "nowhere")
