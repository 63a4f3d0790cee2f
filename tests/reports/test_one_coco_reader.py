"""Records made of a COCO json and the json itself are the same ground truth, whatever is wrong."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from object_detection.dataset_tools import conversion_command
from object_detection.datasets.formats import coco
from object_detection.errors import ObjectDetectionError
from object_detection.reports import evaluation_figures, ground_truth, model_evaluation

_CANDIDATE = Path(os.environ.get("OD_SHARED", Path(__file__).parents[3] / "shared")) / "faults"
FAULTS = _CANDIDATE if _CANDIDATE.is_dir() else Path(__file__).parent / "absent"
HEIGHT, WIDTH = 30, 40
SQUARE = [10, 5, 20, 5, 20, 15, 10, 15]
RUNS = [305, *[10, 20] * 9, 10, 615]  # of `SQUARE`
NAN = float("nan")


def content_of(*annotations, **changes):
    """A COCO json with two images, two categories, and a sound object in each image."""
    sound = {"category_id": 3, "bbox": [10, 5, 10, 10], "area": 100, "segmentation": [SQUARE]}
    return {
        "images": [
            {"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH},
            {"id": 2, "file_name": "b.png", "height": HEIGHT, "width": WIDTH},
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 8, "name": "dog"}],
        "annotations": [
            {**sound, "id": 101, "image_id": 1},
            {**sound, "id": 102, "image_id": 2, "category_id": 8},
            *({"id": k, "image_id": 1, **each} for k, each in enumerate(annotations, 1)),
        ],
        **changes,
    }


def of_box(*bbox, **fields):
    """An annotation whose outline is its box."""
    x, y, width, height = bbox
    outline = [x, y, x + width, y, x + width, y + height, x, y + height]
    return {"category_id": 3, "bbox": list(bbox), "segmentation": [outline], **fields}


def in_own_images(*groups):
    """Annotations of several cases, each case in an image of its own (3, 4, ...)."""
    images = [
        {"id": k, "file_name": "c.png", "height": HEIGHT, "width": WIDTH}
        for k in range(3, 3 + len(groups))
    ]
    return [{"image_id": k, **each} for k, group in enumerate(groups, 3) for each in group], images


ANNOTATIONS, MORE_IMAGES = in_own_images(
    [  # ids as text and as floats
        of_box(2, 2, 6, 6, image_id="1", category_id="3"),
        of_box(12, 2, 6, 6, image_id=1.0, category_id=8.0),
        of_box(22, 2, 6, 6, image_id="0001"),
    ],
    [of_box(-5, 2, 10, 6, area=60), of_box(35, 25, 10, 10), of_box(50, 50, 5, 5)],
    [  # run lengths: sound, of another size, that do not add up
        of_box(10, 5, 10, 10, segmentation={"size": [HEIGHT, WIDTH], "counts": RUNS}),
        of_box(10, 5, 10, 10, segmentation={"size": [WIDTH, HEIGHT], "counts": RUNS}),
        of_box(10, 5, 10, 10, segmentation={"size": [3, 4], "counts": [5, 7]}),
        of_box(10, 5, 10, 10, segmentation={"size": [HEIGHT, WIDTH], "counts": RUNS[:-1]}),
    ],
    [of_box(10, 5, 10, 10, segmentation={"size": [1, 1], "counts": [5]})],  # the only one
    [of_box(1, 1, 20, 20, iscrowd=1), of_box(2, 2, 6, 6, iscrowd=True), of_box(9, 9, 5, 5)],
    [of_box(5, 5, 0, 0), of_box(5, 5, 4, 0), of_box(5, 5, -4, 4), of_box(5, 5, 4, 4, area=0)],
    [
        of_box(2, 2, 6, 6, bbox=[NAN, 2, 6, 6]),
        of_box(2, 2, 6, 6, area=NAN),
        of_box(2, 2, 6, 6, bbox=[2, 2, float("inf"), 6]),
        of_box(2, 2, 6, 6, segmentation=[[2, 2, NAN, 2, 8, 8]]),
    ],
    [  # unknown references
        of_box(2, 2, 6, 6, category_id=5),
        of_box(2, 2, 6, 6, image_id=99),
        of_box(2, 2, 6, 6),
    ],
    [{"category_id": 8, "segmentation": [SQUARE]}],  # no box
    [  # segmentations as text
        of_box(10, 5, 10, 10, segmentation=json.dumps([SQUARE])),
        of_box(10, 5, 10, 10, segmentation=SQUARE),
        of_box(10, 5, 10, 10, segmentation="a polygon"),
    ],
)
IMAGES = content_of()["images"]
CASES = {
    "annotations": content_of(*ANNOTATIONS, images=[*IMAGES, *MORE_IMAGES]),
    "entries": content_of(
        images=[*IMAGES, {**IMAGES[1], "id": 1}, None, "a.png", {"id": 5}],
        categories=[None, {"id": 3, "name": "cat"}, {"id": 8}],
    ),
    "categories from 0": content_of(
        of_box(2, 2, 6, 6, category_id=0),
        categories=[{"id": k, "name": name} for k, name in ((0, "a"), (3, "cat"), (8, "dog"))],
    ),
    "without masks": content_of(
        annotations=[
            {"id": 1, "image_id": 1, "category_id": 3, "bbox": [2, 2, 6, 6], "iscrowd": 0},
            {"id": 2, "image_id": 2, "category_id": 8, "bbox": [35, 2, 16, 6], "area": 96},
        ]
    ),
}


class Detections:
    """Most objects of a ground truth, moved a little, with scores: the same for every source."""

    def __init__(self, truth):
        self.of_image = {image.image_id: image.truth for image in truth.images}
        self.names = truth.categories

    def for_categories(self, categories):
        """Return what finds the detections, with the class ids of another ground truth."""
        ids = {name: number for number, name in categories.items()}

        def find(image):
            truth = self.of_image[image.image_id]
            kept = truth.select(np.arange(len(truth.boxes)) % 4 != 3)
            return kept._replace(
                boxes=kept.boxes + np.array([0, 0, 1, 0]),
                scores=np.linspace(0.9, 0.2, len(kept.boxes)),
                classes=np.array([ids[self.names[int(k)]] for k in kept.classes], np.int64),
                crowd=None,
                area=None,
            )

        return find


def scores(truth, detections):
    """Return every figure of the evaluation page."""
    images, _ = model_evaluation.collect(truth, detections.for_categories(truth.categories))
    scored = model_evaluation.score(truth.categories, images, model_evaluation.Rules())
    figures = evaluation_figures.to_dict(scored)
    figures.pop("notes")  # they name files
    for each in figures["classes"]:
        each.pop("id")  # records number classes from 1
    return json.loads(json.dumps(figures, default=str).replace("NaN", "null"))


def objects(truth):
    """Return image id -> what is known of each object."""
    return {
        image.image_id: [
            (
                truth.categories[int(number)],
                np.round(box, 3).tolist(),
                bool(crowd),
                round(float(area), 3),
                None if image.truth.masks is None else image.truth.masks.to_rle()[k],
            )
            for k, (number, box, crowd, area) in enumerate(
                zip(
                    image.truth.classes,
                    image.truth.boxes,
                    image.truth.flags("crowd"),
                    image.truth.area,
                    strict=True,
                )
            )
        ]
        for image in truth.images
    }


def both_sources(path, image_dir, folder):
    """The report of the conversion, and the ground truths of the json and of its records."""
    annotations = coco.read(path, image_dir)
    masks = any(each.mask for image in annotations.images for each in image.objects)
    (report,) = conversion_command.convert(
        [conversion_command.Split("val", folder / "val.record", annotations)],
        conversion_command.Options(include_masks=masks),
    )
    records = [str(each) for each in sorted(folder.glob("val.record-*"))]
    by_json = ground_truth.from_coco(path, image_dir)
    by_records = ground_truth.from_records(records, str(folder / "label_map.pbtxt"))
    return report, *(each._replace(images=list(each.images)) for each in (by_json, by_records))


def assert_equal(path, image_dir, folder):
    """Objects, findings and figures of the two ways are the same."""
    report, by_json, by_records = both_sources(path, image_dir, folder)
    assert objects(by_json) == objects(by_records)
    for group in ("skipped images", "skipped objects", "clipped objects"):
        for reason, keys in report.names[group].items():
            line = f"{reason}: {len(keys)} ({', '.join(keys)})"
            assert line in by_json.notes
    detections = Detections(by_json)
    assert scores(by_json, detections) == scores(by_records, detections)


@pytest.mark.parametrize("name", CASES)
def test_a_json_and_its_records_give_equal_numbers(tmp_path, name):
    for file in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / file)
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(CASES[name]))

    assert_equal(path, tmp_path, tmp_path / "records")


def jsons_of(folder):
    """Every COCO json of annotations below a folder, with the folder of its images."""
    for path in sorted(folder.rglob("*.json")):
        try:
            content = json.loads(path.read_text())
        except ValueError:
            continue
        if isinstance(content, dict) and isinstance(content.get("images"), list):
            places = (path.parent / "images", path.parent / "img", path.parents[1] / "images")
            yield path, next(filter(Path.is_dir, places), path.parent)


def same_pixels(path, image_dir):
    """Whether every image is there and can be stored: one that cannot be is in no record."""
    from object_detection.datasets import image_file

    for image in coco.read(path, image_dir).images:
        try:
            stored = image_file.prepare(image.path.read_bytes(), lambda: None)
        except (OSError, ObjectDetectionError):
            return False
        if image.stated_size not in (None, (stored.height, stored.width)):
            return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(not FAULTS.is_dir(), reason="the set of faulty files is not here")
@pytest.mark.parametrize(
    ("path", "image_dir"),
    list(jsons_of(FAULTS)),
    ids=lambda value: str(value.relative_to(FAULTS)) if value.suffix == ".json" else "",
)
def test_every_json_of_the_faulty_files(tmp_path, path, image_dir):
    try:
        if not same_pixels(path, image_dir):
            pytest.skip("an image is missing, broken, or of another size")
    except ObjectDetectionError as error:
        with pytest.raises(ObjectDetectionError) as other:
            ground_truth.from_coco(path, image_dir)
        assert str(other.value) == str(error)
        return

    assert_equal(path, image_dir, tmp_path)
