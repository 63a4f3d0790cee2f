"""COCODemo: what it finds, chooses and draws, on shapes that are known beforehand."""

import dataclasses

import numpy as np
import pytest
from bright_segmenter import BrightSegmenter

from object_detection.integrations import COCODemo, coco_demo, demo_model
from object_detection.prediction.predictor import Predictor
from object_detection.structures.masks import Masks

NAMES = {1: "red", 2: "green", 3: "blue"}


@pytest.fixture
def model(monkeypatch):
    """Opens a model that finds coloured shapes, whatever cfg says; takes its settings."""
    pytest.importorskip("cv2", reason="needs OpenCV (extra `video`)")

    def opens(names=NAMES, num_classes=3, **settings):
        predictor = Predictor(BrightSegmenter(**settings), 0.0, label_map=names, warm_up=False)
        opened = demo_model.Opened(predictor, None, num_classes)
        monkeypatch.setattr(demo_model, "open_model", lambda source, size: opened)
        monkeypatch.setattr(demo_model, "read_cfg", lambda cfg, weights: demo_model.Source("x"))

    return opens


def picture():
    """BGR: a red rectangle of rows 10..29, columns 20..59, and a paler blue one below it."""
    image = np.zeros([100, 120, 3], np.uint8)
    image[10:30, 20:60, 2] = 255
    image[60:90, 30:90, 0] = 200
    return image


def test_what_is_found_has_the_names_of_a_box_list(model):
    model(exact=False)
    result = COCODemo("cfg").compute_prediction(picture())

    assert len(result) == 2 and result.size == (120, 100) and result.mode == "xyxy"
    np.testing.assert_allclose(result.bbox, [[20, 10, 60, 30], [30, 60, 90, 90]], atol=1e-4)
    assert result.get_field("labels").tolist() == [1, 3]  # red first although OpenCV has it last
    assert result.fields() == ["labels", "scores", "mask"]
    masks = result.get_field("mask")
    assert masks.shape == (2, 1, 100, 120) and masks.dtype == bool
    assert masks[0, 0, 12:28, 22:58].all() and masks[0].sum() <= 20 * 40
    assert result[1].bbox.tolist() == result.bbox[1:].tolist()
    assert len(result[:0].get_field("mask")) == 0
    with pytest.raises(KeyError, match="no field 'keypoints'; available: labels, scores, mask"):
        result.get_field("keypoints")


def test_the_best_above_the_threshold_are_chosen(model):
    model()
    demo = COCODemo("cfg", confidence_threshold=0.7)
    result = demo.compute_prediction(picture())
    scores = result.get_field("scores")
    demo.confidence_threshold = float(scores[1])  # what scores no more is left out

    top = demo.select_top_predictions(result[[1, 0]])

    assert scores[0] > scores[1]
    assert top.get_field("scores").tolist() == scores[:1].tolist()
    demo.confidence_threshold = 0.0
    assert demo.select_top_predictions(result[[1, 0]]).get_field("labels").tolist() == [1, 3]


def test_colours_follow_from_the_class_alone(model):
    model()
    colors = COCODemo("cfg").compute_colors_for_labels([0, 1, 2, 1])

    assert colors.dtype == np.uint8 and colors.shape == (4, 3)
    # 2^8 is 1 modulo 255, so 2^25 - 1 is 2 - 1, 2^15 - 1 is 128 - 1, and 2^21 - 1 is 32 - 1.
    assert colors[1].tolist() == [1, 127, 31]
    assert colors[1].tolist() == colors[3].tolist() != colors[2].tolist()


def test_a_picture_is_drawn_into_a_copy(model):
    model()
    image = picture()
    demo = COCODemo("cfg", confidence_threshold=0.1)

    drawn = demo.run_on_opencv_image(image)

    assert (image == picture()).all() and drawn.shape == image.shape and drawn.dtype == np.uint8
    red, blue = demo.compute_colors_for_labels([1, 3])
    assert drawn[30, 40].tolist() == red.tolist()  # the box's lower border lies beside the shape
    assert drawn[90, 50].tolist() == blue.tolist()
    assert drawn[20, 40].tolist() == [0, 0, 255]  # masks are borders: the inside stays
    assert drawn[11, 40].tolist() == red.tolist()  # of three pixels
    assert (drawn[0:10, 20:60] == 255).all(axis=-1).any()  # a name in white above the corner


