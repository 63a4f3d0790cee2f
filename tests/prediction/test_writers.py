"""Files of predictions, read back by this package's own readers of their formats."""

import base64
import io
import json
import zlib

import numpy as np
import pytest
from bright_segmenter import BrightSegmenter
from PIL import Image
from pycocotools import mask as rle_codec

from object_detection.datasets.formats import csv_table, labelme, supervisely
from object_detection.datasets.masks import rasterize
from object_detection.metrics import coco_results
from object_detection.prediction import results, writers
from object_detection.prediction.predictor import Predictor

LABELS = {1: "cell", 2: "ring"}


@pytest.fixture
def seen(tmp_path):
    """(file, image, prediction): a cell, and a ring around nothing."""
    image = np.zeros([60, 80, 3], np.uint8)
    y, x = np.mgrid[:60, :80]
    image[(y - 20) ** 2 + (x - 20) ** 2 < 150, 0] = 240
    ring = (y - 35) ** 2 + (x - 55) ** 2
    image[(ring < 300) & (ring > 80), 1] = 220
    (tmp_path / "photos").mkdir()
    file = tmp_path / "photos" / "7.png"
    Image.fromarray(image).save(file)
    predictor = Predictor(BrightSegmenter(), 0.5, label_map=LABELS, warm_up=False)
    return file, image, predictor.predict(image)


def write(writer, seen, name="7"):
    writer.add(name, *seen)
    writer.close()


def mask_of(found):
    return rasterize(found.mask, 60, 80).astype(bool)


def test_labelme(seen, tmp_path):
    write(writers.Labelme(tmp_path, tolerance=0.0), seen)

    (image,) = labelme.read(tmp_path / "labelme", seen[0].parent).images
    assert image.path.resolve() == seen[0].resolve() and image.stated_size == (60, 80)
    assert [found.class_name for found in image.objects] == ["cell", "ring"]
    for found, mask in zip(image.objects, seen[2].full_masks(), strict=True):
        np.testing.assert_array_equal(mask_of(found), mask)
    kinds = [shape["shape_type"] for shape in _json(tmp_path / "labelme/7.json")["shapes"]]
    assert kinds == ["polygon", "mask"]  # what has a hole is no polygon


def test_csv(seen, tmp_path):
    writer = writers.Csv(tmp_path, tolerance=0.0)
    writer.add("8", tmp_path / "photos/8.png", seen[1], seen[2].select([]))
    write(writer, seen)

    table = csv_table.read(tmp_path / "detections.csv", coordinates=csv_table.PIXELS)
    empty, image = table.images
    assert not empty.objects
    assert [found.class_name for found in image.objects] == ["cell", "ring"]
    np.testing.assert_allclose([found.box for found in image.objects], seen[2].boxes, atol=0.01)
    np.testing.assert_array_equal(mask_of(image.objects[0]), seen[2].full_mask(0))
    assert mask_of(image.objects[1])[35, 55]  # holes are filled: COCO's polygons have none


def test_supervisely(seen, tmp_path):
    write(writers.Supervisely(tmp_path, LABELS.values()), seen)

    project = tmp_path / "supervisely"
    (image,) = supervisely.read(project)[""].images
    assert image.path == project / "predictions/img/7.png" and image.path.is_file()
    for found, mask in zip(image.objects, seen[2].full_masks(), strict=True):
        np.testing.assert_array_equal(mask_of(found), mask)
    first = _json(project / "predictions/ann/7.png.json")["objects"][0]
    assert first["tags"] == [{"name": "confidence", "value": 0.9412}]
    meta = _json(project / "meta.json")
    assert [(c["title"], c["shape"]) for c in meta["classes"]] == [
        ("cell", "bitmap"),
        ("ring", "bitmap"),
    ]


def test_supervisely_takes_rectangles_without_masks_and_upright_images(tmp_path):
    image = np.zeros([30, 40, 3], np.uint8)
    image[5:10, 8:20, 0] = 240
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    file = tmp_path / "a.jpg"
    Image.fromarray(image[::-1, ::-1]).save(file, exif=exif, quality=95)
    prediction = Predictor(BrightSegmenter(masks=False), 0.5, warm_up=False).predict(image)
    write(writers.Supervisely(tmp_path, ["class 1"]), (file, image, prediction), "a")

    folder = tmp_path / "supervisely/predictions"
    content = _json(folder / "ann/a.png.json")
    # Its rectangles end with their last pixel.
    assert content["objects"][0]["points"]["exterior"] == [[8, 5], [19, 9]]
    np.testing.assert_array_equal(np.array(Image.open(folder / "img/a.png")), image)
    assert _json(tmp_path / "supervisely/meta.json")["classes"][0]["shape"] == "rectangle"


