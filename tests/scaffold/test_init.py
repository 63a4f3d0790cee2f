"""What `init` writes: a config that is fit to train with, and commands that make its records."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import made_records
import numpy as np
import pytest
import test_layouts
from absl import flags
from drawn_sets import image, text

from object_detection import init
from object_detection.config import pipeline_file, preflight
from object_detection.data import record_files
from object_detection.datasets import files
from object_detection.errors import AnnotationError
from object_detection.modeling.backbones import BACKBONES
from object_detection.scaffold import commands, data_set, record_set

ROOT = Path(init.__file__).parents[1]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs `init.write` with flags; gives its text and the config it wrote."""
    values = flags.FlagValues()
    monkeypatch.setattr(init.flags, "FLAGS", values)
    monkeypatch.setattr(init, "FLAGS", values)
    for kind in ("string", "integer", "boolean", "float", "enum"):
        define = getattr(flags, f"DEFINE_{kind}")

        def defines(*given, define=define, **more):
            return define(*given, **{"flag_values": values} | more)

        monkeypatch.setattr(init.flags, f"DEFINE_{kind}", defines)
    monkeypatch.setattr(init.flags, "mark_flags_as_required", lambda names: None)
    init.define_flags()

    def runs(*given, start=lambda: None):
        values.unparse_flags()
        values(["init", f"--output_dir={tmp_path / 'out'}", *given])
        said = init.write(start)
        return said, pipeline_file.load(tmp_path / "out")

    return runs