def test_boxes_alone_where_masks_are_off(model, monkeypatch):
    model()
    monkeypatch.setattr(
        demo_model, "read_cfg", lambda cfg, weights: demo_model.Source("x", with_masks=False)
    )
    drawn = COCODemo("cfg", confidence_threshold=0.1).run_on_opencv_image(picture())

    assert drawn[11, 40].tolist() == [0, 0, 255]


def test_the_montage_holds_probabilities(model):
    model(exact=False)
    demo = COCODemo("cfg", 0.1, show_mask_heatmaps=True, masks_per_dim=2)
    demo.predictor._model._function.mask_side = 4
    image = picture()

    montage = demo.run_on_opencv_image(image)
    result = demo.compute_prediction(image)
    heat = result.get_field("mask")

    assert montage.shape == (100, 120, 3) and (image == picture()).all()
    assert heat.dtype == np.float32 and heat.max() <= 1
    cold, hot = [128, 0, 0], [0, 0, 128]  # the ends of OpenCV's JET, blue first
    assert montage[99, 119].tolist() == cold  # no fourth object
    assert montage[10, 20].tolist() == hot  # (20, 40) of the first
    assert montage[37, 60 + 30].tolist() == hot  # (75, 60) of the second
    assert montage[37, 30].tolist() == cold


def test_probabilities_between_none_and_all_have_colors_between(model):
    model(exact=False)
    demo = COCODemo("cfg", 0.1, masks_per_dim=1)
    result = demo.compute_prediction(picture())
    boxes = result.prediction.boxes
    masks = Masks.from_box_masks(np.full([2, 4, 4], 0.5, np.float32), boxes, 100, 120)
    instances = result.prediction.instances._replace(masks=masks)
    half = dataclasses.replace(result.prediction, instances=instances)

    montage = demo.create_mask_montage(picture(), coco_demo.BoxList(half))

    blue, green, red = montage[20, 40].tolist()
    assert green == 255 and blue > 100 and red > 100  # JET's middle


def test_names_are_the_label_maps_else_cocos_else_numbers(model):
    model({1: "date", 3: "fig"})
    demo = COCODemo("cfg")
    assert demo.CATEGORIES == ["__background", "date", "", "fig"]
    assert [demo.name_of(k) for k in (1, 2, 9)] == ["date", "class 2", "class 9"]
    model({}, num_classes=80)
    assert COCODemo("cfg").name_of(80) == "toothbrush"
    model({}, num_classes=90)  # TFOD's numbers of COCO have gaps: these names would be wrong
    assert COCODemo("cfg").name_of(80) == "class 80"

    class Nuts(COCODemo):
        CATEGORIES = ["__background", "nut"]

    assert Nuts("cfg").name_of(1) == "nut"
    assert len(COCODemo.CATEGORIES) == 81 and COCODemo.CATEGORIES[:2] == ["__background", "person"]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "the image is None: cv2.imread returns None"),
        (np.zeros([4, 4]), r"a result of cv2.imread, .*; got float64 \[4, 4\]"),
        (np.zeros([4, 4, 4], np.uint8), r"got uint8 \[4, 4, 4\]"),
        ("photo.jpg", "got <class 'str'>"),
        (np.zeros([0, 4, 3], np.uint8), r"has no pixels: \[0, 4, 3\]"),
    ],
)
def test_what_is_no_image_of_opencv(model, image, message):
    model()
    with pytest.raises(ValueError, match=message):
        COCODemo("cfg").run_on_opencv_image(image)


def test_what_a_model_cannot_do_is_said(model):
    model(masks=False)
    demo = COCODemo("cfg", 0.1, show_mask_heatmaps=True)
    with pytest.raises(ValueError, match="this model has no masks"):
        demo.run_on_opencv_image(picture())
    demo.show_mask_heatmaps = False
    assert demo.run_on_opencv_image(picture()).shape == (100, 120, 3)
    with pytest.raises(ValueError, match="not keypoints"):
        demo.overlay_keypoints(picture(), None)
    with pytest.raises(ValueError, match="cfg has no pipeline.config"):
        demo.write_config("somewhere")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"confidence_threshold": 70}, "confidence_threshold must be between 0 and 1, got 70"),
        ({"masks_per_dim": 0}, "masks_per_dim must be at least 1, got 0"),
    ],
)
def test_settings_out_of_their_range(settings, message):
    with pytest.raises(ValueError, match=message):
        COCODemo("cfg", **settings)


def test_without_opencv_the_extra_is_named(model, monkeypatch):
    model()
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(ValueError, match="COCODemo's pictures need OpenCV, which is not installed"):
        COCODemo("cfg").run_on_opencv_image(picture())
