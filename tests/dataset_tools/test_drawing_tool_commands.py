"""The commands of the drawing tools and of loose files: flags in, records out."""

import io
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from drawn_sets import HEIGHT, WIDTH, base64_of, blob, image, png, text
from PIL import Image

from object_detection.errors import AnnotationError

ROOT = Path(__file__).parents[2]
POINTS = [(10, 10), (50, 10), (50, 40), (10, 40)]
INSIDE = np.zeros((HEIGHT, WIDTH), bool)
INSIDE[10:40, 10:50] = True


def _examples(folder, base):
    paths = sorted(str(path) for path in Path(folder).glob(f"{base}-*"))
    return [
        tf.train.Example.FromString(record).features.feature
        for record in tf.data.TFRecordDataset(paths).as_numpy_iterator()
    ]


def _objects(features):
    """(class, box in pixels, mask) of the objects of an example."""
    names = [name.decode() for name in features["image/object/class/text"].bytes_list.value]
    sides = [
        np.array(features[f"image/object/bbox/{side}"].float_list.value)
        for side in ("ymin", "xmin", "ymax", "xmax")
    ]
    boxes = np.stack(sides, axis=1) * [HEIGHT, WIDTH, HEIGHT, WIDTH]
    masks = [
        np.asarray(Image.open(io.BytesIO(encoded))).astype(bool)
        for encoded in features["image/object/mask"].bytes_list.value
    ]
    return list(zip(names, boxes.round(3).tolist(), masks, strict=True))


def _labelme(root):
    image(root / "a.png")
    shapes = [{"label": "cat", "points": POINTS, "shape_type": "polygon"}]
    text(root / "a.json", {"shapes": shapes, "imagePath": "a.png"})
    return {"data_dir": root}


def _via(root):
    image(root / "a.png")
    xs, ys = zip(*POINTS, strict=True)
    shape = {"name": "polygon", "all_points_x": xs, "all_points_y": ys}
    regions = [{"shape_attributes": shape, "region_attributes": {}}]
    text(root / "via.json", {"a": {"filename": "a.png", "regions": regions}})
    return {"annotations_file": root / "via.json", "class_name": "cat"}


def _cvat(root):
    image(root / "images" / "a.png")
    points = ";".join(f"{x},{y}" for x, y in POINTS)
    shape = f'<polygon label="cat" points="{points}"></polygon>'
    text(root / "a.xml", f'<annotations><image name="a.png">{shape}</image></annotations>')
    return {"annotations_file": root / "a.xml"}


def _supervisely(root):
    image(root / "ds" / "img" / "a.png")
    bitmap = {"data": base64_of(zlib.compress(png(INSIDE[10:40, 10:50]))), "origin": [10, 10]}
    figure = {"classTitle": "cat", "geometryType": "bitmap", "bitmap": bitmap}
    text(root / "ds" / "ann" / "a.png.json", {"tags": [{"name": "t"}], "objects": [figure]})
    text(root / "meta.json", {"classes": [{"title": "cat", "shape": "bitmap"}]})
    return {"data_dir": root, "train_tag": "t"}


def _yolo(root):
    image(root / "train" / "images" / "a.png")
    row = " ".join(f"{x / WIDTH} {y / HEIGHT}" for x, y in POINTS)
    text(root / "train" / "labels" / "a.txt", f"0 {row}\n")
    text(root / "data.yaml", "train: train/images\nnames: [cat]\n")
    return {"data_dir": root / "data.yaml"}


def _instance_folders(root):
    image(root / "images" / "a.png")
    (root / "masks").mkdir()
    (root / "masks" / "a_1.png").write_bytes(png(INSIDE))
    return {"data_dir": root, "class_name": "cat"}


SETS = {
    "labelme": (_labelme, "labelme.record"),
    "via": (_via, "via.record"),
    "cvat": (_cvat, "cvat.record"),
    "supervisely": (_supervisely, "supervisely_train.record"),
    "yolo": (_yolo, "yolo_train.record"),
    "instance_folders": (_instance_folders, "instance_folders.record"),
}


@pytest.mark.parametrize("name", SETS)
def test_a_set_becomes_records_with_masks(tmp_path, command, name):
    make, base = SETS[name]

    (report,) = command(
        name, **make(tmp_path / "set"), output_dir=tmp_path / "out", include_masks=True
    )

    assert report.written["images"] == report.written["masks"] == 1
    (features,) = _examples(tmp_path / "out", base)
    ((label, box, mask),) = _objects(features)
    assert (label, box) == ("cat", [10, 10, 40, 50])
    np.testing.assert_array_equal(mask, INSIDE)
    assert features["image/object/class/label"].int64_list.value[:] == [1]
    assert 'name: "cat"' in (tmp_path / "out" / "label_map.pbtxt").read_text()