def coco_json(count, folder):
    """A COCO json of `count` photographs of 60 x 80 with two objects each, beside its images."""
    for number in range(count):
        image(folder / "images" / f"{number}.jpg")
    square = [[10, 10, 40, 10, 40, 40, 10, 40]]
    return {
        "images": [
            {"id": n, "file_name": f"{n}.jpg", "height": 60, "width": 80} for n in range(count)
        ],
        "annotations": [
            {"id": 2 * n + k, "image_id": n, "category_id": k + 1, "bbox": [10, 10, 30, 30]}
            | {"segmentation": square, "area": 900, "iscrowd": 0}
            for n in range(count)
            for k in range(2)
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }


def test_a_coco_json_becomes_a_project(run, tmp_path):
    text(tmp_path / "set" / "labels.json", coco_json(5, tmp_path / "set"))

    said, config = run(f"--data={tmp_path / 'set' / 'labels.json'}", "--num_steps=40")

    out = tmp_path / "out"
    assert "coco: 5 images to train on, 2 class(es): cat, dog; 100% of the objects" in said
    assert 'name: "dog"' in (out / "label_map.pbtxt").read_text()
    assert config.model.faster_rcnn.num_classes == 2
    assert config.train_config.num_steps == 40
    assert "show the network 80 images (5 images x 16 epochs)" in said
    assert "--fine_tune_checkpoint" in said and "--num_steps" in said
    [reader] = config.eval_input_reader
    pattern = str(out / "records" / "coco_train_val.record-?????-of-?????")
    assert list(reader.tf_record_input_reader.input_path) == [pattern]
    script = (out / "commands.sh").read_text()
    assert f"--train_image_dir={tmp_path / 'set' / 'images'}" in script
    named = [word.split(".")[-1] for word in script.split() if word.startswith("object_detection.")]
    assert named[0] == "create_coco_tf_record"
    assert named[1:] == ["browse_data", *["model_main_tf2"] * 2, "exporter_main_v2", "predict"]


def test_a_folder_with_two_jsons_is_divided_already(run, tmp_path):
    content = coco_json(3, tmp_path)
    text(tmp_path / "annotations" / "instances_train.json", content)
    text(tmp_path / "annotations" / "instances_val.json", content)

    said, _ = run(f"--data={tmp_path / 'annotations'}")

    assert "from random weights" not in said  # 1,000 steps of 2
    script = (tmp_path / "out" / "commands.sh").read_text()
    assert "--val_annotations_file=" in script and "--val_fraction" not in script


def test_records_are_looked_into(run, tmp_path):
    record = made_records.record([(0.1, 0.1, 0.6, 0.6)], size=(50, 50), masks=True)
    made_records.write(tmp_path / "train.record-00000-of-00001", [record] * 3)
    text(tmp_path / "label_map.pbtxt", "item { id: 1 name: 'thing' }")

    said, config = run(f"--data={tmp_path}")

    assert "records: 3 images to train on, 1 class(es): thing; 100%" in said
    assert "the config evaluates on those it trains on" in said
    [pattern] = config.train_input_reader.tf_record_input_reader.input_path
    assert pattern == str(tmp_path / "train.record-?????-of-00001")
    assert config.train_input_reader.load_instance_masks


def test_what_is_there_is_not_replaced(run, tmp_path):
    text(tmp_path / "set" / "labels.json", coco_json(3, tmp_path / "set"))
    run(f"--data={tmp_path / 'set'}")
    with pytest.raises(ValueError, match="pipeline.config is there already: .* --overwrite"):
        run(f"--data={tmp_path / 'set'}")
    run(f"--data={tmp_path / 'set'}", "--overwrite")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--data=absent"], "there is no file or folder absent"),
        (["--data=labels.json", "--extractor=vgg"], "--extractor is 'vgg'; there are"),
        (["--data=labels.json", "--format=dicom"], "--format is 'dicom'; there are records"),
        (["--data=labels.json", "--val_fraction=1"], "--val_fraction must lie between 0 and 1"),
        (["--data=far.json"], r"its images \(0.jpg.*--image_dir"),
        (["--data=many"], "several annotation files .*--val_data"),
        (["--data=a.csv", "--format=yolo", "--val_data=b"], "--val_data is for COCO, LVIS and CSV"),
        (
            ["--data=none.json", "--image_dir=set"],
            "none of the 3 images looked at has a usable obj",
        ),
        (["--data=gone.json", "--image_dir=."], "none of the 3 images looked at can be read"),
        (["--data=x-*.record"], "x-"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(run, tmp_path, monkeypatch, given, message):
    content = coco_json(3, tmp_path / "set")
    monkeypatch.chdir(text(tmp_path / "far" / "here.txt", "").parent)
    for name in ("labels.json", "gone.json", "far.json", "many/a.json", "many/b.json"):
        text(name, content)
    text("none.json", content | {"annotations": []})
    if given[0] in ("--data=labels.json", "--data=none.json"):
        for number in range(3):
            image(f"set/{number}.jpg")
    with pytest.raises(ValueError, match=message):
        run(*given)


def test_nothing_is_started_for_what_is_refused(run, tmp_path):
    """Data, flags and paths are judged before TensorFlow, whose start takes seconds."""
    text(tmp_path / "none.json", coco_json(2, tmp_path) | {"annotations": []})
    started = []
    for given in (
        ["--data=absent"],
        [f"--data={tmp_path / 'none.json'}"],
        [f"--data={tmp_path / 'none.json'}", "--image_dir=absent"],
        [f"--data={tmp_path / 'none.json'}", "--extractor=vgg"],
        [f"--data={tmp_path / 'x.record'}"],
    ):
        with pytest.raises(ValueError):
            run(*given, start=lambda: started.append(1))
    assert not started


def test_what_was_skipped_is_the_reason(run, tmp_path):
    content = coco_json(2, tmp_path / "set")
    for annotation in content["annotations"]:
        annotation |= {"bbox": [10, 10, 0, 30], "segmentation": []}
    text(tmp_path / "set" / "labels.json", content)
    with pytest.raises(ValueError, match=r"usable object\. Skipped: .*no width.*: 4 \(.*0.*1.*2"):
        run(f"--data={tmp_path / 'set'}")
    text(tmp_path / "set" / "images" / "0.jpg", "no image")
    (tmp_path / "set" / "images" / "1.jpg").unlink()
    with pytest.raises(ValueError, match=r"can be read\. Skipped: the image file .*: 2 \(.*0.jpg"):
        run(f"--data={tmp_path / 'set'}", f"--image_dir={tmp_path / 'set' / 'images'}")


def test_encoding_and_images_elsewhere_are_passed_on(run, tmp_path):
    text(tmp_path / "set" / "labels.json", coco_json(2, tmp_path))
    content = coco_json(2, tmp_path / "set")
    for entry in content["images"]:
        entry["file_name"] = f"../images/{entry['file_name']}"
    content["categories"][0]["name"] = "K\u00e4fer"
    path = tmp_path / "set" / "labels.json"
    path.write_bytes(json.dumps(content, ensure_ascii=False).encode("cp1252"))

    try:
        for place in (path, path.parent):
            with pytest.raises(ValueError, match="UTF-8.*--encoding=cp1252"):
                run(f"--data={place}")
        run(f"--data={path.parent}", "--encoding=cp1252", "--allow_outside_images")
    finally:
        files.declare_encoding("")
        files.allow_outside_images(False)

    assert "K\u00e4fer" in (tmp_path / "out" / "label_map.pbtxt").read_text(encoding="utf-8")
    script = (tmp_path / "out" / "commands.sh").read_text()
    assert "--encoding=cp1252" in script and "--allow_outside_images" in script


def texts_with_flags():
    """(text, file) of every text with flags in the packages that `init` uses."""
    for package in ("datasets", "scaffold", "config", "reports", "data"):
        for path in (ROOT / "object_detection" / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    if "--" in node.value:
                        yield node.value, path.name


def test_advice_names_flags_of_init(run):
    """A flag of another command is translated, or the command is named that has it."""
    reported = {place for _, place in texts_with_flags()}
    assert {"via.py", "voc_masks.py", "voc.py", "yolo.py"} <= reported
    for advice, place in texts_with_flags():
        for kind in (None, "voc", "via", "coco"):
            here = init.in_flags_of_init(advice, kind)
            for found in re.finditer(r"(?<![\w-])--([a-z_]+)\b( of )?", here):
                assert found[1] in init.FLAGS or found[2], (place, here)
    say = init.in_flags_of_init
    assert say("give --data_dir and --include_masks", "pets") == "give --data and --masks"
    assert say("name it with --class_name", "via") == "name it with --class_name"
    assert say("or --group_tag", "supervisely") == "or --group_tag of create_supervisely_tf_record"
    assert say("no list (--set)", "voc") == "no list (--set of create_pascal_tf_record)"


def test_the_advice_for_classless_regions_works(run, tmp_path):
    _, _, made = test_layouts.LAYOUTS["balloon"]
    place = test_layouts.make(tmp_path / "set", made)
    with pytest.raises(ValueError, match="with --class_name$"):
        run(f"--data={place}")
    said, config = run(f"--data={place}", "--class_name=balloon")
    assert "via: 3 images to train on, 1 class(es): balloon" in said
    assert [
        [Path(name).name.split(".")[0] for name in reader.tf_record_input_reader.input_path]
        for reader in (config.train_input_reader, config.eval_input_reader[0])
    ] == [["data_train"], ["data_val"]]


def project(folder, tags):
    """A Supervisely project whose images have these tags."""
    for number, tag in enumerate(tags):
        image(folder / "set" / "img" / f"{number}.jpg")
        corners = {"exterior": [[10, 10], [39, 39]], "interior": []}
        found = {"classTitle": "cat", "geometryType": "rectangle", "points": corners, "tags": []}
        content = {"size": {"height": 60, "width": 80}, "objects": [found]}
        content["tags"] = [{"name": tag}] if tag else []
        text(folder / "set" / "ann" / f"{number}.jpg.json", content)
    text(folder / "meta.json", {"classes": [{"title": "cat", "shape": "rectangle"}], "tags": []})


def test_a_supervisely_project_is_divided_by_its_tags(tmp_path):
    project(tmp_path / "tagged", ["train", "train", "val"])
    project(tmp_path / "plain", ["", "", ""])

    tagged = data_set.read(tmp_path / "tagged" / "meta.json")
    plain = data_set.read(tmp_path / "plain")

    assert (tagged.evaluated, tagged.trained) == ("val", ["train"])
    flags = (f"--data_dir={tmp_path / 'tagged'}", "--train_tag=train", "--val_tag=val")
    assert tagged.conversions[0].flags == flags
    assert plain.evaluated is None
    assert plain.conversions[0].flags == (f"--data_dir={tmp_path / 'plain'}",)


def test_sides_are_shares_of_the_shorter_side(tmp_path):
    text(tmp_path / "labels.json", coco_json(4, tmp_path))
    facts = data_set.facts_of(data_set.read(tmp_path))
    np.testing.assert_allclose(facts.sides, 0.5)  # 30 of 60 pixels
    assert facts.sizes.tolist() == [[60, 80]] * 4 and facts.most_objects == 2


def test_boxes_count_as_far_as_they_are_in_the_image(tmp_path):
    content = coco_json(2, tmp_path)
    for annotation in content["annotations"]:
        annotation |= {"bbox": [-1e300, 30, 1e308, 1e308], "segmentation": []}
    text(tmp_path / "labels.json", content)
    facts = data_set.facts_of(data_set.read(tmp_path))
    np.testing.assert_allclose(facts.sides, [(0.5, 80 / 60)] * 4)


def test_names_of_records_tell_what_they_are_for(tmp_path):
    def found(*names):
        folder = tmp_path / "-".join(names)
        for name in names:
            text(folder / name, "")
        pair = record_set.find(folder)
        return [[Path(name).name for name in names] for names in pair]

    assert found("a_train.record", "a_val.record", "a_test.record") == [
        ["a_train.record"],
        ["a_val.record"],
    ]
    assert found("x.tfrecord", "test.tfrecord") == [["x.tfrecord"], ["test.tfrecord"]]
    assert found("only.record") == [["only.record"]] * 2
    with pytest.raises(AnnotationError, match="which records to train on is not to be seen"):
        found("val.record", "test.record")


def sets_of(folder):
    """A small data set in each of several formats: folders by name of the format."""
    numbers = range(6)
    for name in ("labelme", "csv", "voc", "yolo/images", "via", "cvat", "mask/images"):
        for number in numbers:
            image(folder / name / f"{number}.jpg")
    square = [[10, 10], [40, 10], [40, 40], [10, 40]]
    for n in numbers:
        shape = {"label": "cat", "points": square, "shape_type": "polygon", "group_id": None}
        text(folder / f"labelme/{n}.json", {"imagePath": f"{n}.jpg", "shapes": [shape]})
        box = "<bndbox><xmin>11</xmin><ymin>11</ymin><xmax>40</xmax><ymax>40</ymax></bndbox>"
        sheet = f"<filename>{n}.jpg</filename><object><name>cat</name>{box}</object>"
        text(folder / f"voc/{n}.xml", f"<annotation>{sheet}</annotation>")
        text(folder / f"yolo/labels/{n}.txt", "0 0.3 0.4 0.4 0.5\n")
        pixels = np.zeros([60, 80], np.uint8)
        pixels[10:40, 10:40] = 1
        (folder / f"mask/masks/{n}").mkdir(parents=True)
        (folder / f"mask/masks/{n}/a.png").write_bytes(made_records.image_bytes(255 * pixels))
    rows = [f'{n}.jpg,10,10,40,40,"[[10,10,40,10,40,40]]",cat' for n in numbers]
    text(
        folder / "csv/x.csv", "\n".join(["filename,xmin,ymin,xmax,ymax,segmentation,class", *rows])
    )
    text(folder / "yolo/data.yaml", "path: .\ntrain: images\nnames: [cat]\n")
    shape = {"name": "rect", "x": 10, "y": 10, "width": 30, "height": 30}
    region = {"shape_attributes": shape, "region_attributes": {"class": "cat"}}
    entries = {f"{n}": {"filename": f"{n}.jpg", "size": 1, "regions": [region]} for n in numbers}
    text(folder / "via/via.json", entries)
    corners = 'xtl="10" ytl="10" xbr="40" ybr="40"'
    size, boxed = 'width="80" height="60"', f'<box label="cat" {corners}/>'
    inner = "".join(f'<image id="{n}" name="{n}.jpg" {size}>{boxed}</image>' for n in numbers)
    text(folder / "cvat/annotations.xml", f"<annotations>{inner}</annotations>")


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["roboflow voc", "balloon", "mask images in splits"])
def test_the_commands_keep_the_splits(run, tmp_path, tool):
    _, splits, made = test_layouts.LAYOUTS[tool]
    test_layouts.make(tmp_path / "set", made)

    run(f"--data={tmp_path / 'set'}", *["--class_name=cat"] * (tool == "balloon"))
    convert(tmp_path / "out")

    for split, stems in splits.items():
        name = f"data_{split}.record-00000-of-00001"
        assert record_files.count_records(str(tmp_path / "out/records" / name)) == len(stems)


def convert(folder):
    """Runs the conversions of a `commands.sh`."""
    script = (folder / "commands.sh").read_text()
    for command in re.findall(
        r"^python -m object_detection\.dataset_tools(?:.+\\\n)*.+", script, re.M
    ):
        words = shlex.split(command.replace("\\\n", ""))
        subprocess.run([sys.executable, *words[1:]], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["csv", "voc", "yolo", "via", "mask"])
def test_the_commands_write_the_records_that_the_config_names(run, tmp_path, name):
    sets_of(tmp_path)

    _, config = run(f"--data={tmp_path / name}")
    convert(tmp_path / "out")

    readers = ("train_input_reader", "eval_input_reader")
    found = preflight.check(config, purpose="train", supported_extractors=BACKBONES, reads=readers)
    assert found.faults == ()


@pytest.mark.slow
def test_what_is_written_trains_for_a_step(run, tmp_path):
    text(tmp_path / "set" / "labels.json", json.dumps(coco_json(5, tmp_path / "set")))
    run(f"--data={tmp_path / 'set'}", "--num_steps=1", "--batch_size=1", "--min_dimension=64")
    script = (tmp_path / "out" / "commands.sh").read_text()
    found = re.findall(r"^python -m (?:.+\\\n)*.+", script, re.M)
    records, _, train, *_ = (shlex.split(command.replace("\\\n", "")) for command in found)

    for words in (records, [*train, "--record_summaries=false"]):
        done = subprocess.run(
            [sys.executable, *words[1:]],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "2"},
        )
        assert done.returncode == 0, done.stderr[-3000:]

    assert (tmp_path / "out" / "run" / "best" / "best.json").is_file()


def test_the_words_of_a_path_stay_together(tmp_path):
    folder = tmp_path / "my project"
    step = ("python", "-m", "object_detection.x", f"--data_dir={folder}")
    made = commands.script(folder, [step], masks=True, num_steps=100)
    assert f"'--data_dir={folder}'" in made


def test_images_outside_their_folder_need_a_flag(run, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_follow_outside", False)
    content = coco_json(3, tmp_path)
    for entry in content["images"]:
        entry["file_name"] = f"../images/{entry['file_name']}"
    text(tmp_path / "set" / "labels.json", content)
    given = (f"--data={tmp_path / 'set' / 'labels.json'}", f"--image_dir={tmp_path / 'set'}")

    with pytest.raises(AnnotationError, match="--allow_outside_images follows it: 3 "):
        run(*given)

    run(*given, "--allow_outside_images")
    (script,) = (tmp_path / "out").glob("*.sh")
    assert "--allow_outside_images" in script.read_text()


def test_ignore_regions_of_labelme_are_named_in_the_config(run, tmp_path):
    square = [[10, 10], [40, 10], [40, 40], [10, 40]]
    for number in range(3):
        image(tmp_path / "set" / f"{number}.png")
        shapes = [{"label": label, "points": square} for label in ("cat", "__ignore__")]
        content = {"version": "5", "shapes": shapes, "imagePath": f"{number}.png"}
        text(tmp_path / "set" / f"{number}.json", content)

    _, config = run(f"--data={tmp_path / 'set'}")

    assert list(config.train_input_reader.ignore_class) == ["__ignore__"]


def test_classes_of_a_data_base_are_numbered_from_1(run, tmp_path):
    content = coco_json(5, tmp_path / "set")
    for entries, key in ((content["categories"], "id"), (content["annotations"], "category_id")):
        for entry in entries:
            entry[key] = 2_905_442 + entry[key]
    text(tmp_path / "set" / "labels.json", content)

    said, config = run(f"--data={tmp_path / 'set'}")

    assert config.model.faster_rcnn.num_classes == 2
    assert "category ids go up to 2905444" in said
    assert "# Category 2905443 of the annotations." in (
        tmp_path / "out" / "label_map.pbtxt"
    ).read_text(encoding="utf-8")
