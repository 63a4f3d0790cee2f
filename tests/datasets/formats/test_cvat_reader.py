"""CVAT's XML for images and for video into records of our own."""

from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
from drawn_sets import HEIGHT, WIDTH, blob, image, reasons, text
from rasterization import even_odd, iou, star, where
from reference import REFERENCE, needs_reference

from object_detection.datasets.annotations import Category
from object_detection.datasets.formats import cvat
from object_detection.datasets.formats.cvat import TURNED
from object_detection.datasets.formats.shapes import BOX_AS_MASK
from object_detection.errors import AnnotationError

LINE = star(40, 30, 20, 28, spikes=5)
POINTS = ";".join(f"{x},{y}" for x, y in LINE)
BOX = {"xtl": 10, "ytl": 20, "xbr": 50, "ybr": 40}


def _element(tag, inner="", **attributes):
    stated = "".join(f" {name}={quoteattr(str(value))}" for name, value in attributes.items())
    return f"<{tag}{stated}>{inner}</{tag}>"


def _shape(tag, inner="", label="cat", **attributes):
    return _element(tag, inner, label=label, **attributes)


def _label(name, kind=None, parent=None):
    inner = f"<name>{name}</name><color>#ff0000</color><attributes></attributes>"
    inner += f"<type>{kind}</type>" * bool(kind) + f"<parent>{parent}</parent>" * bool(parent)
    return f"<label>{inner}</label>"


def _xml(*elements, labels=("cat",), meta="", around="task"):
    labels = "".join(name if name.startswith("<") else _label(name) for name in labels)
    meta = f"<meta><{around}>{meta}<labels>{labels}</labels></{around}></meta>"
    inner = f"<version>1.1</version>{meta}{''.join(elements)}"
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>{inner}</annotations>'


def _image(*shapes, name="a.png", **attributes):
    return _element("image", "".join(shapes), id=0, name=name, **attributes)


def _read(tmp_path, *elements, **options):
    image(tmp_path / "images" / "a.png")
    sets = cvat.read(text(tmp_path / "annotations.xml", _xml(*elements, **options)))
    (found,) = sets.values()
    return found


def _objects(tmp_path, *shapes):
    return _read(tmp_path, _image(*shapes)).images[0].objects


def test_boxes_and_polygons(tmp_path):
    shapes = [_shape("box", occluded=1, z_order=2, **BOX), _shape("polygon", points=POINTS)]

    found = _read(tmp_path, _image(*shapes, width=WIDTH, height=HEIGHT))

    (photo,) = found.images
    assert (photo.key, photo.source_id) == ("a.png", "images/a.png")
    assert photo.path == tmp_path / "images" / "a.png"
    assert photo.stated_size == (HEIGHT, WIDTH)
    box, polygon = photo.objects
    assert (box.box, box.attributes) == ((20, 10, 40, 50), (("occluded", 1),))
    assert polygon.attributes == ()
    assert iou(polygon, even_odd([LINE], HEIGHT, WIDTH)) >= 0.99
    assert reasons(found) == {BOX_AS_MASK: ["a.png box 1"]}


@pytest.mark.parametrize("degrees", [25.5, 90, 330])
def test_turned_boxes_and_ellipses(tmp_path, degrees):
    a = np.radians(degrees)

    def along(x, y):
        x, y = x - 30, y - 30
        return x * np.cos(a) + y * np.sin(a), -x * np.sin(a) + y * np.cos(a)

    def in_box(x, y):
        u, v = along(x, y)
        return (abs(u) <= 20) & (abs(v) <= 10)

    def in_ellipse(x, y):
        u, v = along(x, y)
        return (u / 25) ** 2 + (v / 16) ** 2 <= 1

    found = _read(
        tmp_path,
        _image(
            _shape("box", rotation=degrees, **BOX),
            _shape("ellipse", cx=30, cy=30, rx=25, ry=16, rotation=degrees),
        ),
    )

    box, ellipse = found.images[0].objects
    assert box.box is None  # that around the mask
    assert iou(box, where(in_box, HEIGHT, WIDTH)) >= 0.985  # of 800 pixels
    assert iou(ellipse, where(in_ellipse, HEIGHT, WIDTH)) >= 0.99
    assert reasons(found) == {TURNED: ["a.png box 1"]}


def _runs(pixels):
    """Lengths of the runs of zeros and ones along the rows, zeros first."""
    flat = np.concatenate([[0], pixels.ravel().astype(int), [2]])
    edges = np.flatnonzero(np.diff(flat[1:])) + 1
    runs = np.diff(np.concatenate([[0], edges])).tolist()
    return ([0] if pixels.ravel()[0] else []) + runs


