"""Tables with one row an object."""

import csv
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from rasterization import even_odd, iou, star
from reference import REFERENCE, needs_reference

from object_detection.datasets import files
from object_detection.datasets.annotations import Polygons
from object_detection.datasets.examples import Settings, features_of
from object_detection.datasets.formats import csv_table
from object_detection.datasets.masks import rasterize
from object_detection.errors import AnnotationError

HEADER = "filename,xmin,ymin,xmax,ymax,class\n"


def _table(folder, text, name="table.csv", encoding="utf-8"):
    path = Path(folder, name)
    path.write_bytes(text.encode(encoding))
    return path


def _read(folder, text, **options):
    return csv_table.read(_table(folder, text), **options)


def _reasons(found):
    return {finding.reason for finding in found.findings}


def _objects(found):
    return [(each.class_name, each.box) for image in found.images for each in image.objects]


DIALECTS = {
    "azoda": HEADER + "a.jpg,1,2,30.5,40,cat\n",
    "tutorial": "filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,64,48,cat,1,2,30.5,40\n",
    "vott": '"image","xmin","ymin","xmax","ymax","label"\n"a.jpg",1,2,30.5,40,"cat"\n',
    "semicolons and decimal commas": "Filename;X1;Y1;X2;Y2;Label\na.jpg;1;2;30,5;40;cat\n",
    "tabs": (HEADER + "a.jpg,1,2,30.5,40,cat\n").replace(",", "\t"),
    "a mark of the byte order": "\ufeff" + HEADER + "a.jpg,1,2,30.5,40,cat\n",
    "Excel": "sep=,\r\n" + HEADER + "a.jpg,1,2,30.5,40,cat\r\n,,,,,\r\n",
    "spaces, cases, other columns": (
        "Image Path, Labeler, Class Name, X_Min, Y_Min, X_Max, Y_Max, keep\n"
        "imgs\\a.jpg, me, cat, 1, 2, 30.5, 40., 1\n\n"
    ),
    "words for boxes": "img,label,left,top,right,bottom\na.jpg,cat,1,2,30.5,40",
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects(tmp_path, dialect):
    (tmp_path / "a.jpg").touch()

    found = _read(tmp_path, DIALECTS[dialect])

    assert _objects(found) == [("cat", (2.0, 1.0, 40.0, 30.5))]
    assert found.findings == ()
    (image,) = found.images
    assert (image.path, image.filename) == (tmp_path / "a.jpg", "a.jpg")
    assert image.stated_size == ((48, 64) if dialect == "tutorial" else None)
    assert [category.name for category in found.categories] == ["cat"]


def test_a_name_with_a_zero_byte_is_a_name_of_no_file(tmp_path):
    (image,) = _read(tmp_path, HEADER + "a\0.jpg,1,2,3,4,cat\n").images

    assert not image.path.exists()


def test_a_space_before_a_quoted_cell(tmp_path):
    found = _read(tmp_path, HEADER + 'a.jpg, 1, 2, 30, 40, "big, black cat"\n')

    assert _objects(found) == [("big, black cat", (2.0, 1.0, 40.0, 30.0))]


def test_utf16_of_a_spreadsheet(tmp_path):
    path = _table(tmp_path, HEADER + "ä.jpg,1,2,3,4,猫\n", encoding="utf-16")

    assert _objects(csv_table.read(path)) == [("猫", (2.0, 1.0, 4.0, 3.0))]


def test_images_stand_in_the_order_of_their_first_rows_with_all_their_objects(tmp_path):
    rows = "b.jpg,1,2,3,4,dog\na.jpg,1,2,3,4,cat\nb.jpg,5,6,7,8,ant\n"

    found = _read(tmp_path, HEADER + rows)

    assert [(image.filename, len(image.objects)) for image in found.images] == [
        ("b.jpg", 2),
        ("a.jpg", 1),
    ]
    assert [category.name for category in found.categories] == ["ant", "cat", "dog"]


@pytest.mark.parametrize("row", ["a.jpg,,,,,", "a.jpg,,,,,NaN", "a.jpg,0,0,0,0,", "a.jpg"])
def test_a_row_without_a_class_is_an_image_without_objects(tmp_path, row):
    found = _read(tmp_path, HEADER + row + "\n")

    assert [image.objects for image in found.images] == [()]
    assert found.findings == ()


def test_two_names_of_one_file_are_one_image(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "A.JPG").touch()
    rows = "C:\\data\\images\\A.JPG,1,2,3,4,cat\nimages/A.JPG,1,2,3,4,dog\na,1,2,3,4,cow\n"

    found = _read(tmp_path, HEADER + rows)

    (image,) = found.images
    assert image.filename == "images/A.JPG"
    assert [each.class_name for each in image.objects] == ["cat", "dog", "cow"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.jpg,1,2,three,4,cat", "xmax is 'three', not a number"),
        ("a.jpg,1,2,3,4,", "the row has a box but no class"),
        ("a.jpg,1,2,,4,cat", "neither a whole box nor a segmentation"),
        (",1,2,3,4,cat", "the row names no image"),
        ("a.jpg,1\0,2,3,4,cat", "not a number"),
        ("a.jpg,1,2,3,4,cat,[[1,2,3]]", "8 cells and the header 6"),
    ],
)
def test_a_broken_row_is_left_out_with_a_reason(tmp_path, row, reason):
    row = row.replace("[[1,2,3]]", "1,2")

    found = _read(tmp_path, f"{HEADER}b.jpg,9,9,99,99,cat\n{row}\n")

    assert _objects(found) == [("cat", (9.0, 9.0, 99.0, 99.0))]
    (finding,) = found.findings
    assert finding.key == "table.csv line 3"
    assert reason in finding.reason


