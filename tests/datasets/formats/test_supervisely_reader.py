"""Supervisely projects into records of our own."""

import math
import zlib

import numpy as np
import pytest
from drawn_sets import HEIGHT, WIDTH, base64_of, blob, image, png, reasons, text
from rasterization import even_odd, iou, star, where

from object_detection.datasets import masks
from object_detection.datasets.annotations import Category
from object_detection.datasets.formats import supervisely
from object_detection.datasets.formats.shapes import BOX_AS_MASK
from object_detection.errors import AnnotationError

LINE = star(40, 30, 24, 29, spikes=5)
HOLES = [star(33, 30, 4, 5), star(47, 30, 4, 5)]
META = {
    "classes": [
        {"title": "cat", "shape": "polygon", "color": "#ff0000"},
        {"title": "any", "shape": "any"},
        {"title": "nose", "shape": "point"},
    ],
    "tags": [],
}


def _figure(kind="polygon", title="cat", exterior=LINE, interior=(), tags=(), **fields):
    points = {"exterior": exterior, "interior": list(interior)}
    return {"classTitle": title, "geometryType": kind, "points": points, "tags": tags, **fields}


def _annotation(*figures, tags=(), **fields):
    size = {"height": HEIGHT, "width": WIDTH}
    return {"description": "", "tags": tags, "size": size, "objects": list(figures), **fields}


def _put(project, name, *figures, dataset="ds", old=False, **fields):
    """An image with its annotation; `old`: the JSON is named without the image's suffix."""
    path = image(project / dataset / "img" / name)
    stem = path.stem if old else path.name
    text(project / dataset / "ann" / f"{stem}.json", _annotation(*figures, **fields))
    if not (project / "meta.json").exists():
        text(project / "meta.json", META)


def _read(project, *figures, **options):
    _put(project, "a.png", *figures)
    (found,) = supervisely.read(project, **options).values()
    return found


def _only(found):
    (only,) = found.images[0].objects
    return only


def test_a_polygon_keeps_its_holes(tmp_path):
    found = _read(tmp_path, _figure(interior=HOLES))

    (photo,) = found.images
    assert (photo.key, photo.source_id) == ("ds/img/a.png", "ds/img/a.png")
    assert photo.path == tmp_path / "ds" / "img" / "a.png"
    assert photo.stated_size == (HEIGHT, WIDTH)
    assert found.categories == (Category("any"), Category("cat"))
    expected = even_odd([LINE, *HOLES], HEIGHT, WIDTH)
    assert not expected[30, 33] and not expected[30, 47] and expected[30, 40]
    assert iou(_only(found), expected) >= 0.99


def test_a_rectangle_holds_its_last_pixel(tmp_path):
    figures = [
        _figure("rectangle", exterior=[[10, 20], [49, 39]]),
        _figure("rectangle", exterior=[[49, 39], [10, 20]]),
        _figure("rectangle", exterior=[[10.5, 20.0], [49.25, 39.0]]),
    ]

    found = _read(tmp_path, *figures)

    boxes = [each.box for each in found.images[0].objects]
    assert boxes == [(20, 10, 40, 50), (20, 10, 40, 50), (20, 10.5, 39, 49.25)]
    pixels = masks.rasterize(found.images[0].objects[0].mask, HEIGHT, WIDTH)
    assert pixels[20:40, 10:50].all() and pixels.sum() == 20 * 40
    assert len(reasons(found)[BOX_AS_MASK]) == 3


@pytest.mark.parametrize("angle", [0, 0.5, -1.0])
def test_a_turned_box(tmp_path, angle):
    figure = {**_figure("oriented_bbox"), "points": [[20, 20], [59, 39]], "angle": angle}

    found = _read(tmp_path, figure)

    def inside(x, y):
        x, y = x - 40, y - 30
        u = x * math.cos(angle) + y * math.sin(angle)
        v = -x * math.sin(angle) + y * math.cos(angle)
        return (abs(u) <= 20) & (abs(v) <= 10)

    assert iou(_only(found), where(inside, HEIGHT, WIDTH)) >= 0.985  # of 800 pixels


