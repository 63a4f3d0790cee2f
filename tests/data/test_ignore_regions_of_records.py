import numpy as np
import pytest
import tensorflow as tf
from made_records import box_mask, record

from object_detection.data import ignore_regions, report
from object_detection.data.augment import geometry, objects
from object_detection.data.decoder import Decoder, DecoderOptions
from object_detection.data.mask_decoder import MaskDecodeOptions

BOXES = [(0.25, 0.2, 0.75, 0.5), (0.0, 0.5, 1.0, 1.0), (0.5, 0.0, 1.0, 0.2), (0.0, 0.0, 0.5, 0.5)]
TEXTS = ["cat", "ignore", "bg", "cat"]  # of 8 x 10 pixels


def decoded(cut=False, masks=True, **changes):
    options = {
        "load_masks": masks,
        "mask_options": MaskDecodeOptions(crop=cut),
        "ignore_texts": ("ignore", "bg"),
        **changes,
    }
    made = record(BOXES, masks=masks, label=None, text=TEXTS)
    return Decoder(DecoderOptions(1, {"cat": 1}, **options))(made)


@pytest.mark.parametrize("masks", ["whole", "cut", "none"])
def test_area_is_that_of_all_ignored_objects(masks):
    example = decoded(cut=masks == "cut", masks=masks != "none").example
    np.testing.assert_array_equal(example.classes, [1, 0, 0, 1])
    np.testing.assert_array_equal(example.ignore, [False, True, True, False])
    expected = box_mask(8, 10, (0, 5, 8, 10)) | box_mask(8, 10, (4, 0, 8, 2))
    objects, area = ignore_regions.split(example)
    np.testing.assert_array_equal(area, expected)
    np.testing.assert_array_equal(objects.classes, [1, 1])
    assert objects.ignore is None


def test_an_image_without_ignore_regions_has_an_empty_area():
    for cut in (False, True):
        example = decoded(cut=cut).example.select(tf.constant([0, 3]))
        np.testing.assert_array_equal(ignore_regions.split(example)[1], np.zeros([8, 10]))


def test_ignored_objects_are_not_counted_among_the_boxes():
    found = decoded(max_boxes=1)
    np.testing.assert_array_equal(found.example.classes, [1, 0, 0])
    assert found.counts[report.OBJECT_REASONS.index(report.TOO_MANY_BOXES)] == 1
    kept = objects.KeepAtMost(1)(decoded().example, tf.constant([1, 2]))
    np.testing.assert_array_equal(kept.classes, [1, 0, 0])


def test_without_the_field_they_are_unknown_classes():
    found = decoded(ignore_texts=())
    np.testing.assert_array_equal(found.example.classes, [1, 1])
    assert found.counts[report.OBJECT_REASONS.index(report.UNKNOWN_CLASS_TEXT)] == 2


def test_a_crop_keeps_what_little_it_shows_of_ignore_regions():
    example = decoded().example
    seen = geometry.crop_example(example, tf.constant([0, 0]), tf.constant([8, 6]), 0.3, True)
    # One of five columns of the first ignored object is seen; a true object would be dropped.
    np.testing.assert_array_equal(seen.ignore, [False, True, True, False])
    expected = box_mask(8, 6, (0, 5, 8, 6)) | box_mask(8, 6, (4, 0, 8, 2))
    np.testing.assert_array_equal(ignore_regions.split(seen)[1], expected)
