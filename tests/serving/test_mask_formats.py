"""Accept headers, and masks in their forms."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from object_detection.client import decode_rle
from object_detection.serving import responses
from object_detection.serving.limits import RequestError
from object_detection.structures.masks import paste_mask


@pytest.mark.parametrize(
    ("accept", "mask_format"),
    [
        (None, "box"),
        ("", "box"),
        ("*/*", "box"),
        ("application/json", "box"),
        ("application/json;masks=rle", "rle"),
        ('Application/JSON; MASKS="png"', "png"),
        ("application/json; masks=none; q=0.5, application/json; masks=rle", "rle"),
        ("application/json; masks=svg, application/json; masks=png;q=0.1", "png"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "box"),
    ],
)
def test_what_is_asked_for(accept, mask_format):
    assert responses.requested_mask_format(accept) == mask_format


@pytest.mark.parametrize(
    "accept", ["image/png", "application/json; masks=x", "application/json;q=0", "*/*;q=x"]
)
def test_what_cannot_be_had(accept):
    with pytest.raises(RequestError) as refused:
        responses.requested_mask_format(accept)
    assert refused.value.status == 406


def test_forms_of_a_mask():
    generator = np.random.default_rng(1)
    masks = generator.uniform(0, 1, [3, 9, 9]).astype(np.float32)
    boxes = np.array([[0.1, 0.2, 0.8, 0.7], [-0.1, 0, 0.5, 1.2], [0.3, 0.3, 0.3, 0.3]], np.float32)

    codes = responses.encode_masks(masks, boxes, "rle", (50, 70))
    for mask, box, code in zip(masks, boxes, codes, strict=True):
        whole = paste_mask(mask, box * [50, 70, 50, 70], 50, 70) > 0.5
        np.testing.assert_array_equal(decode_rle(code), whole)
    for mask, code in zip(
        masks, responses.encode_masks(masks, boxes, "png", (50, 70)), strict=True
    ):
        grey = np.asarray(Image.open(io.BytesIO(base64.b64decode(code["png"]))))
        np.testing.assert_allclose(grey / 255, mask, atol=0.5 / 255 + 1e-6)
    assert responses.encode_masks(masks, boxes, "none", (50, 70)) is None
    assert responses.encode_masks(masks, boxes, "box", (50, 70)) is masks