def test_the_line_of_a_finding_counts_those_inside_quotes(tmp_path):
    text = HEADER + '"a.jpg",1,2,30,40,"of two\nlines"\nb.jpg,x,2,3,4,cat\n'

    assert [finding.key for finding in _read(tmp_path, text).findings] == ["table.csv line 4"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("\n , ,\n", "is empty"),
        ("a.jpg,1,2,3,4,cat\n", "has no header"),
        ("train,gs://b/a.jpg,cat,0.1,0.2,,,0.3,0.4,,\n", "has no header"),
        ("one,two,three\n1,2,3\n", "has no header"),
        ("filename,xmin,ymin,xmax,ymax\n", "no column for class (or class, label"),
        ("filename,class,xmin,ymin,width,height\n", "no column for ymax (or ymax, y2"),
        ("ImageID,Source,LabelName,XMin,XMax,YMin,YMax\n", "use create_oid_tf_record"),
        ("filename,file_size,region_shape_attributes\n", "use create_via_tf_record"),
    ],
)
def test_a_table_of_which_nothing_can_be_made_is_refused(tmp_path, text, why):
    with pytest.raises(AnnotationError) as error:
        _read(tmp_path, text)
    assert why in str(error.value)
    assert "table.csv" in str(error.value)


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AnnotationError, match="none.csv cannot be read"):
        csv_table.read(tmp_path / "none.csv")


def test_a_folder_of_images_that_is_not_there(tmp_path):
    with pytest.raises(AnnotationError, match="there is no folder nowhere"):
        _read(tmp_path, HEADER, image_dir="nowhere")


def test_segmentations_of_any_length(tmp_path):
    line = [round(float(value), 3) for value in np.ravel(star(200, 150, 60, 120, spikes=9000))]
    header = "filename,xmin,ymin,xmax,ymax,segmentation,class\n"

    found = _read(tmp_path, f'{header}a.jpg,80,30,320,270,"[{line}]",cat\n')

    assert len(str(line)) > 2**17  # what the csv module takes by default
    (image,) = found.images
    assert image.objects[0].mask == Polygons((tuple(line),))
    assert not image.normalized


def test_polygons_cover_what_an_independent_rasterization_covers(tmp_path):
    outer, other = star(60, 50, 25, 45), [(120, 20), (170, 25), (150, 90)]
    cell = str([np.ravel(line).tolist() for line in (outer, other)])
    header = "filename,xmin,ymin,xmax,ymax,segmentation,class\n"

    (image,) = _read(tmp_path, f'{header}a.jpg,,,,,"{cell}",cat\n').images

    expected = even_odd([outer], 110, 180) | even_odd([other], 110, 180)
    assert iou(image.objects[0], expected) > 0.99
    assert image.objects[0].box is None  # nothing is stated: it is taken from the mask


def test_a_broken_segmentation_leaves_the_box_and_says_why(tmp_path):
    header = "filename,xmin,ymin,xmax,ymax,segmentation,class\n"
    rows = 'a.jpg,1,2,30,40,"[[1, 2",cat\na.jpg,,,,,"[[1, 2",cat\n'

    found = _read(tmp_path, header + rows)

    (each,) = found.images[0].objects
    assert "the segmentation is '[[1, 2'" in each.mask_fault
    assert [finding.key for finding in found.findings] == ["table.csv line 3"]


