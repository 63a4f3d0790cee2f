"""Open Images' tables of boxes, masks and image-level labels."""

import base64
import pickle
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from reference import REFERENCE, needs_reference

from object_detection.datasets import label_ids
from object_detection.datasets.annotations import ImageLabel
from object_detection.datasets.examples import Settings, features_of
from object_detection.datasets.formats import open_images
from object_detection.datasets.formats.open_images import Source
from object_detection.datasets.masks import rasterize
from object_detection.errors import AnnotationError

BOXES = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
    "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
)
MASKS = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks\n"
LABELS = "ImageID,Source,LabelName,Confidence\n"
FEATURES = ("occluded", "truncated", "group_of", "depiction", "inside")


@pytest.fixture
def folder(tmp_path):
    """A set of two images of 20 x 40, 'a1' and, in a folder below, 'b2'; two boxes of a1."""
    (tmp_path / "images" / "more").mkdir(parents=True)
    (tmp_path / "masks").mkdir()
    for name in ("a1.jpg", "more/b2.JPG"):
        Image.new("RGB", (40, 20)).save(tmp_path / "images" / name)
    rows = "a1,xclick,/m/b,1,0.1,0.5,0.25,1,1,0,0,1,0\na1,xclick,/m/a,1,0.5,0.75,0,0.5,0,1,1,0,0\n"
    (tmp_path / "boxes.csv").write_text(BOXES + rows)
    return tmp_path


def _write(folder, name, text):
    (folder / name).write_text(text)
    return str(folder / name)


def _source(folder, **files):
    """The source with tables of these contents; boxes.csv where none are given."""
    paths = {kind: _write(folder, f"{kind}.csv", text) for kind, text in files.items()}
    paths.setdefault("boxes", str(folder / "boxes.csv"))
    return Source(str(folder / "images"), mask_dir=str(folder / "masks"), **paths)


def _read(folder, *, class_names=None, masks_only=False, **files):
    return open_images.read(
        _source(folder, **files), class_names=class_names, masks_only=masks_only
    )


def _reported(found):
    return {(finding.reason, finding.key) for finding in found.findings}


def test_boxes_and_flags(folder):
    found = _read(folder)

    assert found.findings == ()
    assert [category.name for category in found.categories] == ["/m/a", "/m/b"]
    first, second = found.images
    assert (first.source_id, first.filename, first.normalized) == ("a1", "a1.jpg", True)
    assert (second.source_id, second.filename, second.objects) == ("b2", "b2.JPG", ())
    assert second.path == folder / "images" / "more" / "b2.JPG"
    b, a = first.objects
    assert (b.class_name, a.class_name) == ("/m/b", "/m/a")
    np.testing.assert_allclose(b.box, (0.25, 0.1, 1.0, 0.5), rtol=1e-7)
    assert dict(b.attributes) == dict(zip(FEATURES, (1, 0, 0, 1, 0), strict=True))
    assert (a.truncated, a.group_of, b.truncated, b.group_of) == (True, True, False, False)
    assert b.key == "a1 (boxes.csv line 2)"


def test_a_table_of_boxes_without_flags_and_in_another_order_of_columns(folder):
    found = _read(folder, boxes="XMin,YMin,XMax,YMax,LabelName,ImageID\n0.5,0,0.75,0.5,/m/a,a1\n")

    (each,) = found.images[0].objects
    assert (each.box, each.attributes) == ((0.0, 0.5, 0.5, 0.75), ())


def test_what_is_unknown_stays_unknown_but_for_groups(folder):
    found = _read(folder, boxes=BOXES + "a1,x,/m/a,1,0,1,0,1,-1,-1,-1,-1,\n")

    (each,) = found.images[0].objects
    assert [value for _, value in each.attributes] == [-1, -1, 0, -1, -1]
    assert not each.group_of
    ((reason, key),) = _reported(found)
    assert "IsGroupOf is unknown" in reason
    assert key == "boxes.csv: 1 rows"


def test_the_sequence_of_images_is_one(folder):
    images = _read(folder).images

    assert len(images) == 2
    assert images[-1] == images[1] == list(images)[1] == images[:2][1]
    assert images[-2] == images[0]
    assert len(images[0].objects) == 2
    with pytest.raises(IndexError):
        images[2]
    assert pickle.loads(pickle.dumps(images[0])) == images[0]  # noqa: S301  it goes to workers


