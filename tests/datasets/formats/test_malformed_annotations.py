"""Annotations with anything anywhere: a finding or an error with a sentence, never a crash."""

import copy
import json
import random
import re
import zlib

import pytest
from drawn_sets import HEIGHT, WIDTH, base64_of, blob, image, png, text

from object_detection.datasets import checking
from object_detection.datasets.formats import csv_table, cvat, labelme, supervisely, via, yolo
from object_detection.errors import AnnotationError

TRIALS = 150  # of each format; ten thousand were tried when the readers were written
ABSENT = object()
ODD = [None, "", "x", 0, -1, 3.5, 1e308, float("nan"), float("inf"), True, [], {}, [1], [[1, 2]]]
ODD += [[None], {"a": 1}, "1,2", 10**30, "ä\0", [[1, 2], [3]], -(10**9), "é" * 50, *[ABSENT] * 4]
HUGE = "an integer of 5000 digits"  # which json.dumps refuses to write
ODD += ["\ud800", "x" * 300, "http://[", "../a.png", "/etc/a.png", HUGE, [HUGE, HUGE], 1e400, "12"]
ODD += ["undefined", "__ignore__", 2**63]
ODD_TEXT = ["", "x", "-1", "0", "1e308", "nan", "inf", "9" * 30, "1,2", "1,2;3", ";;", "ä", "1 2"]
ODD_TEXT += ["../..", "a/b", "x" * 300, "9" * 5000, "1e400", "\u00b2", "http://[", "999999", "."]
SQUARE = [[10, 10], [50, 10], [50, 40], [10, 40]]
PNG = base64_of(png(blob()))

LABELME = {
    "version": "5",
    "shapes": [
        {"label": "cat", "points": SQUARE, "shape_type": "polygon", "group_id": 1, "flags": {}},
        {"label": "cat", "points": SQUARE[:2], "shape_type": "circle", "group_id": 1},
        {"label": "dog", "points": SQUARE[::2], "shape_type": "rectangle", "attributes": {}},
        {"label": "dog", "points": SQUARE[::2], "shape_type": "mask", "mask": PNG},
    ],
    "imagePath": "a.png",
    "imageData": PNG,
    "imageHeight": HEIGHT,
    "imageWidth": WIDTH,
}
SHAPES = [
    {"name": "polygon", "all_points_x": [1, 30, 30], "all_points_y": [1, 1, 40]},
    {"name": "rect", "x": 1, "y": 2, "width": 30, "height": 20},
    {"name": "ellipse", "cx": 30, "cy": 20, "rx": 10, "ry": 5, "theta": 1},
]
VIA = {
    "_via_settings": {"core": {"default_filepath": "./"}},
    "_via_attributes": {"region": {"class": {"type": "dropdown"}}},
    "_via_img_metadata": {
        "a": {
            "filename": "a.png",
            "size": -1,
            "regions": [
                {"shape_attributes": shape, "region_attributes": {"class": "cat", "q": {"a": True}}}
                for shape in SHAPES
            ],
            "fileref": "",
            "base64_img_data": PNG,
        }
    },
}
SUPERVISELY = {
    "tags": [{"name": "train", "value": None}],
    "size": {"height": HEIGHT, "width": WIDTH},
    "objects": [
        {
            "classTitle": "cat",
            "geometryType": "polygon",
            "points": {"exterior": SQUARE, "interior": [[[20, 20], [30, 20], [30, 30]]]},
            "tags": [{"name": "g", "value": "1"}],
        },
        {
            "classTitle": "cat",
            "geometryType": "bitmap",
            "bitmap": {"data": base64_of(zlib.compress(png(blob()))), "origin": [0, 0]},
            "tags": ["g"],
        },
        {
            "classTitle": "dog",
            "geometryType": "rectangle",
            "points": {"exterior": SQUARE[::2], "interior": []},
        },
        {"classTitle": "dog", "geometryType": "oriented_bbox", "points": SQUARE[::2], "angle": 0.4},
        {"classTitle": "dog", "geometryType": "multipolygon", "parts": [{"exterior": SQUARE}]},
    ],
}
CVAT = """<annotations><meta><task><start_frame>0</start_frame><stop_frame>4</stop_frame>
<frame_filter>step=2</frame_filter><original_size><width>80</width><height>60</height>
</original_size><labels><label><name>cat</name><type>any</type></label></labels></task></meta>
<image id="0" name="a.png" width="80" height="60" subset=""><box label="cat" xtl="10" ytl="10"
xbr="50" ybr="40" rotation="3" occluded="1" group_id="1"><attribute name="crowd">true</attribute>
</box><polygon label="cat" points="1,1;30,1;30,40" group_id="1"/><mask label="dog" rle="1, 2, 1"
left="3" top="4" width="2" height="2"/><ellipse label="dog" cx="30" cy="20" rx="10" ry="5"/></image>
<track id="0" label="cat"><box frame="0" outside="0" xtl="10" ytl="10" xbr="50" ybr="40"/><box
frame="4" outside="0" xtl="14" ytl="10" xbr="54" ybr="40"/></track><track id="1" label="cat">
<polygon frame="0" points="1,1;30,1;30,40"/><polygon frame="4" points="1,1;30,1;30,41"/></track>
</annotations>"""


