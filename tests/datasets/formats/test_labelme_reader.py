"""labelme's files of all versions into records of our own."""

import io
import json

import numpy as np
import pytest
from drawn_sets import HEIGHT, WIDTH, base64_of, blob, image, png, reasons, text
from PIL import Image
from pycocotools.coco import COCO
from rasterization import even_odd, iou, star, where
from reference import REFERENCE, needs_reference

from object_detection.datasets import masks
from object_detection.datasets.annotations import Category
from object_detection.datasets.formats import labelme
from object_detection.datasets.formats.shapes import BOX_AS_MASK
from object_detection.errors import AnnotationError

LINE = star(40, 30, 20, 28, spikes=5)
SQUARE = [[10, 10], [50, 10], [50, 40], [10, 40]]


def _shape(label="cat", points=SQUARE, **fields):
    return {"label": label, "points": points, **fields}


def _content(*shapes, **fields):
    return {"shapes": list(shapes), "imagePath": "a.png", "imageData": None, **fields}


def _read(tmp_path, *shapes, **fields):
    image(tmp_path / "a.png")
    text(tmp_path / "a.json", _content(*shapes, **fields))
    return labelme.read(tmp_path)


def _only(found):
    (only,) = found.images[0].objects
    return only


def test_a_file_of_version_5(tmp_path):
    fields = {"version": "5.4.1", "flags": {}, "imageHeight": HEIGHT, "imageWidth": WIDTH}
    shape = _shape(points=LINE, shape_type="polygon", group_id=None, description="", flags={})

    found = _read(tmp_path, shape, **fields)

    (photo,) = found.images
    assert (photo.key, photo.source_id, photo.filename) == ("a.json", "a.png", "a.png")
    assert (photo.path, photo.encoded) == (tmp_path / "a.png", None)
    assert photo.stated_size == (HEIGHT, WIDTH)
    assert found.categories == (Category("cat"),)
    assert found.findings == ()
    assert iou(_only(found), even_odd([LINE], HEIGHT, WIDTH)) >= 0.99


def test_an_old_file_without_version_type_and_sizes(tmp_path):
    shape = _shape(points=LINE, line_color=None, fill_color=[1, 2, 3, 4])

    found = _read(tmp_path, shape, lineColor=[0, 255, 0, 128], fillColor=[255, 0, 0, 128])

    assert found.images[0].stated_size is None
    assert iou(_only(found), even_odd([LINE], HEIGHT, WIDTH)) >= 0.99


@pytest.mark.parametrize(
    "points", [[[10, 20], [50, 40]], [[50, 20], [10, 40]], [[50, 40], [10, 20]]]
)
def test_a_rectangle_from_any_corner(tmp_path, points):
    found = _read(tmp_path, _shape(points=points, shape_type="rectangle"))

    assert _only(found).box == (20, 10, 40, 50)
    pixels = masks.rasterize(_only(found).mask, HEIGHT, WIDTH)
    assert pixels[20:40, 10:50].all() and pixels.sum() == 20 * 40
    assert reasons(found) == {BOX_AS_MASK: ["a.json shape 1"]}


def test_a_rectangle_of_four_corners_and_a_turned_one(tmp_path):
    turned = [[40, 5], [70, 30], [40, 55], [10, 30]]

    found = _read(
        tmp_path,
        _shape(points=SQUARE, shape_type="rectangle"),
        _shape(points=turned, shape_type="oriented_rectangle"),
    )

    one, two = found.images[0].objects
    assert one.box == (10, 10, 40, 50)
    assert iou(two, even_odd([turned], HEIGHT, WIDTH)) >= 0.99


def test_a_circle_is_its_center_and_a_point_on_it(tmp_path):
    found = _read(tmp_path, _shape(points=[[40, 30], [52, 46]], shape_type="circle"))

    expected = where(lambda x, y: (x - 40) ** 2 + (y - 30) ** 2 <= 20**2, HEIGHT, WIDTH)
    assert iou(_only(found), expected) >= 0.99


@pytest.mark.parametrize("mode", ["L", "1", "P"])
@pytest.mark.parametrize("last", [1, 0])  # some tools state the corner behind the last pixel
def test_a_mask_keeps_every_pixel(tmp_path, mode, last):
    pixels = blob()
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    top, left, bottom, right = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
    encoded = base64_of(png(pixels[top:bottom, left:right], mode))
    corners = [[float(left), float(top)], [float(right - last), float(bottom - last)]]

    found = _read(tmp_path, _shape(points=corners, shape_type="mask", mask=encoded))

    assert iou(_only(found), pixels) == 1