@pytest.mark.parametrize("first", [0, 1])
def test_a_mask_keeps_every_pixel(tmp_path, first):
    pixels = blob()
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    piece = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    piece[0, 0] = first
    height, width = piece.shape
    runs = ", ".join(str(run) for run in _runs(piece))
    stated = {"left": columns[0], "top": rows[0], "width": width, "height": height}

    (only,) = _objects(tmp_path, _shape("mask", rle=runs, **stated))

    assert iou(only, pixels) == 1


def test_a_group_joins_the_shapes_of_one_label(tmp_path):
    parts = [star(20, 30, 15, 18), star(60, 30, 15, 18)]
    points = [";".join(f"{x},{y}" for x, y in part) for part in parts]

    objects = _objects(
        tmp_path,
        _shape("polygon", points=points[0], group_id=3),
        _shape("polygon", points=points[1], group_id=3),
        _shape("polygon", points=points[1], group_id=3, label="dog"),
        _shape("polygon", points=points[1], group_id=0),
        _shape("polygon", points=points[1], group_id=0),
    )

    assert [each.class_name for each in objects] == ["cat", "dog", "cat", "cat"]
    assert iou(objects[0], even_odd(parts, HEIGHT, WIDTH)) >= 0.99


def test_attributes_that_are_ticked(tmp_path):
    ticked = '<attribute name="difficult">true</attribute><attribute name="is_crowd">1</attribute>'
    other = '<attribute name="truncated">false</attribute><attribute name="color"></attribute>'

    (only,) = _objects(tmp_path, _shape("box", ticked + other, **BOX))

    assert (only.difficult, only.crowd, only.truncated) == (True, True, False)


def test_shapes_that_are_no_objects_are_named(tmp_path):
    shapes = [
        _shape("points", points="1,2;3,4;5,6"),
        _shape("polyline", points="1,2;3,4;5,6"),
        _shape("skeleton", _shape("points", points="1,1")),
        _shape("cuboid", xtl1=1),
        _shape("polygon", points="1,2;3,4"),
        _shape("polygon", points="1,2;3,4;5"),
        _shape("box", xtl="a", ytl=1, xbr=2, ybr=3),
        _shape("box", label="", **BOX),
        _shape("mask", rle="1, 2", left=1, top=1, width=2, height=2),
        _shape("mask", rle="1, x", left=1, top=1, width=2, height=2),
        _shape("sphere"),
    ]

    found = _read(tmp_path, _image(*shapes, _element("tag", label="night")))

    assert found.images[0].objects == ()
    reported = reasons(found)
    assert reported.pop("a tag on the image is no object: left out") == ["a.png"]
    assert sorted(int(key.split()[-1]) for keys in reported.values() for key in keys) == list(
        range(1, 12)
    )


def test_classes_are_the_labels_that_can_have_an_area(tmp_path):
    labels = ("zebra", "cat", _label("man", "skeleton"), _label("1", "rectangle", "man"))

    found = _read(tmp_path, _image(_shape("box", label="horse", **BOX)), labels=labels)

    assert found.categories == (Category("cat"), Category("horse"), Category("zebra"))


def test_each_subset_is_a_set_of_its_own_with_all_the_classes(tmp_path):
    for name in ("Train", "Validation"):
        image(tmp_path / "images" / name / "a.png")
    xml = _xml(
        _image(_shape("box", **BOX), subset="Train"),
        _image(_shape("box", label="dog", **BOX), subset="Validation"),
        around="project",
    )

    sets = cvat.read(text(tmp_path / "annotations.xml", xml))

    assert list(sets) == ["Train", "Validation"]
    for name, found in sets.items():
        assert [photo.path for photo in found.images] == [tmp_path / "images" / name / "a.png"]
        assert found.categories == (Category("cat"), Category("dog"))
    for found in sets.values():  # what is wrong with a subset is told with it
        assert len(found.findings) == 1


def test_several_tasks_in_a_folder(tmp_path):
    for task in ("one", "two"):
        image(tmp_path / task / "images" / "a.png")
        text(tmp_path / task / "annotations.xml", _xml(_image(_shape("box", **BOX))))
    text(tmp_path / "voc.xml", "<annotation></annotation>")
    text(tmp_path / "broken.xml", "<annotations>")

    (found,) = cvat.read(tmp_path).values()

    assert [photo.source_id for photo in found.images] == ["one/images/a.png", "two/images/a.png"]
    assert all(photo.path.is_file() for photo in found.images)
    reported = reasons(found)
    assert {"voc.xml"} in [set(keys) for keys in reported.values()]
    assert {"broken.xml"} in [set(keys) for keys in reported.values()]


def test_images_elsewhere_and_missing_ones(tmp_path):
    image(tmp_path / "photos" / "deep" / "a.png")
    path = text(tmp_path / "a.xml", _xml(_image(), _image(name="x/b.png"), _image(name="")))

    (found,) = cvat.read(path, tmp_path / "photos").values()

    assert [photo.path for photo in found.images] == [
        tmp_path / "photos" / "deep" / "a.png",
        tmp_path / "photos" / "x" / "b.png",
    ]
    assert reasons(found) == {"the image has no name": ["image 0"]}