def test_coco_results(seen, tmp_path):
    write(writers.Coco(tmp_path), seen)

    found = coco_results.read(tmp_path / "coco_results.json")["7"]
    np.testing.assert_allclose(found.boxes, seen[2].boxes, atol=1e-3)
    np.testing.assert_array_equal(found.masks.full(1), seen[2].full_mask(1))
    assert isinstance(_json(tmp_path / "coco_results.json")[0]["image_id"], int)


def test_coco_results_with_ids_of_a_ground_truth(seen, tmp_path):
    truth = {
        "images": [{"id": 99, "file_name": "photos/7.png"}],
        "categories": [{"id": 5, "name": "ring"}, {"id": 6, "name": "cell"}],
    }
    write(writers.Coco(tmp_path, truth), seen)
    entries = _json(tmp_path / "coco_results.json")
    assert [(e["image_id"], e["category_id"]) for e in entries] == [(99, 6), (99, 5)]

    with pytest.raises(ValueError, match="no image '8.png'"):
        writers.Coco(tmp_path, truth).add("8", tmp_path / "8.png", *seen[1:])
    del truth["categories"][0]
    with pytest.raises(ValueError, match="no category 'ring'; it has 'cell'"):
        writers.Coco(tmp_path, truth).add("7", *seen)
    writer = writers.Coco(tmp_path)
    writer.add("7", *seen)
    with pytest.raises(ValueError, match="would both be image '7'"):
        writer.add("7", tmp_path / "other" / "7.png", *seen[1:])


def test_coco_results_of_nothing_are_an_empty_list(tmp_path):
    writers.Coco(tmp_path).close()
    assert _json(tmp_path / "coco_results.json") == []


def test_json_in_every_form(seen, tmp_path):
    write(writers.Json(tmp_path), seen)
    entry = _json(tmp_path / "7.json")
    np.testing.assert_array_equal(rle_codec.decode(entry["masks"][1]) > 0, seen[2].full_mask(1))
    write(writers.Json(tmp_path, "polygon"), seen)
    entry = _json(tmp_path / "7.json")
    assert "masks" not in entry and len(entry["polygons"][0][0]) > 8
    assert "masks" not in results.to_json(seen[2], None, "none")
    with pytest.raises(ValueError, match="allowed: rle, polygon, none"):
        results.to_json(seen[2], None, "png")


def test_pictures_and_heat_maps(seen, tmp_path):
    write(writers.Pictures(tmp_path, {1: {"id": 1, "name": "cell"}}), seen)
    write(writers.HeatMaps(tmp_path), seen)
    drawn = np.array(Image.open(tmp_path / "7.png"))
    assert drawn.shape == (60 * 8, 80 * 8, 3)  # enlarged: 512 // 60 = 8
    assert drawn[20 * 8, 20 * 8].tolist() != [240, 0, 0]
    heat = np.array(Image.open(tmp_path / "7.heat.png"))
    assert heat.shape == (60, 80, 3)
    assert heat[13, 10, 0] > 120 > heat[13, 10, 2]  # the cell, at half the size: red
    assert heat[24, 5, 2] > heat[24, 5, 0]  # blue where nothing is
    assert not heat[45:, 45:].any()  # two objects, four places


def test_masks_as_png_are_transparent_where_no_object_is(seen):
    found = writers.supervisely_object(seen[2], 0)
    png = zlib.decompress(base64.b64decode(found["bitmap"]["data"]))
    alpha = np.array(Image.open(io.BytesIO(png)).convert("RGBA"))[..., 3]
    crop = seen[2].crop(0).tight()
    np.testing.assert_array_equal(alpha > 0, crop.pixels)
    assert found["bitmap"]["origin"] == [crop.left, crop.top]


def _json(path):
    return json.loads(path.read_text())
