"""All five modes over a project, with a segmenter whose answers are known; and bad projects."""

import json

import numpy as np
import pytest
from bright_segmenter import BrightSegmenter
from PIL import Image

from object_detection.datasets import masks
from object_detection.datasets.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationSet,
    Category,
    Polygons,
)
from object_detection.datasets.formats import supervisely
from object_detection.errors import AnnotationError, SettingsError
from object_detection.integrations.supervisely import inference, project
from object_detection.integrations.supervisely.inference import (
    Annotator,
    annotation_function,
    nms_survivors,
)
from object_detection.integrations.supervisely.project import write_json
from object_detection.integrations.supervisely.settings import read_infer_settings
from object_detection.prediction.prediction import Prediction
from object_detection.structures.instances import Instances

LABELS = {1: "red", 2: "green", 3: "blue"}
HEIGHT, WIDTH = 60, 80
RED, GREEN = (slice(10, 30), slice(8, 24)), (slice(20, 50), slice(50, 70))
META = {
    "classes": [{"title": "area", "shape": "rectangle", "color": "#112233"}],
    "tags": [{"name": "train", "value_type": "none", "color": "#445566"}],
    "projectType": "images",
}
OLD = {
    "classTitle": "area",
    "geometryType": "rectangle",
    "tags": [],
    "points": {"exterior": [[4, 6], [31, 33]], "interior": []},
}
FULL = {"name": "full_image", "model_classes": {"save_classes": "__all__", "add_suffix": "_net"}}
SIDES = dict.fromkeys(("left", "top", "right", "bottom"), "0px")


def picture():
    pixels = np.zeros([HEIGHT, WIDTH, 3], np.uint8)
    pixels[(*RED, 0)] = 250
    pixels[(*GREEN, 1)] = 200
    return pixels


@pytest.fixture
def folder(tmp_path):
    """A project of one image with one rectangle."""
    for part in ("img", "ann"):
        (tmp_path / "project" / "ds" / part).mkdir(parents=True)
    Image.fromarray(picture()).save(tmp_path / "project/ds/img/a.png")
    size = {"height": HEIGHT, "width": WIDTH}
    content = {"description": "d", "size": size, "tags": [{"name": "train"}], "objects": [OLD]}
    write_json(tmp_path / "project/ds/ann/a.png.json", content)
    write_json(tmp_path / "project/meta.json", META)
    return tmp_path / "project"


def settings_of(tmp_path, mode, **model):
    path = tmp_path / "inference.json"
    path.write_text(json.dumps({"model": {"gpu_device": 0, **model}, "mode": mode}))
    return read_infer_settings(path)


def inferred(tmp_path, folder, mode, **model):
    """The objects of the result's JSON, its meta.json, and the result as our reader reads it."""
    settings = settings_of(tmp_path, mode, **model)
    annotator = Annotator(settings, BrightSegmenter(exact=False), label_map=LABELS)
    output = tmp_path / "result"
    assert (
        inference.annotate_project(settings, project.read_project(folder), annotator, output) == 0
    )
    content = json.loads((output / "ds/ann/a.png.json").read_text())
    assert content["description"] == "d" and content["tags"] == [{"name": "train"}]
    meta = json.loads((output / "meta.json").read_text())
    project.read_project(output)  # valid by the strict rules of a project
    (read,) = supervisely.read(output).values()
    assert not [f for f in read.findings if "left out" in f.reason]
    return content["objects"], meta, read


def mask_of(read, title):
    (result,) = [each for each in read.images[0].objects if each.class_name == title]
    cropped = masks.cropped(result.mask, HEIGHT, WIDTH)
    whole = np.zeros([HEIGHT, WIDTH], bool)
    rows, columns = cropped.pixels.shape
    whole[cropped.top : cropped.top + rows, cropped.left : cropped.left + columns] = cropped.pixels
    return whole


