"""Entries that no tool writes: each is named and skipped, and costs neither the others nor time."""

import numpy as np
import pytest
from drawn_sets import image, reasons, text
from PIL import Image
from voc_sets import box_around, color_png, disc, sheet, thing

from object_detection.datasets import conversion, mask_images
from object_detection.datasets.examples import Settings
from object_detection.datasets.formats import cityscapes, kitti, open_images, pets, voc, voc_xml
from object_detection.errors import AnnotationError

DIGITS = "9" * 5000
NUMBERS = ["nan", "inf", "-inf", "1e999", DIGITS, "one", "", "0x10"]
NAMES = ["a" * 5000, "../../../../etc/passwd", "/etc/passwd", "http://x/[y", "?d=%00", "12345"]
BOX = (5, 10, 20, 30)


def written(found, classes=("cat",)):
    """How many images of an `AnnotationSet` become records, and what is said of the others."""
    settings = Settings({name: place for place, name in enumerate(classes, 1)}, False, "png")
    made = [conversion.prepared(photo, settings) for photo in found.images]
    reported = [finding for each in made for finding in each.findings]
    assert not [each for each in reported if "cannot be converted" in each.reason]
    return sum(each.record is not None for each in made), reported


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_of_xmls(tmp_path, number):
    image(tmp_path / "a.jpg")
    sheet(tmp_path / "a.xml", thing("cat", (5, 10, 20, number)), thing("cat", BOX))

    found = voc.read(tmp_path)

    assert [each.key for each in found.images[0].objects] == ["a.xml: object 2"]
    assert [key for keys in reasons(found).values() for key in keys if "object" in key] == [
        "a.xml: object 1"
    ]
    assert written(found)[0] == 1


@pytest.mark.parametrize("name", NAMES)
def test_names_of_images_in_xmls(tmp_path, name):
    for stem in "ab":
        image(tmp_path / f"{stem}.jpg")
    sheet(tmp_path / "a.xml", thing("cat", BOX), filename=name)
    sheet(tmp_path / "b.xml", thing("cat", BOX))

    found = voc.read(tmp_path)

    # An xml whose image name leads nowhere is taken for the image of its own name.
    assert written(found)[0] == 2


BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "content",
    [
        f'<!DOCTYPE a [<!ENTITY e0 "{"y" * 10}">{BOMB}]><annotation><filename>&e9;</filename>'
        "</annotation>",
        '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><annotation>&e;</annotation>',
        "<annotation>" * 1000,
        "<annotation><filename>\0</filename></annotation>",
        '<?xml version="1.0" encoding="x-none"?><annotation/>',
        "<annotations/>",
        "",
    ],
)
def test_an_xml_that_cannot_be_read_costs_its_image(tmp_path, content):
    for stem in "ab":
        image(tmp_path / f"{stem}.jpg")
    text(tmp_path / "a.xml", content)
    sheet(tmp_path / "b.xml", thing("cat", BOX))

    found = voc.read(tmp_path)

    assert written(found)[0] == 1
    assert "a.xml" in [key for keys in reasons(found).values() for key in keys]


def test_a_long_polygon_is_read_in_proportion_to_its_length(tmp_path):
    points = "".join(f"<x{n}>{n % 70}</x{n}><y{n}>{n % 50}</y{n}>" for n in range(1, 20_001))
    sheet(tmp_path / "a.xml", thing("cat", BOX, polygon=points))

    (found,) = voc_xml.read(tmp_path / "a.xml").objects

    assert len(found.mask.parts[0]) == 40_000


LINE = "Car {} 0 {} 10 5 {} 20 1 1 1 1 1 1 1"


def test_lines_of_kitti(tmp_path):
    image(tmp_path / "training/image_2/000000.png")
    bad = [LINE.format(*([number] * 3)) for number in NUMBERS]
    bad += [LINE.format(0, "1e39", 30), "\0", "\udc80", "Car"]
    rows = "\n".join([*bad, LINE.format(0, 0, 30)])
    path = tmp_path / "training/label_2/000000.txt"
    path.parent.mkdir()
    path.write_bytes(rows.encode(errors="replace"))

    _, found = kitti.read(tmp_path)

    count, reported = written(found, ["car"])
    assert count == 1
    assert len(found.images[0].objects) + sum(map(len, reasons(found).values())) == len(bad) + 1
    skipped = [each for each in reported if each.group == "skipped objects"]
    assert len(found.images[0].objects) - len(skipped) == 1