def test_rows_of_images_that_are_not_there_are_counted_and_the_first_named(folder):
    rows = "".join(f"{image:016x},x,/m/a,1,0,1,0,1,0,0,0,0,0\n" for image in range(1000, 1030))

    found = _read(folder, boxes=BOXES + rows + "b2,x,/m/a,1,0,1,0,1,0,0,0,0,0\n")

    assert [len(image.objects) for image in found.images] == [0, 1]
    ((reason, key),) = _reported(found)
    assert reason == "no image file of this name"
    assert key.startswith("boxes.csv: 30 rows (00000000000003e8, ")
    assert key.endswith(", ...)")


def test_classes_of_a_label_map_alone(folder):
    found = _read(folder, class_names=["/m/z", "/m/b"])

    assert [category.name for category in found.categories] == ["/m/z", "/m/b"]
    assert [each.class_name for each in found.images[0].objects] == ["/m/b"]
    assert _reported(found) == {("the label map has no such class", "boxes.csv: 1 row (/m/a)")}


def test_a_label_map_of_words_is_refused(folder):
    with pytest.raises(AnnotationError, match=r"\(Bird, ...\); the tables have /m/b, /m/a\. "):
        _read(folder, class_names=["Bird"])


def test_broken_rows_are_counted(folder):
    rows = ["a1,x,/m/a,1,0,one,0,1,0,0,0,0,0", "a1,x,/m/a,1,0", "a1,x,/m/a,1,,1,0,1,0,0,0,0,0", ""]

    found = _read(folder, boxes=BOXES + "\n".join(rows))

    assert found.images[0].objects == ()
    key = "boxes.csv: 3 rows (line 2, line 3, line 4)"
    assert _reported(found) == {("the row is cut off, or a number is none", key)}


def test_descriptions_give_display_names_and_the_ids_of_their_order(folder):
    for header in ("", "LabelName,DisplayName\n"):
        text = header + '/m/b,Bird\n/m/a,"Table, small"\n/m/z,Zebra\n'

        found = _read(folder, descriptions=text)

        ids = label_ids.from_annotations([found])
        assert ids.ids == {"/m/b": 1, "/m/a": 2, "/m/z": 3}
        assert ids.item_fields["/m/a"] == (("display_name", "Table, small"),)


@needs_reference
def test_the_ids_by_descriptions_are_those_of_tfods_label_map(folder):
    labels = label_ids.read(REFERENCE / "data" / "label_maps" / "oid_v4_label_map.pbtxt")
    by_id = sorted(labels.item_fields, key=labels.ids.get)
    words = {name: dict(labels.item_fields[name]).get("display_name", "") for name in by_id}
    rows = "".join(f'{name},"{words[name]}"\n' for name in by_id)

    found = _read(folder, boxes=BOXES, descriptions=rows)

    assert {each.name: each.id for each in found.categories} == {n: labels.ids[n] for n in by_id}


def test_image_level_labels(folder):
    rows = "b2,verification,/m/a,1\nb2,machine,/m/b,0.25\nb2,verification,/m/zz,1\nxx,v,/m/a,1\n"

    found = _read(folder, image_labels=LABELS + rows)

    assert found.images[0].labels == ()
    assert found.images[1].labels == (ImageLabel("/m/a", 1.0), ImageLabel("/m/b", 0.25))
    assert _reported(found) == {
        ("no image file of this name", "image_labels.csv: 1 row (xx)"),
        (
            "image-level labels of classes that the label map does not have",
            "image_labels.csv: 1 row (/m/zz)",
        ),
    }


def _mask_rows(*rows):
    """Rows of masks: image, label, x and y of the box, name of the PNG."""
    return MASKS + "".join(
        f"{name},{image},{label},00,{x0},{x1},{y0},{y1},0.9,0.5 0.5 1\n"
        for image, label, x0, x1, y0, y1, name in rows
    )


def _png(folder, name, pixels):
    path = folder / "masks" / name
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.asarray(pixels, bool)).save(path)


def _written_masks(image, class_names=("/m/a", "/m/b")):
    settings = Settings({name: k for k, name in enumerate(class_names, 1)}, include_masks=True)
    outcome = features_of(image, settings)
    decoded = [
        tuple(map(tuple, _decoded(png))) for png in outcome.features.get("image/object/mask", [])
    ]
    return outcome, decoded


def _decoded(png):
    import io

    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image).tolist()