def test_parts_of_a_group_are_one_object_of_each_label(tmp_path):
    parts = [star(20, 30, 15, 18), star(60, 30, 15, 18)]
    pixels = blob()
    mask = _shape(
        points=[[0, 0], [WIDTH - 1, HEIGHT - 1]], shape_type="mask", mask=base64_of(png(pixels))
    )

    found = _read(
        tmp_path,
        _shape(points=parts[0], group_id=1),
        _shape("dog", points=LINE, group_id=1),
        _shape(points=parts[1], group_id=1),
        _shape(points=parts[1], group_id=0),
        {**mask, "group_id": 0},
        _shape(points=LINE),
    )

    cat, dog, mixed, alone = found.images[0].objects
    assert iou(cat, even_odd(parts, HEIGHT, WIDTH)) >= 0.99
    assert dog.class_name == "dog"
    assert iou(mixed, even_odd(parts[1:], HEIGHT, WIDTH) | pixels) >= 0.99
    assert iou(alone, even_odd([LINE], HEIGHT, WIDTH)) >= 0.99


def test_shapes_that_are_no_objects_are_named_with_the_reason(tmp_path):
    shapes = [
        _shape(points=[[1, 1]], shape_type="point"),
        _shape(points=[[1, 1], [2, 2]], shape_type="line"),
        _shape(points=LINE, shape_type="linestrip"),
        _shape(points=[[1, 1], [2, 2]]),
        _shape(points=[[1, 1], [1, 1]], shape_type="circle"),
        _shape(points=[[1, 1]], shape_type="rectangle"),
        _shape(points=[[1, 1], [2, 2]], shape_type="mask"),
        _shape(points=LINE, shape_type="cuboid"),
        _shape(label=""),
        _shape(points=[[1, 1], [None, 3], [4, 5]]),
        "shape",
    ]

    found = _read(tmp_path, *shapes)

    assert found.images[0].objects == ()
    assert [key for keys in reasons(found).values() for key in keys] == [
        f"a.json shape {number + 1}" for number in range(len(shapes))
    ]
    assert "a shape of type 'point' has no area" in reasons(found)


def test_ticks_are_read(tmp_path):
    found = _read(
        tmp_path,
        _shape(flags={"difficult": True, "truncated": False, "iscrowd": True}),
        _shape(difficult=True, attributes={}),
    )

    one, two = found.images[0].objects
    assert (one.difficult, one.truncated, one.crowd) == (True, False, True)
    assert two.difficult and not two.crowd


def test_a_missing_image_is_taken_from_the_json(tmp_path):
    inside = image(tmp_path / "hidden.png").read_bytes()
    (tmp_path / "hidden.png").unlink()
    content = _content(_shape(), imagePath="..\\photos\\a.png", imageData=base64_of(inside))
    text(tmp_path / "sub" / "b.json", content)

    (photo,) = labelme.read(tmp_path).images

    assert (photo.encoded, photo.path) == (inside, None)
    assert (photo.source_id, photo.filename) == ("sub/b.png", "sub/b.png")


def test_an_image_file_comes_before_the_one_in_the_json(tmp_path):
    found = _read(tmp_path, _shape(), imageData=base64_of(b"another"))

    assert found.images[0].encoded is None


@pytest.mark.parametrize("names", ["b.json", "notes.jpg", "notes.txt", ["b.jpg"], "x" * 300, "a\0"])
def test_an_image_path_that_names_no_image_is_passed_over(tmp_path, names):
    """labelme's own tutorial has an imagePath that names the JSON itself."""
    text(tmp_path / "notes.jpg", "no image")
    text(tmp_path / "notes.txt", "no image")
    photo = image(tmp_path / "b.jpg")
    text(tmp_path / "b.json", _content(_shape(), imagePath=names))

    assert labelme.read(tmp_path).images[0].path == photo

    inside = png(blob())
    photo.unlink()
    text(tmp_path / "b.json", _content(_shape(), imagePath=names, imageData=base64_of(inside)))
    (only,) = labelme.read(tmp_path / "b.json").images
    assert (only.path, only.encoded) == (None, inside)


@pytest.mark.parametrize(
    ("stated", "taken"), [((20, 30), "inside"), ((30, 20), "file"), ((9, 9), "file"), ((), "file")]
)
def test_of_two_pictures_the_one_of_the_stated_size_is_taken(tmp_path, stated, taken):
    inside = io.BytesIO()
    Image.new("RGB", (30, 20)).save(inside, "PNG")  # 20 high
    Image.new("RGB", (20, 30)).save(tmp_path / "a.png")
    fields = dict(zip(("imageHeight", "imageWidth"), stated, strict=False))
    content = _content(_shape(), imageData=base64_of(inside.getvalue()), **fields)
    text(tmp_path / "a.json", content)

    found = labelme.read(tmp_path)

    (photo,) = found.images
    if taken == "inside":
        assert (photo.path, photo.encoded) == (None, inside.getvalue())
        assert photo.filename == "a.png"
        assert [key for keys in reasons(found).values() for key in keys] == ["a.json: a.png"]
    else:
        assert (photo.path, photo.encoded) == (tmp_path / "a.png", None)