def test_rows_of_open_images(tmp_path):
    image(tmp_path / "images/a.jpg")
    header = "ImageID,LabelName,XMin,XMax,YMin,YMax"
    rows = [f"a,/m/1,0.1,{number},0.1,0.5" for number in NUMBERS]
    rows += [f"{name},/m/1,0.1,0.5,0.1,0.5" for name in NAMES]
    good = "a,/m/1,0.1,0.5,0.1,0.5"
    content = "\n".join([header, *rows, "", good]).encode() + b"\na,\xff,0.1,0.5,0.1,0.5\na,/m/1"
    (tmp_path / "boxes.csv").write_bytes(content)

    found = open_images.read(
        open_images.Source(str(tmp_path / "images"), str(tmp_path / "boxes.csv"))
    )

    assert len(found.images[0].objects) == 1
    assert [each.name for each in found.categories] == ["/m/1"]
    assert written(found, ["/m/1"])[0] == 1


@pytest.mark.parametrize("size", ["0", "-5", "4294967296", DIGITS, "1e9", ""])
@pytest.mark.parametrize("mask", ["", "eJw=", "x" * 50])
def test_masks_in_open_images_tables(tmp_path, size, mask):
    image(tmp_path / "images/a.jpg")
    header = "ImageID,LabelName,ImageWidth,ImageHeight,XMin,XMax,YMin,YMax,Mask"
    text(tmp_path / "m.csv", f"{header}\na,/m/1,80,{size},0.1,0.5,0.1,0.5,{mask}\n")
    source = open_images.Source(str(tmp_path / "images"), masks=str(tmp_path / "m.csv"))

    found = open_images.read(source)

    assert [photo.objects for photo in found.images] == [()]


@pytest.mark.parametrize("name", NAMES)
def test_mask_files_of_open_images(tmp_path, name):
    for folder in ("images", "masks", "masks/more"):
        image(tmp_path / folder / "a.jpg")
    rows = f"MaskPath,ImageID,LabelName,BoxXMin,BoxXMax,BoxYMin,BoxYMax\n{name},a,/m/1,0,1,0,1\n"
    text(tmp_path / "m.csv", rows)
    source = open_images.Source(
        str(tmp_path / "images"), masks=str(tmp_path / "m.csv"), mask_dir=str(tmp_path / "masks")
    )

    found = open_images.read(source)

    settings = Settings({"/m/1": 1}, True, "png")
    made = conversion.prepared(found.images[0], settings)
    assert [each.group for each in made.findings][:1] == ["skipped objects"]


@pytest.mark.parametrize("name", ["a" * 5000, "../x", "\u0661", "a/b"])
def test_names_in_the_list_of_the_pets(tmp_path, name):
    image(tmp_path / "images/beagle_2.jpg")
    sheet(tmp_path / "annotations/xmls/beagle_2.xml", thing("dog", BOX))
    text(tmp_path / "annotations/trainval.txt", f"{name}\nbeagle_2 1 1 1\n")

    found = pets.read(tmp_path)

    assert sum(written(each, ["beagle"])[0] for each in found) == 1
    assert sum(len(each.findings) for each in found) == 1


def test_a_picture_in_the_place_of_instance_ids_is_named(tmp_path):
    noise = np.arange(128 * 128, dtype=np.uint16).reshape(128, 128)
    folder = tmp_path / "gtFine" / "train"
    folder.mkdir(parents=True)
    Image.fromarray(noise).save(folder / "a_gtFine_instanceIds.png")
    image(tmp_path / "leftImg8bit" / "train" / "a_leftImg8bit.png", 128, 128)

    found = cityscapes.read(tmp_path)["train"]
    _, reported = found.images[0].complete(found.images[0])

    assert "has 16384 ids" in reported[0].reason
    with pytest.raises(AnnotationError, match="has 16384 values: it is a picture"):
        mask_images.read_regions(folder / "a_gtFine_instanceIds.png", numbered=True)


@pytest.mark.timeout(60)
def test_noise_in_a_mask_image_costs_seconds_at_most(tmp_path):
    noise = np.random.default_rng(0).random((400, 400)) > 0.5
    cat = disc(200, 200, 60, height=400, width=400)
    color_png(tmp_path / "a.png", (noise | cat).astype(int), [(0, 0, 0), (9, 9, 9)])
    regions = mask_images.read_regions(tmp_path / "a.png", numbered=False)

    match = mask_images.match_by_color(regions, np.array([box_around(cat)], float), ["cat"])

    assert (match.masks[0] & cat).sum() == cat.sum()