def test_masks_join_their_boxes_and_take_the_size_of_the_image(folder):
    small = np.zeros((10, 20), bool)  # half the image's size
    small[3:9, 2:10] = True
    _png(folder, "below/one.png", small)
    rows = _mask_rows(("a1", "/m/b", 0.100001, 0.5, 0.25, 0.999999, "one.png"))

    found = _read(folder, masks=rows)

    masked, bare = found.images[0].objects
    assert (masked.class_name, masked.key) == ("/m/b", "a1 (boxes.csv line 2)")
    assert bare.mask is None
    outcome, (mask,) = _written_masks(found.images[0])
    np.testing.assert_array_equal(mask, np.kron(small, np.ones((2, 2))))
    assert outcome.features["image/object/occluded"].tolist() == [1]
    assert outcome.features["image/object/area"].tolist() == [small.sum() * 4]
    assert [finding.reason for finding in outcome.findings if "no mask" in finding.reason]


def test_boxes_without_a_mask_are_reported_once_an_image_where_masks_alone_are_wanted(folder):
    _png(folder, "one.png", np.ones((20, 40)))
    rows = _mask_rows(("a1", "/m/b", 0.1, 0.5, 0.25, 1, "one.png"))

    image = _read(folder, masks=rows, masks_only=True).images[0]

    assert [each.class_name for each in image.objects] == ["/m/b"]
    same, findings = pickle.loads(pickle.dumps(image.complete))(image)  # noqa: S301
    assert same is image
    assert [(f.reason, f.key) for f in findings] == [("boxes without a mask", "a1: 1 of 2 boxes")]


def test_an_image_of_which_no_box_has_a_mask_is_left_out(folder):
    _png(folder, "one.png", np.ones((20, 40)))
    rows = _mask_rows(("a1", "/m/b", 0.1, 0.5, 0.25, 1, "one.png"))
    boxes = BOXES + "b2,x,/m/a,1,0.1,0.5,0.1,0.5,0,0,0,0,0\n"

    image = _read(folder, boxes=boxes, masks=rows, masks_only=True).images[1]

    outcome = features_of(image, Settings({"/m/a": 1, "/m/b": 2}, include_masks=True))
    assert outcome.features is None
    assert [(f.group, f.key) for f in outcome.findings] == [("skipped images", "b2")]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_boxes_of_one_class_each_takes_the_mask_that_was_drawn_in_it(folder, order):
    boxes = "a1,x,/m/a,1,0.1,0.5,0.1,0.5,0,0,0,0,0\na1,x,/m/a,1,0.1004,0.5,0.1,0.5,0,0,0,0,0\n"
    for name, row in (("one.png", 0), ("two.png", 1)):
        pixels = np.zeros((20, 40))
        pixels[row] = 1
        _png(folder, name, pixels)
    rows = (
        ("a1", "/m/a", 0.1, 0.5, 0.1, 0.5, "one.png"),
        ("a1", "/m/a", 0.1004, 0.5, 0.1, 0.5, "two.png"),
    )
    masks = _mask_rows(*(rows[place] for place in order))

    objects = _read(folder, boxes=BOXES + boxes, masks=masks).images[0].objects

    assert [each.mask.mask.path.name for each in objects] == ["one.png", "two.png"]


def test_a_mask_without_its_box_is_an_object_of_its_own(folder):
    masks = _mask_rows(("b2", "/m/a", 0.1, 0.5, 0.1, 0.5, "gone.png"))

    image = _read(folder, masks=masks).images[1]

    (each,) = image.objects
    np.testing.assert_allclose(each.box, (0.1, 0.1, 0.5, 0.5), rtol=1e-6)
    assert [f.key for f in image.complete(image)[1]] == ["b2 (masks.csv line 2)"]
    outcome = features_of(image, Settings({"/m/a": 1}, include_masks=True))
    assert outcome.features is None  # else the image would teach that nothing is there
    assert any("there is no mask file" in finding.reason for finding in outcome.findings)


def test_a_table_of_masks_alone(folder):
    _png(folder, "one.png", np.ones((5, 5)))
    rows = _mask_rows(("b2", "/m/a", 0.1, 0.5, 0.1, 0.5, "one.png"))

    found = _read(folder, boxes=BOXES, masks=rows)
    alone = open_images.read(_source(folder, masks=rows)._replace(boxes=""))

    assert alone.images[1].complete is None  # nothing to tell: there is no table of boxes
    assert alone.images[1].objects == found.images[1].objects