@pytest.mark.parametrize("name", SETS)
def test_a_missing_flag_is_named(tmp_path, command, name):
    needed = "annotations_file" if name in ("via", "cvat") else "data_dir"

    with pytest.raises(AnnotationError, match="--output_dir is missing"):
        command(name)
    with pytest.raises(AnnotationError, match=f"--{needed} is missing"):
        command(name, output_dir=tmp_path)


def test_a_name_of_ones_own_and_boxes_alone(tmp_path, command):
    place = _labelme(tmp_path / "set")

    (report,) = command("labelme", **place, output_dir=tmp_path, name="mine")

    assert report.written["masks"] == 0
    (features,) = _examples(tmp_path, "mine.record")
    assert "image/object/mask" not in features


def test_splits_of_several_commands_share_the_label_map(tmp_path, command):
    """A set with two subsets, and boxes that have no mask of their own."""
    for subset in ("Train", "Test"):
        image(tmp_path / "images" / subset / "a.png")
    box = '<box label="{}" xtl="10" ytl="10" xbr="50" ybr="40"></box>'
    images = "".join(
        f'<image name="a.png" subset="{subset}">{box.format(label)}</image>'
        for subset, label in (("Train", "dog"), ("Test", "cat"))
    )
    text(tmp_path / "a.xml", f"<annotations>{images}</annotations>")

    command("cvat", annotations_file=tmp_path / "a.xml", output_dir=tmp_path, include_masks=True)

    for subset, label, number in (("Train", "dog", 2), ("Test", "cat", 1)):
        (features,) = _examples(tmp_path, f"cvat_{subset}.record")
        assert features["image/object/class/label"].int64_list.value[:] == [number]
        ((name, _, mask),) = _objects(features)
        assert name == label
        np.testing.assert_array_equal(mask, INSIDE)


def test_objects_of_files_in_worker_processes(tmp_path, command):
    for name in ("a", "b"):
        image(tmp_path / "set" / "images" / f"{name}.png")
        path = tmp_path / "set" / "masks" / name / "cat" / "1.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(png(blob(ord(name))))

    command(
        "instance_folders", data_dir=tmp_path / "set", output_dir=tmp_path / "out", num_workers=2
    )

    for name, features in zip(
        "ab", _examples(tmp_path / "out", "instance_folders.record"), strict=True
    ):
        ((label, _, mask),) = _objects(features)
        assert label == "cat"
        np.testing.assert_array_equal(mask, blob(ord(name)))


def test_the_command_itself(tmp_path):
    place = _labelme(tmp_path / "set")["data_dir"]
    arguments = [f"--data_dir={place}", f"--output_dir={tmp_path / 'out'}", "--include_masks"]

    done = subprocess.run(
        [sys.executable, str(ROOT / "dataset_tools/create_labelme_tf_record.py"), *arguments],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "1 objects" in done.stdout
    assert (tmp_path / "out" / "labelme.record-00000-of-00001").is_file()


def test_ignore_regions_are_written_outside_the_label_map(tmp_path, command):
    image(tmp_path / "a.png")
    shapes = [{"label": label, "points": POINTS} for label in ("cat", "__ignore__")]
    text(tmp_path / "a.json", {"shapes": shapes, "imagePath": "a.png"})

    command("labelme", data_dir=tmp_path, output_dir=tmp_path / "out")

    (features,) = _examples(tmp_path / "out", "labelme.record")
    assert features["image/object/class/text"].bytes_list.value == [b"cat", b"__ignore__"]
    assert features["image/object/class/label"].int64_list.value == [1, 2]
    assert (tmp_path / "out" / "label_map.pbtxt").read_text().count("item") == 1
    # A label map that is given already: its own numbers stay.
    shapes[0]["label"] = "dog"
    text(tmp_path / "a.json", {"shapes": shapes, "imagePath": "a.png"})
    (tmp_path / "given.pbtxt").write_text('item { id: 7 name: "dog" }')
    command(
        "labelme",
        data_dir=tmp_path,
        output_dir=tmp_path / "given",
        label_map_path=tmp_path / "given.pbtxt",
    )
    (features,) = _examples(tmp_path / "given", "labelme.record")
    assert features["image/object/class/label"].int64_list.value == [7, 8]


def test_a_split_of_which_every_object_is_lost_ends_in_an_error(tmp_path):
    """Also where the other split is sound: the label map has no class of this one."""
    make, _ = SETS["labelme"]
    make(tmp_path / "set")
    (tmp_path / "other.pbtxt").write_text('item { id: 1 name: "dog" }')
    script = ROOT / "dataset_tools" / "create_labelme_tf_record.py"
    flags = [f"--data_dir={tmp_path / 'set'}", f"--output_dir={tmp_path / 'out'}"]

    done = subprocess.run(
        [sys.executable, str(script), *flags, f"--label_map_path={tmp_path / 'other.pbtxt'}"],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "error: a split has no object that could be written: labelme. " in done.stderr
    assert "the label map has no class 'cat' (1: a.json shape 1)" in done.stderr
    assert "Traceback" not in done.stderr
