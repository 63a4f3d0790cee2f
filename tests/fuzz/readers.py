"""Small sets of every annotation format with a damaged file, read as by converters and `init`."""

import json
import shutil
import sys
from pathlib import Path

import mutations
import numpy as np
from drawn_sets import HEIGHT, WIDTH, blob, image, png, text
from PIL import Image
from voc_sets import color_png, palette_png, sheet, thing

from object_detection.datasets import conversion, label_ids
from object_detection.datasets.examples import Settings
from object_detection.datasets.formats import (
    cityscapes,
    coco,
    csv_table,
    cvat,
    instance_folders,
    kitti,
    labelme,
    lvis,
    open_images,
    pets,
    supervisely,
    via,
    voc,
    voc_masks,
    yolo,
)
from object_detection.datasets.report import Report
from object_detection.scaffold import data_set

sys.path.append(str(Path(__file__).resolve().parents[1] / "datasets" / "formats"))
import test_malformed_annotations as drawn  # noqa: E402  (its small sets)

ERRORS = ("AnnotationError",)
SQUARE = [10.0, 10.0, 50.0, 10.0, 50.0, 40.0, 10.0, 40.0]
WORDS = ("cat", "a.png", "../a.png", "10", "0.5", ",", ";", "<", ">", "names", "-")
KITTI = "Car 0.00 0 -1.57 10 20 30 40 1.5 1.6 3.2 1.0 1.5 8.0 0.1\n"
IMAGE_LABELS = "ImageID,Source,LabelName,Confidence\na,verification,cat,1\n"
OPEN_IMAGES = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,"
    "IsDepiction,IsInside\na,xclick,cat,1,0.1,0.5,0.25,1,1,0,0,1,0\n"
)


def prepare(folder):
    """The small sets, a folder each: {name: (folder, how its converter reads it)}."""
    sets = folder / "sets"
    for name, write in _WRITERS.items():
        write(sets / name)
    return sets


def run(dice, sets, folder):
    name = dice.choice(sorted(_READERS))
    place = folder / "set"
    shutil.copytree(sets / name, place)
    _damage(place, dice)
    if name in _BY_INIT and dice.random() < 0.3:
        data = data_set.read(place)
        data_set.facts_of(data)
        found = data.sets
    else:
        found = _READERS[name](place)
    _convert(found, dice)


def _damage(place, dice):
    files = sorted(path for path in place.rglob("*") if path.is_file())
    texts = [path for path in files if path.suffix in (".json", ".xml", ".txt", ".csv", ".yaml")]
    path = dice.choice(texts if texts and dice.random() < 0.85 else files)
    action = dice.randrange(20)
    if action == 0:
        path.unlink()
    elif action == 1:
        path.write_bytes(b"")
    elif action == 2:
        path.unlink()
        path.mkdir()
    elif action == 3:
        path.rename(
            path.with_name(dice.choice(["é", "a b", "._a", "%41", "e\u0301"]) + path.suffix)
        )
    else:
        mutations.damaged_file(path, dice, WORDS)


def _convert(found, dice):
    """What a converter does with the sets: numbers the classes, then makes every record."""
    if not isinstance(found, dict):
        found = dict(enumerate(found if type(found) in (tuple, list) else [found]))
    labels = label_ids.from_annotations(list(found.values()))
    settings = Settings(
        labels.ids, include_masks=dice.random() < 0.7, mask_storage=dice.choice(["png", "box"])
    )
    for each in found.values():
        report = Report("train", "here")
        report.add(each.findings)
        for photo in each.images:
            report.add(conversion.prepared(photo, settings).findings)
        said = report.text()
        if max(map(len, said.split("\n"))) > 5000:
            raise RuntimeError(f"a report of {len(said)} characters: {said[:500]}")
        if "cannot be converted (" in said:
            raise RuntimeError(f"a finding nobody worded: {said[:500]}")
        said.encode()