@pytest.mark.parametrize("kind", ["palette", "RGBA", "L", "1"])
@pytest.mark.parametrize("figure", ["bitmap", "alpha_mask"])
def test_a_bitmap_keeps_every_pixel(tmp_path, kind, figure):
    pixels = blob()
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    piece = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    encoded = png(piece, "P", transparency=0) if kind == "palette" else _png_of(piece, kind)
    bitmap = {"data": base64_of(zlib.compress(encoded)), "origin": [int(columns[0]), int(rows[0])]}
    stated = {"classTitle": "any", "geometryType": figure, "bitmap": bitmap}

    found = _read(tmp_path, stated)

    assert iou(_only(found), pixels) == 1
    assert masks.extent(_only(found).mask) == (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)


def _png_of(pixels, kind):
    if kind != "RGBA":
        return png(pixels, kind)
    from io import BytesIO

    from PIL import Image

    colors = np.zeros((*pixels.shape, 4), np.uint8)  # black all over: the alpha decides
    colors[..., 3] = pixels * 255
    stream = BytesIO()
    Image.fromarray(colors).save(stream, "PNG")
    return stream.getvalue()


def test_a_polygon_of_several_parts(tmp_path):
    parts = [star(20, 30, 15, 18), star(60, 30, 15, 18)]
    hole = star(20, 30, 4, 5)
    stated = [{"exterior": parts[0], "interior": [hole]}, {"exterior": parts[1]}]

    found = _read(tmp_path, {"classTitle": "cat", "geometryType": "multipolygon", "parts": stated})

    assert iou(_only(found), even_odd([*parts, hole], HEIGHT, WIDTH)) >= 0.99


def test_old_exports_leave_the_type_to_the_figure_and_tags_to_names(tmp_path):
    def old(exterior, **fields):
        return {"classTitle": "cat", "points": {"exterior": exterior, "interior": []}, **fields}

    bitmap = {"data": base64_of(zlib.compress(png(blob()))), "origin": [0, 0]}
    figures = [
        old(LINE, tags=["difficult"]),
        old([[1, 1], [8, 8]]),
        old([], bitmap=bitmap),
        old([[1, 1]]),
    ]
    _put(tmp_path, "ä.png", *figures, old=True, tags=["train"])

    (found,) = supervisely.read(tmp_path, train_tags=["train"]).values()

    polygon, rectangle, drawn = found.images[0].objects
    assert polygon.difficult and iou(polygon, even_odd([LINE], HEIGHT, WIDTH)) >= 0.99
    assert rectangle.box == (1, 1, 9, 9)
    assert iou(drawn, blob()) == 1
    assert reasons(found)["a figure of type 'point' has no area"] == ["ds/img/ä.png object 4"]


def test_figures_that_are_no_objects_are_named(tmp_path):
    broken = {"data": "!", "origin": [1, 1]}
    figures = [
        _figure("point", exterior=[[1, 1]]),
        _figure("line"),
        {"classTitle": "cat", "geometryType": "graph", "nodes": {}},
        _figure("polygon", exterior=[[1, 1], [2, 2]]),
        _figure("rectangle", exterior=[[1, 1]]),
        _figure("polygon", exterior=[[1, 1], [2, "x"], [3, 3]]),
        {"classTitle": "cat", "geometryType": "bitmap", "bitmap": broken},
        {"classTitle": "cat", "geometryType": "bitmap"},
        {"classTitle": "cat", "geometryType": "multipolygon"},
        _figure("sphere"),
        _figure(title=""),
        "figure",
    ]

    found = _read(tmp_path, *figures)

    assert found.images[0].objects == ()
    reported = [key for keys in reasons(found).values() for key in keys]
    assert sorted(int(key.split()[-1]) for key in reported) == list(range(1, 13))


def _tagged(name):
    return {"name": name, "value": None}