def _places(value, place=()):
    """Every place in nested lists and dicts, as a tuple of keys."""
    yield place
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, inner in items:
        yield from _places(inner, (*place, key))


def _damaged(content, dice):
    """A copy with something odd at one to three places."""
    content = copy.deepcopy(content)
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        if not content:
            break
        *outer, last = dice.choice([place for place in _places(content) if place])
        owner = content
        for key in outer:
            owner = owner[key]
        odd = dice.choice(ODD)
        if odd is ABSENT:
            del owner[last]
        else:
            owner[last] = copy.deepcopy(odd)
    return content


def _use(sets):
    """What a conversion does with a set, so that nothing odd lies in wait there."""
    for found in sets.values() if isinstance(sets, dict) else [sets]:
        for category in found.categories:
            assert category.name.encode()
        for photo in found.images:
            assert photo.source_id.encode() and photo.filename.encode()
            assert photo.path is not None or photo.encoded is not None
            for each in checking.to_pixels(photo, HEIGHT, WIDTH):
                assert each.class_name.encode()
                checking.check_object(each, HEIGHT, WIDTH, with_mask=True)


def _json(content):
    return json.dumps(content).replace(f'"{HUGE}"', "7" * 5000)


def _tolerated(read):
    try:
        _use(read())
    except AnnotationError as error:
        assert str(error)


@pytest.mark.parametrize("path", ["a.png", "lost.png"])
def test_labelme(tmp_path, path):
    image(tmp_path / "a.png")
    dice = random.Random(0)
    for _ in range(TRIALS):
        text(tmp_path / "b.json", _json(_damaged({**LABELME, "imagePath": path}, dice)))
        _tolerated(lambda: labelme.read(tmp_path))


@pytest.mark.parametrize("content", [VIA, VIA["_via_img_metadata"]], ids=["project", "export"])
def test_via(tmp_path, content):
    image(tmp_path / "a.png")
    dice = random.Random(1)
    for _ in range(TRIALS):
        path = text(tmp_path / "via.json", _json(_damaged(content, dice)))
        _tolerated(lambda path=path: via.read(path))


def test_supervisely(tmp_path):
    image(tmp_path / "ds" / "img" / "a.png")
    text(tmp_path / "meta.json", {"classes": [{"title": "cat", "shape": "any"}]})
    dice = random.Random(2)
    for _ in range(TRIALS):
        text(tmp_path / "ds" / "ann" / "a.png.json", _json(_damaged(SUPERVISELY, dice)))
        _tolerated(lambda: supervisely.read(tmp_path, group_tag="g", train_tags=["train"]))


def test_cvat(tmp_path):
    image(tmp_path / "images" / "a.png")
    dice = random.Random(3)
    for _ in range(TRIALS):
        xml = CVAT
        for _ in range(dice.choice([1, 1, 2, 3])):
            value = dice.choice(list(re.finditer(r'(?<==")[^"]*(?=")|(?<=>)[^<>\n]+(?=<)', xml)))
            xml = xml[: value.start()] + dice.choice(ODD_TEXT) + xml[value.end() :]
        path = text(tmp_path / "a.xml", xml)
        _tolerated(lambda path=path: cvat.read(path))


