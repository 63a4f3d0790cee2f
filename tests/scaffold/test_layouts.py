"""Folders as the tools export them: `init` reads each, and the splits stay what they were."""

import json

import made_records
import numpy as np
import pytest
from drawn_sets import image, text

from object_detection.errors import AnnotationError
from object_detection.scaffold import data_set, formats, record_set

SQUARE = [10, 10, 40, 10, 40, 40, 10, 40]
CORNERS = [[10, 10], [40, 10], [40, 40], [10, 40]]
BOX = "<bndbox><xmin>10</xmin><ymin>10</ymin><xmax>40</xmax><ymax>40</ymax></bndbox>"
YOLO = "0 0.125 0.16 0.5 0.16 0.5 0.66 0.125 0.66\n"
SPLITS = {"train": ("a", "b", "c"), "val": ("d",), "test": ("e",)}
WHOLE = {"": ("a", "b", "c", "d", "e")}


def coco(stems, name="{}.jpg"):
    """A COCO json of these images."""
    size = {"height": 60, "width": 80}
    return {
        "images": [{"id": n, "file_name": name.format(s), **size} for n, s in enumerate(stems)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": [10, 10, 30, 30], "area": 900}
            | {"segmentation": [SQUARE], "iscrowd": 0}
            for n in range(len(stems))
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }


def voc(stem):
    return (
        f"<annotation><filename>{stem}.jpg</filename><object><name>cat</name>{BOX}</object>"
        "</annotation>"
    )


def labelme(stem):
    shape = {"label": "cat", "points": CORNERS, "shape_type": "polygon", "group_id": None}
    return {"imagePath": f"{stem}.jpg", "shapes": [shape], "imageHeight": 60, "imageWidth": 80}


def via(stems):
    shape = {"name": "polygon", "all_points_x": [10, 40, 40], "all_points_y": [10, 10, 40]}
    region = {"shape_attributes": shape, "region_attributes": {}}
    return {f"{s}.jpg1": {"filename": f"{s}.jpg", "size": 1, "regions": [region]} for s in stems}


def cvat(stems):
    shape = '<box label="cat" xtl="10" ytl="10" xbr="40" ybr="40"/>'
    images = (
        f'<image id="{n}" name="{s}.jpg" width="80" height="60">{shape}</image>'
        for n, s in enumerate(stems)
    )
    return f"<annotations>{''.join(images)}</annotations>"


def supervisely():
    corners = {"exterior": CORNERS, "interior": []}
    found = {"classTitle": "cat", "geometryType": "polygon", "points": corners, "tags": []}
    return {"size": {"height": 60, "width": 80}, "objects": [found], "tags": []}


def table(stems):
    rows = [f"{stem}.jpg,80,60,cat,10,10,40,40" for stem in stems]
    return "\n".join(["filename,width,height,class,xmin,ymin,xmax,ymax", *rows])


def mask():
    pixels = np.zeros([60, 80], np.uint8)
    pixels[10:40, 10:40] = 255
    return made_records.image_bytes(pixels)


def colour_mask():
    pixels = np.zeros([60, 80, 3], np.uint8)
    pixels[10:40, 10:40] = 128, 0, 0
    return made_records.image_bytes(pixels)


META = {"classes": [{"title": "cat", "shape": "polygon"}], "tags": []}
LABELS = "background:0,0,0::\ncat:128,0,0::\n"


def each(splits, *made):
    """Files of every image: (name, content) pairs, or the name of an image."""
    for split, stems in splits.items():
        for stem in stems:
            for name in made:
                name, content = name if isinstance(name, tuple) else (name, None)
                content = content(stem) if callable(content) else content
                yield name.format(split=split, stem=stem), content


def of_split(splits, *made):
    """One file a split: (name, function of the stems) pairs."""
    for split, stems in splits.items():
        for name, content in made:
            yield name.format(split=split), content(stems)


def called(**names):
    """The splits under other names, those that are given."""
    return {names[split]: stems for split, stems in SPLITS.items() if split in names}


ROBOFLOW = called(train="train", val="valid", test="test")
YEARS = called(train="train2017", val="val2017")
TWO = {split: SPLITS[split] for split in ("train", "val")}
PHOTO = "{split}/{stem}.jpg"
LISTED = [(f"ImageSets/Main/{split}.txt", "\n".join(stems)) for split, stems in ROBOFLOW.items()]

# Tool -> format, images of each split, files
LAYOUTS = {
    "roboflow coco": (
        "coco",
        SPLITS,
        [
            *each(ROBOFLOW, PHOTO),
            *of_split(ROBOFLOW, ("{split}/_annotations.coco.json", coco)),
            ("README.roboflow.txt", "x"),
        ],
    ),
    "roboflow voc": ("voc", SPLITS, [*each(ROBOFLOW, PHOTO, ("{split}/{stem}.xml", voc))]),
    "roboflow csv": (
        "csv",
        SPLITS,
        [*each(ROBOFLOW, PHOTO), *of_split(ROBOFLOW, ("{split}/_annotations.csv", table))],
    ),
    "coco 2017": (
        "coco",
        TWO,
        [
            *each(YEARS, PHOTO),
            *of_split(
                YEARS,
                ("annotations/instances_{split}.json", coco),
                ("annotations/captions_{split}.json", coco),
            ),
        ],
    ),
    "datumaro coco": (
        "coco",
        SPLITS,
        [
            *each(SPLITS, "images/{split}/{stem}.jpg"),
            *of_split(SPLITS, ("annotations/instances_{split}.json", coco)),
        ],
    ),
    "fiftyone coco": (
        "coco",
        TWO,
        [*each(TWO, "{split}/data/{stem}.jpg"), *of_split(TWO, ("{split}/labels.json", coco))],
    ),
    "label studio coco": (
        "coco",
        WHOLE,
        [
            *each(WHOLE, "images/x-{stem}.jpg"),
            ("result.json", coco(WHOLE[""], "../../media/upload/4/x-{}.jpg")),
        ],
    ),
    "label studio voc": (
        "voc",
        WHOLE,
        [*each(WHOLE, "images/{stem}.jpg", ("Annotations/{stem}.xml", voc))],
    ),
    "fiftyone voc": ("voc", WHOLE, [*each(WHOLE, "data/{stem}.jpg", ("labels/{stem}.xml", voc))]),
    "voc in folders of its folders": (
        "voc",
        TWO,
        [*each(TWO, "JPEGImages/{split}/{stem}.jpg", ("Annotations/{split}/{stem}.xml", voc))],
    ),
    "voc with lists": (
        "voc",
        SPLITS,
        [*each(ROBOFLOW, "JPEGImages/{stem}.jpg", ("Annotations/{stem}.xml", voc)), *LISTED],
    ),
    "cvat voc": (
        "voc",
        WHOLE,
        [
            *each(WHOLE, "JPEGImages/{stem}.jpg", ("Annotations/{stem}.xml", voc)),
            ("ImageSets/Main/default.txt", "a\nb\nc\nd\ne"),
            ("labelmap.txt", LABELS),
        ],
    ),
    "cvat segmentation masks": (
        "voc",
        WHOLE,
        [
            *each(
                WHOLE,
                "JPEGImages/{stem}.jpg",
                ("SegmentationObject/{stem}.png", lambda stem: colour_mask()),
                ("SegmentationClass/{stem}.png", lambda stem: colour_mask()),
            ),
            ("ImageSets/Segmentation/default.txt", "a\nb\nc\nd\ne"),
            ("labelmap.txt", LABELS),
        ],
    ),
    "ultralytics": (
        "yolo",
        TWO,
        [
            *each(TWO, "images/{split}/{stem}.jpg", ("labels/{split}/{stem}.txt", YOLO)),
            ("data.yaml", "path: ../x\ntrain: images/train\nval: images/val\nnames: {0: cat}"),
        ],
    ),
    "label studio yolo": (
        "yolo",
        WHOLE,
        [
            *each(WHOLE, "images/{stem}.jpg", ("labels/{stem}.txt", YOLO)),
            ("classes.txt", "cat"),
            ("notes.json", {"categories": []}),
        ],
    ),
    "labelme": ("labelme", WHOLE, [*each(WHOLE, "{stem}.jpg", ("{stem}.json", labelme))]),
    "labelme in splits": (
        "labelme",
        TWO,
        [
            *each(
                called(train="Training", val="Validation"), PHOTO, ("{split}/{stem}.json", labelme)
            )
        ],
    ),
    "balloon": (
        "via",
        TWO,
        [*each(TWO, PHOTO), *of_split(TWO, ("{split}/via_region_data.json", via))],
    ),
    "cvat xml": (
        "cvat",
        WHOLE,
        [*each(WHOLE, "images/{stem}.jpg"), ("annotations.xml", cvat(WHOLE[""]))],
    ),
    "cvat xml in splits": (
        "cvat",
        TWO,
        [*each(TWO, PHOTO), *of_split(TWO, ("{split}/annotations.xml", cvat))],
    ),
    "supervisely": (
        "supervisely",
        TWO,
        [
            *each(TWO, "{split}/img/{stem}.jpg"),
            ("meta.json", META),
            *each(TWO, ("{split}/ann/{stem}.jpg.json", lambda stem: supervisely())),
        ],
    ),
    "mask images in splits": (
        "voc_masks",
        TWO,
        [
            *each(
                TWO,
                "{split}/images/{stem}.jpg",
                ("{split}/xmls/{stem}.xml", voc),
                ("{split}/masks/{stem}.png", lambda stem: mask()),
            )
        ],
    ),
    "mask images one folder deeper": (
        "voc_masks",
        WHOLE,
        [
            *each(
                WHOLE,
                "set/images/{stem}.jpg",
                ("set/xmls/{stem}.xml", voc),
                ("set/masks/{stem}.png", lambda stem: mask()),
            )
        ],
    ),
    "data science bowl": (
        "instance_folders",
        {split: SPLITS[split] for split in ("train", "test")},
        [
            *each(
                called(train="stage1_train", test="stage1_test"),
                "{split}/{stem}/images/{stem}.jpg",
                ("{split}/{stem}/masks/0.png", lambda stem: mask()),
            )
        ],
    ),
}


def make(folder, made):
    for name, content in made:
        path = folder / name
        if content is None:
            image(path)
        elif isinstance(content, bytes):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        else:
            text(path, content)
    return folder


@pytest.mark.parametrize("tool", LAYOUTS)
def test_what_tools_export_is_read_with_its_splits(tmp_path, tool):
    kind, expected, made = LAYOUTS[tool]
    place = make(tmp_path / "set", made)
    options = data_set.Options(class_name="cat" if kind == "via" else "")

    assert formats.detect(place) == kind
    found = data_set.read(place, options=options)

    stems = {
        split: tuple(sorted(photo.path.stem.removeprefix("x-") for photo in each.images))
        for split, each in found.sets.items()
    }
    assert stems == ({"train": WHOLE[""]} if kind == "coco" and "" in expected else expected)
    assert all(photo.path.is_file() for each in found.sets.values() for photo in each.images)
    facts = data_set.facts_of(found)
    assert facts.num_images == len(next(iter(expected.values())))
    np.testing.assert_allclose(facts.sides, 0.5, atol=0.01)  # 30 pixels of 60
    assert list(facts.labels.ids) == ["object" if kind == "instance_folders" else "cat"]
    assert found.evaluated == (None if "" in expected else list(expected)[1])
    names = [each.set_name for each in found.conversions]
    assert names == [""] or names == list(expected)


def test_records_in_folders_of_splits(tmp_path):
    record = made_records.record([(0.1, 0.1, 0.6, 0.6)], size=(50, 50), masks=True)
    for split in ("train", "valid", "test"):
        (tmp_path / split).mkdir()
        made_records.write(tmp_path / split / "x.tfrecord", [record])
        text(tmp_path / split / "x_label_map.pbtxt", "item { id: 1 name: 'thing' }")

    assert formats.detect(tmp_path) == formats.RECORDS
    found = record_set.find(tmp_path)

    assert found.train == (str(tmp_path / "train" / "x.tfrecord"),)
    assert found.val == (str(tmp_path / "valid" / "x.tfrecord"),)
    assert record_set.facts_of(found).labels.ids == {"thing": 1}


def test_images_elsewhere(tmp_path):
    """--image_dir of VOC and YOLO, whose images may be in another place than the annotations."""
    for split, stems in SPLITS.items():
        for stem in stems:
            image(tmp_path / "photos" / split / f"{stem}.jpg")
            text(tmp_path / "yolo" / "labels" / split / f"{stem}.txt", YOLO)
            text(tmp_path / "voc" / split / f"{stem}.xml", voc(stem))
    text(tmp_path / "yolo" / "classes.txt", "cat")
    options = data_set.Options(image_dir=str(tmp_path / "photos"))

    for kind in ("yolo", "voc"):
        found = data_set.read(tmp_path / kind, options=options)
        assert {split: len(each.images) for split, each in found.sets.items()} == {
            split: len(stems) for split, stems in SPLITS.items()
        }
        photos = [photo for each in found.sets.values() for photo in each.images]
        assert all(photo.path.is_file() and photo.objects for photo in photos)
        assert f"--image_dir={tmp_path / 'photos'}" in found.conversions[0].flags


@pytest.mark.parametrize(
    ("tool", "option", "message"),
    [
        ("supervisely", "image_dir", "--image_dir is for .* is supervisely"),
        ("data science bowl", "image_dir", "--image_dir is for .* is instance_folders"),
        ("labelme", "class_name", "--class_name is for via, instance_folders; .* is labelme"),
        ("ultralytics", "mask_dir", "--mask_dir is for voc_masks"),
        ("roboflow coco", "names_file", "--names_file is for yolo"),
    ],
)
def test_options_that_a_format_has_no_use_for_are_refused(tmp_path, tool, option, message):
    place = make(tmp_path / "set", LAYOUTS[tool][2])
    with pytest.raises(AnnotationError, match=message):
        data_set.read(place, options=data_set.Options(**{option: str(tmp_path)}))


def test_a_folder_of_images_that_is_not_there(tmp_path):
    place = make(tmp_path / "set", LAYOUTS["label studio voc"][2])
    with pytest.raises(AnnotationError, match="--image_dir: there is no folder absent"):
        data_set.read(place, options=data_set.Options(image_dir="absent"))


def test_json_that_is_of_no_format_is_passed_over(tmp_path):
    made = LAYOUTS["balloon"][2]
    place = make(tmp_path / "set", [*made, ("train/x.json", json.dumps([1])), ("y.json", "{")])
    found = data_set.read(place, options=data_set.Options(class_name="cat"))
    assert list(found.sets) == ["train", "val"]