def _coco_content(**changes):
    return {
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog", "supercategory": "x"}],
        "images": [
            {"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH}
            for number, name in ((1, "a.png"), (2, "b.png"))
        ],
        "annotations": [
            {
                "id": number,
                "image_id": 1,
                "category_id": 1 + number % 2,
                "bbox": [10.0, 10.0, 40.0, 30.0],
                "area": 1200.0,
                "iscrowd": int(number == 2),
                "segmentation": segmentation,
            }
            for number, segmentation in enumerate(
                (
                    [SQUARE],
                    {"size": [HEIGHT, WIDTH], "counts": [600, 30, HEIGHT * WIDTH - 630]},
                    {"size": [HEIGHT, WIDTH], "counts": "Td01n1N2M3"},
                    [SQUARE, SQUARE[:6]],
                )
            )
        ],
        **changes,
    }


def _coco(root):
    image(root / "a.png")
    image(root / "b.png")
    text(root / "coco.json", _coco_content())


def _lvis(root):
    image(root / "train2017" / "a.png")
    content = _coco_content()
    url = "http://images.cocodataset.org/train2017/a.png"
    lists = {"neg_category_ids": [2], "not_exhaustive_category_ids": [1]}
    content["images"] = [content["images"][0] | {"coco_url": url} | lists]
    for category in content["categories"]:
        category |= {"frequency": "c", "instance_count": 3, "synset": "x.n.01"}
    text(root / "lvis.json", content)


def _csv(root):
    image(root / "a.png")
    table = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    text(root / "table.csv", table + "a.png,80,60,cat,10,10,50,40\na.png,80,60,dog,1,2,30.5,40\n")


def _azoda(root):
    image(root / "a.png")
    cell = json.dumps([[10, 10], [50, 10], [50, 40]]).replace('"', '""')
    text(
        root / "t.csv",
        f'filename,xmin,ymin,xmax,ymax,class,segmentation\na.png,1,2,30,40,cat,"{cell}"\n',
    )


def _cvat(root):
    image(root / "images" / "a.png")
    text(root / "annotations.xml", drawn.CVAT)


def _labelme(root):
    image(root / "a.png")
    text(root / "a.json", drawn.LABELME)


def _via(root):
    image(root / "a.png")
    text(root / "via.json", drawn.VIA)


def _via_csv(root):
    image(root / "a.png")
    columns = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
    rows = columns + "region_attributes\n"
    shape, attributes = (
        json.dumps(each).replace('"', '""') for each in (drawn.SHAPES[0], {"class": "cat"})
    )
    text(root / "via.csv", rows + f'a.png,1,"{{}}",1,0,"{shape}","{attributes}"\n')


def _supervisely(root):
    image(root / "ds" / "img" / "a.png")
    text(root / "meta.json", {"classes": [{"title": "cat", "shape": "any"}, {"title": "dog"}]})
    text(root / "ds" / "ann" / "a.png.json", drawn.SUPERVISELY)


def _yolo(root):
    image(root / "images" / "train" / "a.png")
    image(root / "images" / "val" / "b.png")
    text(
        root / "data.yaml",
        "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n",
    )
    text(root / "labels" / "train" / "a.txt", "0 0.5 0.5 0.2 0.3\n1 0.1 0.1 0.5 0.1 0.5 0.5\n")
    text(root / "labels" / "val" / "b.txt", "1 0.5 0.5 0.2 0.3\n")


def _voc(root):
    image(root / "JPEGImages" / "a.jpg")
    boxes = [thing("cat", (10, 10, 40, 50)), thing("dog", (1, 2, 30, 40), difficult=1)]
    sheet(root / "Annotations" / "a.xml", *boxes)
    text(root / "ImageSets" / "Main" / "train.txt", "a\n")
    text(root / "ImageSets" / "Segmentation" / "train.txt", "a\n")
    numbers = np.zeros((HEIGHT, WIDTH), int)
    numbers[10:40, 10:50] = 1
    for kind in ("SegmentationObject", "SegmentationClass"):
        palette_png(root / kind / "a.png", numbers * (8 if kind.endswith("Class") else 1))


def _voc_masks(root):
    image(root / "images" / "a.jpg")
    sheet(root / "xmls" / "a.xml", thing("cat", (10, 10, 40, 50)))
    numbers = np.zeros((HEIGHT, WIDTH), int)
    numbers[10:40, 10:50] = 1
    (root / "masks").mkdir()
    color_png(root / "masks" / "a.png", numbers, [(0, 0, 0), (255, 0, 0)])


def _kitti(root):
    for number in (0, 600):
        image(root / "training" / "image_2" / f"{number:06d}.png")
        text(root / "training" / "label_2" / f"{number:06d}.txt", KITTI * 2)


def _pets(root):
    names = ["pug_1", "pug_2", "Abyssinian_3"]
    trimap = np.where(blob(), 1, 2).astype(np.uint8)
    for name in names:
        image(root / "images" / f"{name}.jpg")
        sheet(root / "annotations" / "xmls" / f"{name}.xml", thing("cat", (10, 10, 40, 50)))
        (root / "annotations" / "trimaps").mkdir(exist_ok=True)
        Image.fromarray(trimap).save(root / "annotations" / "trimaps" / f"{name}.png")
    text(root / "annotations" / "trainval.txt", "".join(f"{name} 1 1 1\n" for name in names))


def _cityscapes(root):
    image(root / "leftImg8bit" / "train" / "bonn" / "bonn_000001_000019_leftImg8bit.png")
    ids = np.full((HEIGHT, WIDTH), 7, np.uint16)
    ids[5:15, 5:20], ids[20:30, 10:30] = 26000, 26001
    path = root / "gtFine" / "train" / "bonn" / "bonn_000001_000019_gtFine_instanceIds.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(ids).save(path)


def _open_images(root):
    image(root / "images" / "a.jpg")
    text(root / "boxes.csv", OPEN_IMAGES)
    text(root / "image_labels.csv", IMAGE_LABELS)
    (root / "masks").mkdir()
    Image.fromarray(blob()).save(root / "masks" / "m.png")
    columns = (
        "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks\n"
    )
    text(root / "masks.csv", columns + "m.png,a,cat,b,0.1,0.5,0.25,1,0.9,\n")


def _folders(root):
    image(root / "images" / "a.png")
    text(root / "notes.txt", "x\n")
    for seed in (0, 1):
        path = root / "masks" / "a" / f"{seed}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(blob(seed)))


def _read_open_images(place):
    tables = {name: str(place / f"{name}.csv") for name in ("boxes", "masks", "image_labels")}
    source = open_images.Source(str(place / "images"), mask_dir=str(place / "masks"), **tables)
    return open_images.read(source)


_WRITERS = {
    "coco": _coco,
    "lvis": _lvis,
    "csv": _csv,
    "azoda": _azoda,
    "cvat": _cvat,
    "labelme": _labelme,
    "via": _via,
    "via_csv": _via_csv,
    "supervisely": _supervisely,
    "yolo": _yolo,
    "voc": _voc,
    "voc_masks": _voc_masks,
    "kitti": _kitti,
    "pets": _pets,
    "cityscapes": _cityscapes,
    "open_images": _open_images,
    "folders": _folders,
}
_READERS = {
    "coco": lambda place: coco.read(place / "coco.json", place),
    "lvis": lambda place: lvis.read(place / "lvis.json", place),
    "csv": lambda place: csv_table.read(place / "table.csv"),
    "azoda": lambda place: csv_table.read(place / "t.csv", with_masks=True),
    "cvat": lambda place: cvat.read(place / "annotations.xml"),
    "labelme": labelme.read,
    "via": lambda place: via.read(place / "via.json"),
    "via_csv": lambda place: via.read(place / "via.csv"),
    "supervisely": lambda place: supervisely.read(place, group_tag="g"),
    "yolo": yolo.read,
    "voc": lambda place: voc.read(place, image_set="train", with_masks=True),
    "voc_masks": voc_masks.read,
    "kitti": lambda place: kitti.read(place, validation_set_size=1),
    "pets": lambda place: pets.read(place, faces_only=False),
    "cityscapes": cityscapes.read,
    "open_images": _read_open_images,
    "folders": instance_folders.read,
}
_BY_INIT = set(_READERS) - {"open_images"}
