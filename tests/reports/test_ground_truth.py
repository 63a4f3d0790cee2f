"""A COCO json as ground truth: the objects of the converters, whatever the file has wrong."""

import json

import numpy as np
import pytest
from made_instances import detected, sized

from object_detection.errors import ResultFileError
from object_detection.metrics import coco_results
from object_detection.prediction import detection_source
from object_detection.reports import ground_truth, model_evaluation
from object_detection.structures import run_lengths

SQUARE = [10, 5, 20, 5, 20, 15, 10, 15]
GOOD = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 5, 10, 10], "area": 100}
GOOD["segmentation"] = [SQUARE]
SECOND = {"id": 2, "image_id": 1, "category_id": 1, "bbox": [30, 20, 5, 5], "area": 25}
SECOND["segmentation"] = [[30, 20, 35, 20, 35, 25, 30, 25]]
RUNS = {"size": [30, 40], "counts": [305] + [10, 20] * 9 + [10, 615]}  # of `SQUARE`
IDS = ("0001", "0002", "3")
RESULT = {"image_id": 1, "category_id": 1, "bbox": [10, 5, 10, 10], "score": 0.9}


def truth_of(folder, *annotations, **changes):
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 30, "width": 40}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": annotations,
        **changes,
    }
    (folder / "truth.json").write_text(json.dumps(content))
    return ground_truth.from_coco(folder / "truth.json")


def results_of(folder, *entries, sizes=None):
    (folder / "results.json").write_text(json.dumps(entries))
    return detection_source.ResultFileSource(folder / "results.json", sizes)


def objects(truth_set):
    (image,) = truth_set.images
    return image.truth


@pytest.mark.parametrize(
    "segmentation",
    [
        [SQUARE],
        SQUARE,
        [[SQUARE[k : k + 2] for k in range(0, 8, 2)]],
        RUNS,
        {**RUNS, "counts": run_lengths.normalize(RUNS)["counts"].decode()},
        {**RUNS, "counts": str(run_lengths.normalize(RUNS)["counts"])},
        json.dumps([SQUARE]),
        str(RUNS),
    ],
)
def test_masks_of_every_form_are_the_same(tmp_path, segmentation):
    truth = truth_of(tmp_path, {**GOOD, "segmentation": segmentation})

    (mask,) = objects(truth).masks.to_rle()
    assert mask == run_lengths.normalize(RUNS)
    assert truth.notes == []


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"segmentation": {"size": [30, 40], "counts": [5, 4_000_000]}}, "add up to 4000005"),
        ({"segmentation": {"size": [30, 40], "counts": [1199]}}, "add up to 1199"),
        ({"segmentation": {"size": [30, 40], "counts": "0oooooooO"}}, "32 bits"),
        ({"segmentation": {"size": [30, 40], "counts": "\x01\x02zz"}}, "foreign"),
        ({"segmentation": {"size": [0, 0], "counts": [5, 10]}}, "0 x 0"),
        ({"segmentation": {"size": [40, 30], "counts": [1200]}}, "exchanged"),
        ({"segmentation": {"size": [60000, 60000], "counts": [3_600_000_000]}}, "the image is"),
        ({"segmentation": [["a", "b", "c", "d", "e", "f"]]}, "neither polygons nor"),
        ({"segmentation": [[]]}, "no polygon of three points"),
        ({"segmentation": [[1, 2, 3, 4]]}, "no polygon of three points"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "x without y"),
        ({"segmentation": 5}, "neither polygons nor"),
        ({"bbox": [20, 15, -10, -10]}, "no height or no width"),
        ({"bbox": [float("nan"), 5, 10, 10]}, "NaN"),
        ({"bbox": "text", "segmentation": None}, "neither a box nor a mask"),
        ({"category_id": [1]}, "no category"),
        ({"image_id": {}}, "no image"),
    ],
)
def test_an_object_that_cannot_be_used_is_left_out_and_named(tmp_path, fields, why):
    truth = truth_of(tmp_path, {**GOOD, **fields}, SECOND)

    assert objects(truth).boxes.tolist() == [[20, 30, 25, 35]]
    (note,) = truth.notes
    assert why in note and note.endswith("1 (annotation 1)")
    assert truth.lost() == 1