def test_splits_by_tags_of_the_images(tmp_path):
    _put(tmp_path, "a.png", _figure(), tags=[_tagged("train")])
    _put(tmp_path, "b.png", tags=[_tagged("val"), _tagged("train")])
    _put(tmp_path, "c.png", _figure(title="any"), tags=[_tagged("other")])

    sets = supervisely.read(tmp_path, train_tags=["train"], val_tags=["val"])

    names = {split: [photo.filename for photo in found.images] for split, found in sets.items()}
    assert names == {"train": ["ds/img/a.png", "ds/img/b.png"], "val": ["ds/img/b.png"]}
    assert sets["train"].categories == sets["val"].categories
    assert reasons(sets["train"])["the image is in both splits"] == ["ds/img/b.png"]
    with pytest.raises(AnnotationError, match="'tain'.*train is empty.*'other', 'train', 'val'"):
        supervisely.read(tmp_path, train_tags=["tain"])


def test_splits_by_data_sets(tmp_path):
    for dataset in ("one", "two", "two/datasets/inner"):
        _put(tmp_path, "a.png", _figure(), dataset=dataset)

    sets = supervisely.read(tmp_path, train_datasets=["one", "two/inner"], val_datasets=["two"])

    names = {split: [photo.filename for photo in found.images] for split, found in sets.items()}
    assert names == {
        "train": ["one/img/a.png", "two/datasets/inner/img/a.png"],
        "val": ["two/img/a.png"],
    }
    with pytest.raises(AnnotationError, match="no data set 'three'; it has 'one'"):
        supervisely.read(tmp_path, train_datasets=["three"])


def test_all_data_sets_are_one_where_nothing_is_chosen_and_one_may_be_read_alone(tmp_path):
    for dataset in ("one", "two"):
        _put(tmp_path, "a.png", _figure(), dataset=dataset)

    assert len(supervisely.read(tmp_path)[""].images) == 2
    (found,) = supervisely.read(tmp_path / "two").values()
    assert [photo.filename for photo in found.images] == ["img/a.png"]
    assert found.categories == (Category("any"), Category("cat"))


def test_a_group_tag_joins_objects(tmp_path):
    parts = [star(20, 30, 15, 18), star(60, 30, 15, 18)]
    group = [{"name": "@label-group-id", "value": "x"}]
    figures = [_figure(exterior=part, tags=group) for part in parts] + [_figure()]

    apart = _read(tmp_path, *figures)
    found = _read(tmp_path, *figures, group_tag="@label-group-id")

    assert len(apart.images[0].objects) == 3
    joined, alone = found.images[0].objects
    assert iou(joined, even_odd(parts, HEIGHT, WIDTH)) >= 0.99
    assert iou(alone, even_odd([LINE], HEIGHT, WIDTH)) >= 0.99


def test_one_bad_file_spoils_nothing(tmp_path):
    text(tmp_path / "ds" / "ann" / "0.png.json", "{")
    text(tmp_path / "ds" / "ann" / "1.png.json", {"size": {}, "objects": None})
    image(tmp_path / "ds" / "img" / "z.png")
    text(tmp_path / "ds" / "ann" / "gone.jpg.json", _annotation())

    found = _read(tmp_path, _figure())

    a, gone = found.images
    assert len(a.objects) == 1
    assert gone.path == tmp_path / "ds" / "img" / "gone.jpg"
    reported = [key for keys in reasons(found).values() for key in keys]
    assert reported == ["ds/ann/0.png.json", "ds/ann/1.png.json", "ds/img/z.png"]


def test_a_folder_that_is_no_project_is_an_error(tmp_path):
    with pytest.raises(AnnotationError, match="no Supervisely project"):
        supervisely.read(tmp_path)
    with pytest.raises(AnnotationError, match="no folder"):
        supervisely.read(tmp_path / "nowhere")
    text(tmp_path / "meta.json", {"tags": []})
    _put(tmp_path, "a.png")
    with pytest.raises(AnnotationError, match="no list 'classes'"):
        supervisely.read(tmp_path)
    (tmp_path / "meta.json").unlink()
    (found,) = supervisely.read(tmp_path).values()
    assert "no meta.json" in list(reasons(found))[0]