def test_background_is_no_class_and_ignore_an_ignore_region(tmp_path):
    shapes = [_shape("_background_"), _shape("__ignore__"), _shape("cat")]

    found = _read(tmp_path, *shapes)

    assert [each.class_name for each in found.images[0].objects] == ["__ignore__", "cat"]
    assert found.categories == (Category("cat"),)
    assert found.has_ignore_regions
    assert [(f.group, f.key) for f in found.findings] == [
        ("left out as asked", "a.json shape 1"),
        ("derived values", "a.json shape 2"),
    ]


@pytest.mark.parametrize("label", [["cat"], {"a": 1}, True, "c\0t", "\ud800", "x" * 2000])
def test_a_label_that_is_no_name_costs_its_shape_only(tmp_path, label):
    image(tmp_path / "a.png")
    text(tmp_path / "a.json", json.dumps(_content(_shape(label), _shape(7))))

    found = labelme.read(tmp_path)

    assert [each.class_name for each in found.images[0].objects] == ["7"]
    assert [(f.group, f.key) for f in found.findings] == [("skipped objects", "a.json shape 1")]


def test_broken_image_data_leaves_the_missing_file(tmp_path):
    text(tmp_path / "a.json", _content(imagePath="C:\\x\\b.jpg", imageData=5))

    found = labelme.read(tmp_path)

    assert found.images[0].path == tmp_path / "b.jpg"
    assert reasons(found) == {"the image inside the JSON (imageData) is broken": ["a.json"]}


@pytest.mark.parametrize(
    ("stated", "lies"),
    [
        ("D:\\me\\photos\\ä ö.png", "ä ö.png"),
        ("..\\images\\a.png", "../images/a.png"),
        ("../images/a.png", "../images/a.png"),
        ("a.PNG", "a.png"),
        ("renamed.png", "b.jpg"),  # labelme names the JSON after the image
        (None, "b.png"),
    ],
)
def test_an_image_is_found_under_names_of_other_systems(tmp_path, stated, lies):
    where = image(tmp_path / "set" / "json" / lies).resolve()
    content = _content(_shape(label="chien à côté"))
    text(tmp_path / "set" / "json" / "b.json", {**content, "imagePath": stated})

    (photo,) = labelme.read(tmp_path / "set").images

    assert photo.path == where
    assert photo.filename == where.relative_to(tmp_path / "set").as_posix()
    assert photo.objects[0].class_name == "chien à côté"


def test_images_of_another_folder(tmp_path):
    image(tmp_path / "images" / "deep" / "a.png")
    text(tmp_path / "json" / "a.json", _content(_shape()))

    (photo,) = labelme.read(tmp_path / "json", tmp_path / "images").images

    assert photo.path == tmp_path / "images" / "deep" / "a.png"
    assert photo.source_id == "deep/a.png"


def test_an_image_without_shapes_is_an_image_and_others_are_reported(tmp_path):
    image(tmp_path / "b.png")

    found = _read(tmp_path)

    assert [photo.objects for photo in found.images] == [()]
    assert reasons(found) == {"image without annotations: left out": ["b.png"]}


def test_one_bad_file_spoils_nothing(tmp_path):
    text(tmp_path / "0.json", '{"shapes": [')
    text(tmp_path / "coco.json", {"images": [], "annotations": []})

    found = _read(tmp_path, _shape())

    assert len(found.images) == 1
    (cut, foreign) = reasons(found).items()
    assert "cut off" in cut[0] and cut[1] == ["0.json"]
    assert "not in labelme's form" in foreign[0] and foreign[1] == ["coco.json"]


def test_a_single_file(tmp_path):
    _read(tmp_path, _shape())

    assert len(labelme.read(tmp_path / "a.json").images) == 1


def test_no_labelme_file_at_all_is_an_error(tmp_path):
    with pytest.raises(AnnotationError, match="no labelme file"):
        labelme.read(tmp_path)
    text(tmp_path / "0.json", "{")
    with pytest.raises(AnnotationError, match="0.json is not whole JSON"):
        labelme.read(tmp_path)


def _xml(*objects, filename="a.png"):
    size = f"<imagesize><nrows>{HEIGHT}</nrows><ncols>{WIDTH}</ncols></imagesize>"
    stated = f"<filename>\n{filename}\n</filename><folder>trip</folder>{size}"
    return f"\n<annotation>{stated}{''.join(objects)}</annotation>"