def test_boxes_are_clipped_and_derived_as_in_the_converters(tmp_path):
    over = {**GOOD, "bbox": [30, 5, 30, 10], "segmentation": None}
    bare = {**GOOD, "id": 3, "segmentation": None}
    bare.pop("bbox")
    derived = {**GOOD, "id": 4}
    derived.pop("bbox")
    truth = truth_of(tmp_path, over, bare, derived)

    found = objects(truth)

    assert found.boxes.tolist() == [[5, 30, 15, 40], [5, 10, 15, 20]]
    assert found.area.tolist() == [100, 100]
    assert found.masks is None
    assert any("crosses the border" in note and "annotation 1" in note for note in truth.notes)
    assert any("neither a box nor a mask: 1 (annotation 3)" in note for note in truth.notes)
    assert any("masks are not scored in this image" in note for note in truth.notes)


def test_an_outline_thinner_than_a_pixel_counts_as_with_pycocotools(tmp_path):
    thin = {**GOOD, "bbox": [10.1, 5.1, 0.2, 0.2], "area": 0.02}
    thin["segmentation"] = [[10.1, 5.1, 10.3, 5.1, 10.3, 5.3]]

    found = objects(truth_of(tmp_path, thin))

    assert len(found.boxes) == 1
    assert found.masks.full(0).sum() == 0


def test_many_findings_of_one_reason_are_one_line(tmp_path):
    many = [{**GOOD, "id": k, "bbox": [1, 1, 0, 0]} for k in range(1, 31)]

    truth = truth_of(tmp_path, *many)

    assert len(objects(truth).boxes) == 0
    (note,) = truth.notes
    assert note.startswith("the box has no height or no width: 30 (annotation 1, ")
    assert note.endswith("and 20 more)")


def images_of(truth, find):
    return model_evaluation.collect(truth, find)[0]


@pytest.mark.parametrize("stated", [1, 1.0, "1", "0001"])
def test_ids_of_results_are_equal_as_whole_numbers_are(tmp_path, stated):
    find = results_of(tmp_path, {**RESULT, "image_id": stated, "category_id": "1"})
    truth = truth_of(tmp_path, GOOD)

    (image,) = images_of(truth, find)

    assert image.detections.scores.tolist() == [0.9]
    assert image.detections.classes.tolist() == [1]
    find.check_ids()
    assert find.notes() == []


def test_results_of_other_images_or_classes_are_an_error(tmp_path):
    truth = truth_of(tmp_path, GOOD)
    find = results_of(tmp_path, {**RESULT, "image_id": 7})
    images_of(truth, find)
    with pytest.raises(ResultFileError, match="no image id .* have 7; .* has 1"):
        find.check_ids()

    truth = truth_of(tmp_path, GOOD)
    find = results_of(tmp_path, {**RESULT, "category_id": 0})
    images = images_of(truth, find)
    find.check_ids()
    with pytest.raises(ValueError, match=r"no category id .* have 0; .* 1 \(thing\).*from 0"):
        model_evaluation.check_classes(truth.categories, images, find.origin)
    nothing = [image._replace(detections=image.detections.select([])) for image in images]
    model_evaluation.check_classes(truth.categories, nothing, find.origin)  # found nothing


def test_a_truth_of_which_every_object_is_lost_is_an_error(tmp_path):
    truth = truth_of(tmp_path, {**GOOD, "image_id": 5})
    images = images_of(truth, results_of(tmp_path, RESULT))
    with pytest.raises(ValueError, match="no object of the ground truth.*\n.*no image '5'"):
        model_evaluation.check_objects(truth, images)

    empty = truth_of(tmp_path)  # nothing annotated: nothing lost
    model_evaluation.check_objects(empty, images_of(empty, results_of(tmp_path, RESULT)))