def test_masks_inside_the_table_as_in_the_challenges(folder):
    pixels = np.zeros((10, 20), np.uint8, order="F")
    pixels[2:7, 3:11] = 1
    text = base64.b64encode(zlib.compress(coco_mask.encode(pixels)["counts"])).decode()
    masks = (
        "ImageID,LabelName,ImageWidth,ImageHeight,XMin,XMax,YMin,YMax,IsGroupOf,Mask\n"
        f"b2,/m/a,20,10,0.15,0.55,0.2,0.7,0,{text}\n"
        "b2,/m/a,20,10,0.15,0.55,0.2,0.7,1,\n"
        f"b2,/m/b,20,10,,,,,0,{text[:-8]}\n"
        f"b2,/m/b,20,10,,,,,0,{text}\n"
    )

    found = open_images.read(_source(folder, masks=masks)._replace(boxes=""))

    whole, group, broken, boxless = found.images[1].objects
    filled = whole.mask._replace(height=20, width=40)
    np.testing.assert_array_equal(rasterize(filled, 20, 40), np.kron(pixels, np.ones((2, 2))))
    assert (group.group_of, group.mask, group.mask_fault) == (True, None, None)
    assert "cannot be unpacked" in broken.mask_fault
    outcome, masks = _written_masks(found.images[1])
    assert len(masks) == 2
    assert boxless.box is None
    assert outcome.features["image/object/bbox/xmin"].tolist() == pytest.approx([0.15, 0.15])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"boxes": "", "masks": ""}, "a table of boxes or one of masks"),
        ({"boxes": "none.csv"}, "none.csv cannot be read"),
        ({"image_dir": "none"}, "there is no folder none"),
        ({"image_dir": "masks"}, "holds no images"),
        ({"mask_dir": "none", "masks": "masks.csv"}, "there is no folder of masks 'none'"),
        ({"boxes": "masks.csv"}, "no column YMin"),
        ({"masks": "boxes.csv"}, "no column MaskPath"),
        ({"descriptions": "boxes.csv"}, "class descriptions are rows such as /m/01g317,Person"),
        ({"boxes": "picture.jpg"}, "is not a table in UTF-8"),
    ],
)
def test_what_cannot_be_used(folder, monkeypatch, change, why):
    monkeypatch.chdir(folder)
    _write(folder, "masks.csv", MASKS.replace("Box", "Mask"))
    if change.get("masks") == "masks.csv":
        _write(folder, "masks.csv", MASKS)
    (folder / "picture.jpg").write_bytes((folder / "images" / "a1.jpg").read_bytes())
    source = Source("images", boxes="boxes.csv", mask_dir="masks")._replace(**change)

    with pytest.raises(AnnotationError, match=why):
        open_images.read(source)


def test_an_id_that_two_files_have_is_taken_once(folder):
    Image.new("RGB", (4, 4)).save(folder / "images" / "more" / "a1.png")
    (folder / "images" / ".hidden.jpg").touch()

    found = _read(folder)

    assert [image.filename for image in found.images] == ["a1.jpg", "b2.JPG"]
    assert [finding.key for finding in found.findings] == ["more/a1.png"]


def test_masks_below_the_images_are_no_images(folder):
    (folder / "images" / "masks").mkdir()
    Image.new("1", (4, 4)).save(folder / "images" / "masks" / "m.png")
    source = _source(folder)._replace(mask_dir=str(folder / "images" / "masks"))

    assert len(open_images.read(source).images) == 2


def test_a_row_costs_tens_of_bytes(folder):
    row = "a1,xclick,/m/a,1,0.012345,0.99875,0.1,0.9,0,1,0,0,0\n"
    path = _write(folder, "many.csv", BOXES + row * 20_000)
    source = Source(str(folder / "images"), boxes=path)

    tracemalloc.start()
    images = open_images.read(source).images
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 50 * 20_000
    assert peak < 90 * 20_000
    lines = [int(each.key.rstrip(")").rpartition(" ")[2]) for each in images[0].objects]
    assert lines == list(range(2, 20_002))


@needs_reference
def test_a_set_of_version_6():
    folder = REFERENCE / "data" / "formats" / "open_images_dataset" / "v6"
    tables = folder / "annotations"
    source = Source(
        str(folder / "images"),
        boxes=str(tables / "oidv6-train-annotations-bbox.csv"),
        masks=str(tables / "train-annotations-object-segmentation.csv"),
        mask_dir=str(folder / "masks"),
        image_labels=str(tables / "oidv6-train-annotations-human-imagelabels.csv"),
        descriptions=str(tables / "oidv6-class-descriptions.csv"),
    )

    found = open_images.read(source)

    by_id = {image.source_id: image for image in found.images}
    assert sorted(by_id) == ["a", "b", "c", "d"]
    (each,) = by_id["b"].objects
    png = Path(each.mask.mask.path)
    with Image.open(png) as mask:
        expected = np.asarray(mask)
    _, (pixels,) = _written_masks(by_id["b"], ["/m/0"])
    np.testing.assert_array_equal(pixels, expected)
    assert by_id["b"].labels == (ImageLabel("/m/0", 0.0),)
