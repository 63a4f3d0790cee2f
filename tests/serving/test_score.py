"""azoda's scoring protocol, and the client that its notebook has."""

import numpy as np
import pytest
from asking import ask, error, post
from made_models import file_of, picture
from PIL import Image

from object_detection.client import decode_rle, unmold_mask


@pytest.mark.parametrize("model", ["pixels", "one", "files", "examples"])
def test_the_answer_is_what_azodas_client_reads(server, model):
    status, result = post(server, f"/score?prob=0.5&model={model}", file_of(picture()))

    assert status == 200 and len(result) == 1
    assert set(result[0]) == {"class", "label", "confidence", "bounding_box", "mask"}
    assert result[0]["class"] == 2 and result[0]["label"] == "Bright one"
    assert result[0]["confidence"] == 0.75
    assert result[0]["bounding_box"] == [0.25, 0.25, 0.75, 0.75]
    mask = np.array(result[0]["mask"])
    assert mask.shape == (8, 8) and mask[:, :4].all() and not mask[:, 4:].any()
    full = unmold_mask(mask, (5, 10, 15, 30), (20, 40, 3))
    assert full[5:15, 10:19].all() and full.sum() == pytest.approx(100, abs=20)


def test_only_what_scores_more_than_prob(server):
    assert post(server, "/score?prob=0.75", file_of(picture())) == (200, [])


@pytest.mark.parametrize("prob", ["", "?prob=", "?prob=x", "?prob=2", "?prob=nan", "?prob=-0.1"])
def test_prob_is_required(server, prob):
    status, message = error(server, f"/score{prob}", file_of(picture()))

    assert status == 400 and "/score?prob=0.5" in message


def test_get_is_not_allowed(server):
    status, headers, _ = ask(server, "GET", "/score?prob=0.5")

    assert status == 405 and headers["allow"] == "POST"


@pytest.mark.parametrize("masks", ["", "; masks=rle", "; masks=box"])
def test_a_server_can_be_configured_to_score_without_masks(start, models, masks):
    with start({"pixels": models["pixels"]}, score_masks=False) as plain:
        accept = {"Accept": f"application/json{masks}"}
        (result,) = post(plain, "/score?prob=0.5", file_of(picture()), accept)[1]

    assert set(result) == {"class", "label", "confidence", "bounding_box"}


def test_compact_masks(server):
    accept = {"Accept": "application/json; masks=rle"}
    result = post(server, "/score?prob=0.5", file_of(picture()), accept)[1]

    mask = decode_rle(result[0]["mask"])
    assert mask.shape == (20, 40) and mask[5:14, 10:19].all() and not mask[:, 21:].any()
    accept = {"Accept": "application/json; masks=none"}
    assert "mask" not in post(server, "/score?prob=0.5", file_of(picture()), accept)[1][0]


@pytest.mark.parametrize("model", ["pixels", "files", "examples"])
def test_photographs_are_answered_upright(server, model):
    """As people see them, and browsers, whatever the model takes."""
    image = Image.fromarray(np.rot90(picture(box=(0, 0, 10, 20))).copy())
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    encoded = file_of(image, "PNG", exif=exif)

    result = post(server, f"/score?prob=0.5&model={model}", encoded)[1]

    assert result[0]["bounding_box"] == [0, 0, 0.5, 0.5]


@pytest.mark.parametrize("model", ["pixels", "files"])
@pytest.mark.parametrize(
    ("mode", "mask_format"),
    [("L", "PNG"), ("RGBA", "PNG"), ("P", "GIF"), ("CMYK", "JPEG"), ("RGB", "WEBP"), ("1", "TIFF")],
)
def test_kinds_of_images(server, model, mode, mask_format):
    image = Image.fromarray(picture()).convert(mode)

    status, result = post(server, f"/score?prob=0.5&model={model}", file_of(image, mask_format))

    assert status == 200
    np.testing.assert_allclose(result[0]["bounding_box"], [0.25, 0.25, 0.75, 0.75], atol=0.06)


def test_sixteen_bits(server):
    grey = picture()[..., 0].astype(np.uint16) * 257
    encoded = file_of(Image.fromarray(grey))

    for model in ("pixels", "files"):
        result = post(server, f"/score?prob=0.5&model={model}", encoded)[1]
        assert result[0]["bounding_box"] == [0.25, 0.25, 0.75, 0.75]


def test_unknown_model(server):
    assert error(server, "/score?prob=0.5&model=../etc", file_of(picture()))[0] == 404