def filled(part):
    mask = np.zeros([HEIGHT, WIDTH], bool)
    mask[part] = True
    return mask


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def test_full_image_is_appended_and_reads_back(tmp_path, folder):
    objects, meta, read = inferred(tmp_path, folder, FULL)
    assert objects[0] == OLD
    assert [each["classTitle"] for each in objects] == ["area", "red_net", "green_net"]
    assert [each["geometryType"] for each in objects[1:]] == ["bitmap", "bitmap"]
    (tag,) = objects[1]["tags"]
    assert tag["name"] == "confidence" and 0 < tag["value"] == round(tag["value"], 4) <= 1
    shapes = {each["title"]: each["shape"] for each in meta["classes"]}
    assert shapes == {
        "area": "rectangle",
        "red_net": "bitmap",
        "green_net": "bitmap",
        "blue_net": "bitmap",
    }
    assert [tag["name"] for tag in meta["tags"]] == ["train", "confidence"]
    assert meta["tags"][1]["value_type"] == "any_number"
    assert iou(mask_of(read, "red_net"), filled(RED)) > 0.9
    assert iou(mask_of(read, "green_net"), filled(GREEN)) > 0.9


def test_roi_is_put_back_and_saved(tmp_path, folder):
    bounds = {"left": "0px", "top": "10%", "right": "50%", "bottom": "0px"}
    mode = {"name": "roi", "bounds": bounds, "save": True, "class_name": "seen"}
    objects, meta, read = inferred(tmp_path, folder, mode)
    assert [each["classTitle"] for each in objects] == ["area", "seen", "red"]
    assert objects[1]["points"]["exterior"] == [[0, 6], [39, 59]]
    assert {"title": "seen", "shape": "rectangle"}.items() <= meta["classes"][-1].items()
    assert iou(mask_of(read, "red"), filled(RED)) > 0.9


def test_bboxes_looks_at_objects_and_keeps_masks(tmp_path, folder):
    padding = {**SIDES, "left": "10%", "top": "2px"}
    mode = {"name": "bboxes", "from_classes": ["area"], "padding": padding, "save": True}
    objects, _, read = inferred(tmp_path, folder, mode)
    assert [each["classTitle"] for each in objects] == ["area", "area_input_bbox", "red"]
    # 28 columns: 10 % are 2 pixels.
    assert objects[1]["points"]["exterior"] == [[2, 4], [31, 33]]
    assert iou(mask_of(read, "red"), filled(RED)) > 0.9


@pytest.mark.parametrize("name", ["sliding_window", "sliding_window_det"])
def test_windows_keep_whole_masks(tmp_path, folder, name):
    mode = {
        "name": name,
        "window": {"width": 48, "height": 40},
        "min_overlap": {"x": 20, "y": 20},
        "save": True,
    }
    objects, _, read = inferred(tmp_path, folder, mode)
    titles = [each["classTitle"] for each in objects]
    assert titles.count("sliding_window") == 6
    assert sorted(titles[7:]) == ["green", "red"]
    assert iou(mask_of(read, "green"), filled(GREEN)) > 0.9


def test_classes_tags_and_threshold_are_chosen(tmp_path, folder):
    mode = {
        "name": "full_image",
        "model_classes": {"save_names": ["green"]},
        "model_tags": {"save_names": ["sure"], "add_suffix": "_1"},
    }
    objects, meta, _ = inferred(tmp_path, folder, mode, confidence_tag_name="sure")
    assert [each["classTitle"] for each in objects] == ["area", "green"]
    assert objects[1]["tags"][0]["name"] == "sure_1" == meta["tags"][1]["name"]
    without = {**mode, "model_tags": {"save_names": ["other"]}}
    settings = settings_of(tmp_path, without, min_confidence_threshold=0.99)
    annotator = Annotator(settings, BrightSegmenter(), label_map=LABELS)
    assert annotator.tag is None and annotator.annotate_image(picture(), "a").objects == []


def test_probabilities_lie_beside_the_project(tmp_path, folder):
    inferred(tmp_path, folder, {**FULL, "save_probabilities": True})
    stored = np.load(tmp_path / "result_probabilities/ds/a.png.npz")
    assert stored["names"].tolist() == ["red_net", "green_net"]
    assert stored["masks"].shape == (2, 28, 28) and stored["masks"].max() <= 1


def test_suppression_is_transitive():
    boxes = np.array([[0, 0, 10, 10], [0, 3, 10, 13], [0, 6, 10, 16], [0, 0, 10, 10]], np.float32)
    scores, classes = np.float32([0.9, 0.8, 0.7, 0.6]), np.int32([1, 1, 1, 2])
    result = Prediction(Instances(20, 20, boxes, classes, scores), "aaab")
    # The third meets the second alone, which is suppressed itself; the fourth is of another class.
    assert nms_survivors(result, 0.5).tolist() == [True, False, False, True]