NORMALIZED = (
    "image,xmin,ymin,xmax,ymax,segmentation,class,confidence\n"
    'a.png,0.25,0.5,0.75,1.0,"[0.25, 0.5, 0.75, 0.5, 0.75, 1.0, 0.25, 1.0]",cat,0.9\n'
)


def test_shares_of_the_image_are_reported_and_brought_to_pixels(tmp_path):
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png")

    found = _read(tmp_path, NORMALIZED)

    assert _reasons(found) == {
        "no number of the table is above 1.5: all are shares of the image's sides"
    }
    features = features_of(found.images[0], Settings({"cat": 1}, include_masks=True)).features
    box = [features[f"image/object/bbox/{side}"][0] for side in ("ymin", "xmin", "ymax", "xmax")]
    assert box == [0.5, 0.25, 1.0, 0.75]
    assert features["image/object/area"].tolist() == [200.0]


def test_what_the_numbers_are_can_be_said(tmp_path):
    ones = HEADER + "a.jpg,0,0,1,1,cat\n"  # one pixel, or the whole image
    assert not _read(tmp_path, ones, coordinates="pixels").images[0].normalized
    assert _read(tmp_path, ones).images[0].normalized
    far = HEADER + "a.jpg,0.1,0.1,3,0.9,cat\n"
    assert _read(tmp_path, far, coordinates="normalized").images[0].normalized


@pytest.mark.parametrize(
    ("text", "coordinates", "words"),
    [
        (
            HEADER + "a.jpg,10,20,300,400,cat\nb.jpg,0.1,0.1,0.9,0.9,cat\nc.jpg,1,2,30,4,cat\n",
            "normalized",
            "2 of 3 objects .* above 10 .the largest is 400.*use --coordinates=pixels",
        ),
        (NORMALIZED, "pixels", "above 1.5, .*use --coordinates=normalized"),
    ],
)
def test_a_unit_that_would_lose_every_object_is_refused(tmp_path, text, coordinates, words):
    with pytest.raises(AnnotationError, match=words):
        _read(tmp_path, text, coordinates=coordinates)


def test_masks_of_a_table_without_a_column_of_them_are_refused(tmp_path):
    with pytest.raises(AnnotationError, match="no column of masks.*segmentation.*--include_masks"):
        _read(tmp_path, HEADER + "a.jpg,10,20,300,400,cat\n", with_masks=True)


def test_swapped_corners_are_exchanged_and_named(tmp_path):
    found = _read(tmp_path, HEADER + "a.jpg,300,20,10,400,cat\na.jpg,10,400,300,20,cat\n")

    assert [each.box for each in found.images[0].objects] == [(20, 10, 400, 300)] * 2
    exchanged = [f.key for f in found.findings if "exchanged" in f.reason]
    assert exchanged == ["table.csv line 2", "table.csv line 3"]


def test_one_row_of_shares_among_pixels_is_worth_a_look(tmp_path):
    found = _read(tmp_path, HEADER + "a.jpg,10,20,300,400,cat\na.jpg,0.1,0.2,0.3,0.4,cat\n")

    assert not found.images[0].normalized
    assert [finding.key for finding in found.findings] == ["table.csv line 3"]


def test_an_object_that_stands_there_twice_is_kept_and_named(tmp_path):
    row = "a.jpg,10,20,300,400,cat\n"

    found = _read(tmp_path, HEADER + row + "a.jpg,1,2,30,40,cat\n" + row)

    assert len(_objects(found)) == 3
    assert [finding.key for finding in found.findings] == ["table.csv line 2", "table.csv line 4"]


def test_flags_of_objects(tmp_path):
    text = "filename,xmin,ymin,xmax,ymax,class,iscrowd,difficult\na.jpg,1,2,30,40,cat,1,True\n"

    (each,) = _read(tmp_path, text).images[0].objects

    assert (each.crowd, each.difficult, each.truncated) == (True, True, False)


@needs_reference
def test_vott():
    folder = REFERENCE / "data" / "formats" / "vott_csv_dataset" / "dataset"

    found = csv_table.read(folder / "train-export.csv")

    assert [(image.filename, len(image.objects)) for image in found.images] == [
        ("img0003.jpg", 2),
        ("img0004.jpg", 1),
    ]
    assert all(image.path.is_file() for image in found.images)
    assert _objects(found)[0] == ("helmet", (10.3, 6.7, 15.0, 10.0))