def test_a_mask_of_another_size_than_an_image_without_a_stated_size_is_an_error(tmp_path):
    find = results_of(tmp_path, {**RESULT, "segmentation": RUNS})
    (image,) = truth_of(tmp_path, GOOD).images

    assert len(find(image).masks) == 1
    with pytest.raises(ResultFileError, match="image 1 has the size"):
        find(image._replace(truth=image.truth._replace(height=31)))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"segmentation": {"size": [30, 40], "counts": [5, 4_000_000]}}, "add up to 4000005"),
        ({"segmentation": {"size": [0, 0], "counts": [5, 10]}}, "0 x 0"),
        ({"segmentation": {"size": [40, 30], "counts": [1200]}}, "exchanged"),
        ({"segmentation": [["a"]]}, "neither polygons nor"),
        ({"segmentation": [[1, 2, 3, 4]]}, "no polygon"),
        ({"bbox": [10**400, 5, 1, 1]}, "bbox is not four numbers"),
        ({"bbox": [1, 2, 3, float("inf")]}, "finite"),
        ({"bbox": [20, 15, -10, 10]}, "negative width"),
        ({"bbox": None}, "no 'bbox, nor segmentation'"),
        ({"score": None}, "score is not a number"),
        ({"score": float("nan")}, "finite"),
        ({"image_id": [1]}, "image_id is neither"),
        ({"category_id": 1.5}, "category_id is not"),
        ({"category_id": 10**30}, "category_id is not"),
    ],
)
def test_a_result_that_is_none_is_named(tmp_path, fields, why):
    with pytest.raises(ResultFileError, match=why) as fault:
        results_of(tmp_path, RESULT, {**RESULT, **fields}, sizes={"1": (30, 40)})
    assert "results.json: entry 2 is no detection" in str(fault.value)


@pytest.mark.parametrize("entry", [None, 5, "text", []])
def test_a_result_that_is_no_object_is_named(tmp_path, entry):
    with pytest.raises(ResultFileError, match="entry 1 is no detection"):
        results_of(tmp_path, entry)


def test_more_objects_than_detections_that_count_are_reported(tmp_path):
    many = [
        {**GOOD, "id": k, "bbox": [k % 40, k // 40, 1, 1], "area": 1, "segmentation": None}
        for k in range(101)
    ]
    truth = truth_of(tmp_path, *many)
    nothing = detected(np.zeros([0, 4]), np.zeros(0), np.zeros(0, np.int64))
    images = images_of(truth, lambda image: sized(nothing, 30, 40))

    scored = model_evaluation.score(truth.categories, images)
    assert any("max detections" in note and "101 of thing" in note for note in scored.notes)

    scored = model_evaluation.score(
        truth.categories,
        [image._replace(truth=image.truth.select(np.arange(100))) for image in images],
    )
    assert scored.notes == []


def test_detections_of_images_whose_ids_have_leading_zeros_come_back(tmp_path):
    images = [{"id": name, "file_name": f"{name}.png", "height": 30, "width": 40} for name in IDS]
    truth = truth_of(tmp_path, *({**GOOD, "image_id": name} for name in IDS), images=images)
    found = detected(np.array([[5.0, 10, 15, 20]]), np.array([0.9]), np.array([1]))
    evaluated = images_of(truth, lambda image: sized(found, 30, 40))

    coco_results.write(tmp_path / "own.json", ((i.image_id, i.detections) for i in evaluated))

    stated = [entry["image_id"] for entry in json.loads((tmp_path / "own.json").read_text())]
    assert stated == ["0001", "0002", 3]
    again = images_of(
        truth_of(tmp_path, *({**GOOD, "image_id": name} for name in IDS), images=images),
        detection_source.ResultFileSource(tmp_path / "own.json", truth.sizes),
    )
    scores = [
        model_evaluation.score(truth.categories, each).coco.evaluate()
        for each in (evaluated, again)
    ]
    assert scores[0] == scores[1]
    assert scores[0]["DetectionBoxes_Precision/mAP"] == pytest.approx(1)
