"""Parts of images that a model is shown, and results in places of the whole image."""

import numpy as np
import pytest
from bright_segmenter import BrightSegmenter

from object_detection.prediction import modes
from object_detection.prediction.modes import (
    FullImage,
    GivenBoxes,
    Region,
    RegionOfInterest,
    SlidingWindow,
)
from object_detection.prediction.predictor import Predictor


def picture():
    image = np.zeros([100, 200, 3], np.uint8)
    image[10:20, 20:40, 0] = 250
    image[60:80, 120:150, 1] = 240
    return image


def predict(mode, boxes=None, **options):
    options.setdefault("warm_up", False)
    predictor = Predictor(BrightSegmenter(exact=False), 0.5, mode=mode, **options)
    return predictor.predict(picture(), boxes)


def test_the_whole_image():
    assert FullImage().regions(7, 9) == [Region(0, 0, 7, 9)]
    assert len(predict(FullImage())) == len(predict(None)) == 2


def test_a_region_of_interest():
    mode = RegionOfInterest("10%", "12px", 30, "0%")
    assert mode.regions(100, 205) == [Region(12, 20, 100, 175)]  # 10 % of 205 rounded down

    (box,) = predict(RegionOfInterest(100, 0, 0, 0)).boxes.tolist()
    np.testing.assert_allclose(box, [60, 120, 80, 150], atol=1e-3)
    mask = predict(RegionOfInterest(100, 0, 0, 0)).full_mask(0)
    assert mask.shape == (100, 200) and mask[61:79, 121:149].all() and mask.sum() <= 600


@pytest.mark.parametrize("side", ["x", "-5px", "5em", "", "1e3"])
def test_borders_that_are_none(side):
    with pytest.raises(ValueError, match="write pixels .* or a share"):
        RegionOfInterest(left=side).regions(10, 10)


def test_a_region_of_nothing():
    with pytest.raises(ValueError, match="nothing is left of an image of 10 x 20"):
        RegionOfInterest(left=12, right="40%").regions(10, 20)


def test_given_boxes():
    mode = GivenBoxes(None, 5, "50%", 0, 0)
    regions = mode.regions(100, 200, [[10, 20, 20, 40], [1, 2, 3, 4]])
    assert regions == [Region(5, 15, 20, 40), Region(0, 0, 3, 4)]
    assert mode.regions(100, 200, np.zeros([0, 4])) == []

    found = predict(GivenBoxes(None, "10%", "10%", "10%", "10%"),
                    [[0, 0, 5, 5], [60, 120, 80, 150], [10, 20, 20, 40]])  # fmt: skip
    np.testing.assert_allclose(found.boxes, [[10, 20, 20, 40], [60, 120, 80, 150]], atol=1e-3)
    assert found.regions.tolist() == [2, 1]  # which box each was found in
    assert len(predict(GivenBoxes([[60, 120, 80, 150]]))) == 1
    assert len(predict(GivenBoxes(), [])) == 0


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (None, "needs boxes"),
        ([1, 2, 3], r"must be \[n,"),
        ([[0, 0, np.nan, 1]], r"must be \[n,"),
        ([[0, 300, 5, 310]], "no pixel in an image of 100 x 200"),
        ([[5, 5, 5, 9]], "no pixel"),
    ],
)
def test_boxes_that_are_none(boxes, message):
    with pytest.raises(ValueError, match=message):
        predict(GivenBoxes(), boxes)


def test_boxes_without_their_mode():
    with pytest.raises(ValueError, match="only the mode GivenBoxes"):
        predict(SlidingWindow(50, 50, 5, 5), [[0, 0, 1, 1]])


def test_windows():
    regions = SlidingWindow(60, 100, 20, 30).regions(100, 200)
    # Steps of 40 and 70; the last ones end with the image.
    assert sorted({r.top for r in regions}) == [0, 40]
    assert sorted({r.left for r in regions}) == [0, 70, 100]
    assert {(r.height, r.width) for r in regions} == {(60, 100)}
    assert SlidingWindow(300, 80, 10, 10).regions(100, 80) == [Region(0, 0, 100, 80)]
    covered = np.zeros([517, 777], bool)
    for region in SlidingWindow(64, 96, 13, 1).regions(517, 777):
        covered[region.top : region.bottom, region.left : region.right] = True
    assert covered.all()


@pytest.mark.parametrize("mode", [SlidingWindow(50, 50, 50, 0), SlidingWindow(50, 50, 0, -1)])
def test_an_overlap_that_leaves_no_step(mode):
    with pytest.raises(ValueError, match=r"less than the window's \w+ \(50\)"):
        mode.regions(100, 100)


def test_a_window_of_nothing():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        SlidingWindow(0, 5, 0, 0).regions(9, 9)


def test_classes_and_their_suffix():
    labels = {1: "red", 2: "green", 3: "blue"}
    found = predict(None, label_map=labels, classes=["green"], class_suffix="_net")
    assert found.names == ("green_net",) and found.classes.tolist() == [2]
    assert predict(None, classes=1).names == predict(None, classes=["1"]).names == ("class 1",)
    assert len(predict(None, label_map=labels, classes=["blue", "red"])) == 1
    with pytest.raises(ValueError, match="no class 'pink'; its classes are 'red', 'green', 'blue'"):
        predict(None, label_map=labels, classes="pink")
    found = predict(SlidingWindow(60, 80, 20, 20), label_map=labels, classes=["red"],
                    class_suffix="!")  # fmt: skip
    assert found.names == ("red!",)


def test_the_best_of_all_regions_are_kept():
    for mode in (None, SlidingWindow(60, 80, 20, 20), RegionOfInterest()):
        assert predict(mode, max_detections=1).scores.tolist() == [np.float32(250 / 255)]


def test_pixels_of_a_side():
    assert [modes.pixels_of(side, 200) for side in (3, "3", " 3 px", "2.5%")] == [3, 3, 3, 5]