@needs_reference
def test_a_table_made_of_xml_as_the_tutorials_make_it(tmp_path):
    folder = REFERENCE / "data" / "sets" / "raccoon"
    rows = []
    for path in sorted((folder / "annotations").glob("*.xml")):
        root = ElementTree.parse(path).getroot()
        size = [root.find("size").findtext(side) for side in ("width", "height")]
        for each in root.findall("object"):
            sides = [each.find("bndbox").findtext(s) for s in ("xmin", "ymin", "xmax", "ymax")]
            rows.append([root.findtext("filename"), *size, each.findtext("name"), *sides])
    path = tmp_path / "raccoon_labels.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow("filename width height class xmin ymin xmax ymax".split())
        writer.writerows(rows)

    found = csv_table.read(path, folder / "images")

    assert len(rows) == len(_objects(found)) > 200
    assert len(found.images) == 200
    assert all(image.path.is_file() for image in found.images)
    by_image = {image.filename: image for image in found.images}
    for name, width, height, class_name, *sides in rows:
        xmin, ymin, xmax, ymax = map(float, sides)
        boxes = [each.box for each in by_image[name].objects if each.class_name == class_name]
        assert (ymin, xmin, ymax, xmax) in boxes
        assert by_image[name].stated_size == (int(height), int(width))


@needs_reference
def test_a_set_of_polygons_comes_through_a_table_as_it_was(tmp_path):
    folder = REFERENCE / "data" / "sets" / "nuts" / "data"
    coco = COCO(folder / "trainval.json")
    path = tmp_path / "nuts.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as stream:
        writer = csv.writer(stream)
        writer.writerow("filename xmin ymin xmax ymax segmentation class".split())
        for each in coco.anns.values():
            x, y, width, height = each["bbox"]
            name = coco.imgs[each["image_id"]]["file_name"]
            class_name = coco.cats[each["category_id"]]["name"]
            box = (x, y, x + width, y + height)
            writer.writerow([name, *box, each["segmentation"], class_name])

    found = csv_table.read(path, folder / "images")

    assert (len(found.images), len(_objects(found)), found.findings) == (18, 165, ())
    compared = 0
    for image in found.images:
        (number,) = (k for k, entry in coco.imgs.items() if entry["file_name"] == image.filename)
        stated = coco.loadAnns(coco.getAnnIds(imgIds=[number]))
        for each, expected in zip(image.objects, stated, strict=True):
            assert each.class_name == coco.cats[expected["category_id"]]["name"]
            x, y, width, height = expected["bbox"]
            assert each.box == (y, x, y + height, x + width)
            mask = rasterize(each.mask, 600, 800)
            np.testing.assert_array_equal(mask, coco.annToMask(expected))
            if expected["id"] % 4 == 0 and mask.sum() > 1000:
                left, top = int(x) - 2, int(y) - 2  # around the object alone: it is slow
                lines = [np.reshape(p, (-1, 2)) - [left, top] for p in expected["segmentation"]]
                drawn = even_odd(lines, int(height) + 5, int(width) + 5)
                rows, columns = np.nonzero(drawn)
                union = (mask.sum() + drawn.sum()) - mask[rows + top, columns + left].sum()
                assert mask[rows + top, columns + left].sum() / union > 0.99
                compared += 1
    assert compared > 30


def test_a_table_in_another_encoding(tmp_path):
    """Excel's "CSV" of a German machine: the message says how to save it, or how to read it."""
    (tmp_path / "t.csv").write_bytes((HEADER + "a.jpg,1,2,30,40,K\xe4fer\n").encode("cp1252"))
    (tmp_path / "s.csv").write_bytes((HEADER + "a.jpg,1,2,30,40,\u732b\n").encode("shift_jis"))

    with pytest.raises(
        AnnotationError, match="line 2 reads 'a.jpg,1,2,30,40,K\xe4fer'. Save it .*cp1252"
    ):
        csv_table.read(tmp_path / "t.csv")
    with pytest.raises(AnnotationError, match="Save it as UTF-8"):
        csv_table.read(tmp_path / "s.csv")
    with pytest.raises(AnnotationError, match="--encoding=cp9: no such encoding"):
        files.declare_encoding("cp9")
    try:
        for name, encoding, label in (("t", "cp1252", "K\xe4fer"), ("s", "shift_jis", "\u732b")):
            files.declare_encoding(encoding)
            found = csv_table.read(tmp_path / f"{name}.csv")
            assert [category.name for category in found.categories] == [label]
    finally:
        files.declare_encoding("")