def _xml_object(line=LINE, name="cat", inner=""):
    points = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in line)
    return f"<object><name>{name}</name>{inner}<polygon>{points}</polygon></object>"


def test_the_xml_of_labelme_on_the_web(tmp_path):
    image(tmp_path / "a.png")
    pixels = blob()
    (tmp_path / "Masks").mkdir()
    (tmp_path / "Masks" / "m.png").write_bytes(png(pixels, "L"))
    (tmp_path / "Scribbles").mkdir()
    (tmp_path / "Scribbles" / "s.png").write_bytes(png(pixels, "L"))
    objects = [
        _xml_object(inner="<occluded>yes</occluded><attributes>red, truncated</attributes>"),
        _xml_object(SQUARE, inner="<type>bounding_box</type><deleted>0</deleted>"),
        "<object><name>dog</name><segm><mask>m.png</mask></segm></object>",
        _xml_object(inner="<deleted>1</deleted>"),
        _xml_object(SQUARE[:2]),
        _xml_object(name=""),
        "<object><name>cat</name></object>",
    ]
    text(tmp_path / "a.xml", _xml(*objects))

    found = labelme.read(tmp_path)

    (photo,) = found.images
    assert (photo.path, photo.stated_size) == (tmp_path / "a.png", (HEIGHT, WIDTH))
    polygon, box, mask = photo.objects
    assert iou(polygon, even_odd([LINE], HEIGHT, WIDTH)) >= 0.99
    assert polygon.truncated and polygon.attributes == (("occluded", 1),)
    assert box.box == (10, 10, 40, 50)
    assert mask.class_name == "dog" and iou(mask, pixels) == 1
    reported = [key for keys in reasons(found).values() for key in keys]
    assert sorted(reported) == [f"a.xml object {number}" for number in (2, 4, 5, 6, 7)]


def test_xml_in_the_folders_of_labelme_on_the_web(tmp_path):
    image(tmp_path / "Images" / "trip" / "a.png")
    image(tmp_path / "Images" / "walk" / "a.png")
    mask = "<object><name>dog</name><segm><mask>m.png</mask></segm></object>"
    text(tmp_path / "Annotations" / "trip" / "a.xml", _xml(_xml_object(), mask))
    for place in ("Annotations/trip/Masks", "Annotations/walk/Masks"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "m.png").write_bytes(png(blob()))
    voc = "<object><name>cat</name><bndbox><xmin>1</xmin></bndbox></object>"
    text(tmp_path / "Annotations" / "trip" / "b.xml", _xml(voc))

    found = labelme.read(tmp_path)

    assert [photo.filename for photo in found.images] == ["Images/trip/a.png"]
    assert iou(found.images[0].objects[1], blob()) == 1
    reported = reasons(found)
    assert reported["not in labelme's form: left out"] == ["Annotations/trip/b.xml"]
    assert len(labelme.read(tmp_path / "Annotations/trip/a.xml").images) == 1


@needs_reference
def test_a_sample_of_labelme_on_the_web():
    found = labelme.read(REFERENCE / "data" / "formats" / "labelme_dataset")

    (photo,) = found.images
    assert photo.path.is_file()
    names = [each.class_name for each in photo.objects]
    assert names == ["window", "license plate", "o1", "q1", "b1", "m1", "hg"]
    assert photo.objects[4].box == (19, 13, 30, 23)
    assert masks.extent(photo.objects[1].mask) == (67, 58, 69, 63)
    assert reasons(found) == {BOX_AS_MASK: ["img1.xml object 5"]}


@needs_reference
@pytest.mark.parametrize("split", ["train", "val"])
def test_horses_and_zebras_are_those_of_the_same_sets_coco_file(split):
    folder = REFERENCE / "data" / "sets" / "horse_zebra" / "dataset"
    truth = COCO(str(folder / f"{split}.json"))
    names = {number: category["name"] for number, category in truth.cats.items()}
    expected = {entry["file_name"]: truth.imgToAnns[key] for key, entry in truth.imgs.items()}

    found = labelme.read(folder / split)

    assert {photo.filename for photo in found.images} == expected.keys()
    for photo in found.images:
        size = json.loads((folder / split / photo.key).read_text())
        size = size["imageHeight"], size["imageWidth"]
        annotations = expected[photo.filename]
        assert len(photo.objects) == len(annotations)
        for each in photo.objects:
            overlaps = [
                iou(each, truth.annToMask(annotation).astype(bool))
                for annotation in annotations
                if names[annotation["category_id"]] == each.class_name
            ]
            assert max(overlaps) == 1
            assert iou(each, even_odd([np.reshape(each.mask.parts[0], (-1, 2))], *size)) >= 0.99