@pytest.mark.parametrize("keypoints", ["", "kpt_shape: [2, 3]\n"])
def test_yolo(tmp_path, keypoints):
    image(tmp_path / "images" / "a.png")
    text(tmp_path / "data.yaml", f"train: images\nnames: [cat, dog]\n{keypoints}")
    dice = random.Random(4)
    numbers = ["0", "1", "0.5", "0.2", *ODD_TEXT]
    for _ in range(TRIALS):
        rows = [" ".join(dice.choices(numbers, k=dice.randint(0, 12))) for _ in range(4)]
        text(tmp_path / "labels" / "a.txt", "\n".join(rows))
        _tolerated(lambda: yolo.read(tmp_path))


def test_csv(tmp_path):
    image(tmp_path / "a.png")
    dice = random.Random(5)
    segmentations = [
        "[[1,2",
        "[" * 900 + "1" + "]" * 900,
        f"[[{HUGE},2,3,4,5,6]]",
        "[1j]",
        "(1,)*9",
    ]
    segmentations += ["{'size':[60000,60000],'counts':[3600000000]}", "{'size':None,'counts':1}"]
    for _ in range(TRIALS):
        cells = ["a.png", "80", "60", "10", "10", "40", "40", "[[10,10,40,10,40,40]]", "cat"]
        for _ in range(dice.choice([1, 1, 2])):
            place = dice.randrange(len(cells))
            cells[place] = dice.choice(ODD_TEXT + segmentations * (place == 7)).replace(
                HUGE, "7" * 5000
            )
        header = "filename,width,height,xmin,ymin,xmax,ymax,segmentation,class"
        row = ",".join(f'"{cell}"' for cell in cells)
        path = text(tmp_path / "t.csv", f"{header}\n{row}\na.png,,,1,1,9,9,,dog\n")
        found = csv_table.read(path)
        assert "dog" in {each.class_name for photo in found.images for each in photo.objects}
        _tolerated(lambda found=found: found)


@pytest.mark.parametrize("subset", ["../x", "a/b", "..", "c\\d", ".hidden", "x" * 300])
def test_a_subset_of_cvat_that_is_no_part_of_a_file_name_costs_its_images_only(tmp_path, subset):
    image(tmp_path / "images" / "a.png")
    odd = f'<image id="3" name="a.png" subset="{subset}"/>'
    box = '<box label="cat" xtl="1" ytl="1" xbr="9" ybr="9"/>'
    good = f'<image id="4" name="a.png" subset="val">{box}</image>'

    sets = cvat.read(text(tmp_path / "a.xml", f"<annotations>{odd}{good}</annotations>"))

    assert list(sets) == ["val"]
    (finding,) = [each for each in sets["val"].findings if each.group == "skipped images"]
    assert finding.key == "image 3: 'a.png'" and "subset" in finding.reason


def test_a_keyframe_far_away_is_not_counted_through(tmp_path):
    image(tmp_path / "images" / "frame_000005.png")
    box = '<box frame="{}" xtl="1" ytl="1" xbr="9" ybr="9"/>'
    meta = "<meta><task><start_frame>0</start_frame><stop_frame>999999</stop_frame></task></meta>"
    track = f'<track label="cat">{box.format(0)}{box.format(999999)}</track>'

    (found,) = cvat.read(
        text(tmp_path / "a.xml", f"<annotations>{meta}{track}</annotations>")
    ).values()

    assert [photo.filename for photo in found.images] == [
        "frame_000000.png",
        "images/frame_000005.png",
        "frame_999999.png",
    ]


def test_a_bitmap_that_inflates_beyond_any_mask_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisely, "LARGEST_BITMAP", 1000)
    bomb = {"data": base64_of(zlib.compress(bytes(10**6))), "origin": [0, 0]}
    image(tmp_path / "ds" / "img" / "a.png")
    stated = {"classTitle": "cat", "geometryType": "bitmap", "bitmap": bomb}
    text(tmp_path / "ds" / "ann" / "a.png.json", {"objects": [stated]})

    (found,) = supervisely.read(tmp_path).values()

    assert found.images[0].objects == ()
    assert [each.key for each in found.findings if each.group == "skipped objects"] == [
        "ds/img/a.png object 1"
    ]