def test_deployed_it_answers_an_annotation(tmp_path):
    annotator = Annotator(settings_of(tmp_path, FULL), BrightSegmenter(), label_map=LABELS)
    answer = annotation_function(annotator)(picture())
    assert answer["size"] == {"height": HEIGHT, "width": WIDTH}
    assert [each["classTitle"] for each in answer["objects"]] == ["red_net", "green_net"]


@pytest.mark.parametrize(
    ("mode", "expected_text"),
    [
        (
            {**FULL, "model_classes": {"save_classes": ["pink"]}},
            "save_classes contains 'pink', which",
        ),
        ({"name": "sliding_window"}, "mode.window.height is 128, larger than the image"),
        (
            {"name": "roi", "bounds": {**SIDES, "left": "60%", "right": "50%"}},
            "mode.bounds does not fit",
        ),
        (
            {"name": "bboxes", "from_classes": ["car"], "padding": SIDES},
            "mode.from_classes contains 'car', which matches nothing",
        ),
        (
            {**FULL, "model_classes": {"save_classes": []}},
            "mode.model_classes.save_classes is [], which matches nothing",
        ),
    ],
)
def test_what_does_not_fit(tmp_path, folder, mode, expected_text):
    with pytest.raises(SettingsError) as caught:
        inferred(tmp_path, folder, mode)
    assert expected_text in str(caught.value) and str(tmp_path / "inference.json") in str(
        caught.value
    )


def broken(folder, **changes):
    """The project with members of its one object changed."""
    path = folder / "ds/ann/a.png.json"
    content = json.loads(path.read_text())
    content["objects"] = [{**OLD, **changes}]
    write_json(path, content)


def test_projects_that_cannot_be_used(folder):
    def error():
        with pytest.raises(AnnotationError) as caught:
            project.read_project(folder)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    broken(folder, classTitle="cat")
    assert (
        "a.png.json: objects[0].classTitle is 'cat', which is not a class of meta.json" in error()
    )
    broken(folder, geometryType="bitmap", bitmap={"origin": [0, 0], "data": "eJx"})
    assert "a.png.json: objects[0].bitmap.data does not inflate" in error()
    broken(folder)
    (folder / "ds/img/a.png").unlink()
    assert "a.png.json: its image" in error()
    (folder / "meta.json").unlink()
    assert "meta.json is missing" in error()


def test_images_without_the_tags(folder):
    result = project.read_project(folder)
    with pytest.raises(AnnotationError, match="dataset_tags.val is 'val', but no image of"):
        project.check_tags(result, {"t.json: dataset_tags.val": "val"})
    result.annotations[0].content["tags"] = []
    with pytest.raises(AnnotationError, match="none: no image of the project has a tag"):
        project.check_tags(result, {"t.json: dataset_tags.train": "train"})


def test_a_project_of_annotations_leaves_out_images_without_masks_and_broken_ones(tmp_path):
    outline = Polygons(((4.0, 4.0, 20.0, 4.0, 20.0, 20.0),))
    images = []
    for name, mask in (("a.png", outline), ("b.png", None), ("c.png", outline)):
        Image.fromarray(picture()).save(tmp_path / name)
        objects = (AnnotatedObject(f"object of {name}", "cat", (4.0, 4.0, 20.0, 20.0), mask),)
        images.append(AnnotatedImage(name, name, name, objects, tmp_path / name))
    (tmp_path / "c.png").write_bytes(b"cut off")
    result = AnnotationSet("coco", (Category("cat"),), tuple(images))

    findings, written = project.write_project(tmp_path / "project", {"train": result})

    assert written == {"train": 1}
    assert [each.key for each in findings if each.group == "skipped images"] == ["b.png", "c.png"]
    assert [path.name for path in (tmp_path / "project/ds0/img").iterdir()] == ["a.png"]
    for left, reason in (((images[1],), "none of its 1 objects"), ((images[2],), "known format")):
        with pytest.raises(AnnotationError, match=reason):
            project.write_project(tmp_path / reason, {"train": result._replace(images=left)})