def _track(*shapes, label="cat", **attributes):
    return _element("track", "".join(shapes), label=label, **attributes)


def _at(frame, tag="box", outside=0, **attributes):
    attributes = attributes or BOX
    return _element(tag, frame=frame, outside=outside, occluded=0, keyframe=1, **attributes)


def _video(tmp_path, *tracks, names=("frame_000010.png",), meta=""):
    for name in names:
        image(tmp_path / "images" / name)
    sets = cvat.read(text(tmp_path / "annotations.xml", _xml(*tracks, meta=meta)))
    (found,) = sets.values()
    return found


def test_frames_of_a_video_are_images(tmp_path):
    meta = (
        "<start_frame>10</start_frame><stop_frame>19</stop_frame>"
        "<frame_filter>step=3</frame_filter>"
        "<original_size><width>80</width><height>60</height></original_size>"
    )
    tracks = [
        _track(_at(10), _at(13), _at(16, outside=1), id=0),
        _track(_at(13, "polygon", points=POINTS), _at(16, "polygon", 1, points=POINTS), id=1),
    ]
    names = [f"frame_0000{number}.PNG" for number in (10, 13, 16)]

    found = _video(tmp_path, *tracks, names=names, meta=meta)

    assert [photo.filename for photo in found.images] == [
        *(f"images/{name}" for name in names),
        "frame_000019.png",  # which is not there: the conversion says so
    ]
    assert [len(photo.objects) for photo in found.images] == [1, 2, 0, 0]
    assert {photo.stated_size for photo in found.images} == {(60, 80)}
    assert iou(found.images[1].objects[1], even_odd([LINE], HEIGHT, WIDTH)) >= 0.99


def test_what_is_not_stated_between_two_keyframes_is_moved(tmp_path):
    later = {"xtl": 14, "ytl": 20, "xbr": 54, "ybr": 36}
    moved = ";".join(f"{x + 4},{y}" for x, y in LINE)
    tracks = [
        _track(_at(0), _at(4, **later), _at(6, outside=1), id=0),
        _track(_at(0, "polygon", points=POINTS), _at(2, "polygon", points=moved), id=1),
        _track(_at(0, "polygon", points=POINTS), _at(2, "polygon", points="1,1;9,1;9,9"), id=2),
    ]

    found = _video(tmp_path, *tracks)

    boxes = [photo.objects[0].box for photo in found.images if photo.objects]
    assert boxes == [
        (20, 10, 40, 50),
        (20, 11, 39, 51),
        (20, 12, 38, 52),
        (20, 13, 37, 53),
        (20, 14, 36, 54),
        (20, 14, 36, 54),  # on its way out
    ]
    assert found.images[6].objects == ()
    halfway, kept = found.images[1].objects[1:]
    assert iou(halfway, even_odd([[(x + 2, y) for x, y in LINE]], HEIGHT, WIDTH)) >= 0.99
    assert iou(kept, even_odd([LINE], HEIGHT, WIDTH)) >= 0.99
    assert len(reasons(found)[cvat.BETWEEN]) == 4 + 2


def test_a_frame_is_the_image_with_its_number(tmp_path):
    names = ("a_1.png", "frame_000001.png", "b_2.png", "c_2.png", "d3.png")

    found = _video(tmp_path, _track(*(_at(frame) for frame in (1, 2, 3))), names=names)

    assert [photo.path for photo in found.images] == [
        tmp_path / "images" / "frame_000001.png",
        tmp_path / "frame_000002.png",  # two would fit
        tmp_path / "images" / "d3.png",
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("<annotations>", "not whole XML"),
        ("<annotation></annotation>", "begins with <annotation>"),
        (_xml(), "with an image"),
    ],
)
def test_a_file_that_is_none_of_cvat_is_an_error(tmp_path, content, why):
    with pytest.raises(AnnotationError, match=why):
        cvat.read(text(tmp_path / "a.xml", content))


@needs_reference
def test_samples_of_cvat():
    folder = REFERENCE / "data" / "formats" / "cvat_dataset"

    (images,) = cvat.read(folder / "for_images" / "train.xml").values()
    (video,) = cvat.read(folder / "for_video").values()

    assert images.categories == (Category("label1"), Category("label2"))
    assert [[each.box for each in photo.objects] for photo in images.images] == [
        [(2, 0, 4, 4)],
        [],
    ]
    assert [photo.path.is_file() for photo in video.images] == [True, True, False, False]
    assert [len(photo.objects) for photo in video.images] == [1, 0, 0, 0]
    assert {category.name for category in video.categories} == {"klhg", "z U k", "II"}
