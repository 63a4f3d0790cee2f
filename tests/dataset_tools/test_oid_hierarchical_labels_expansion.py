"""What a hierarchy of classes implies. The expected lines are those of TFOD's own script."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from object_detection.dataset_tools.oid_hierarchical_labels_expansion import (
    OIDHierarchicalLabelsExpansion,
    expand,
)
from object_detection.errors import AnnotationError

ROOT = Path(__file__).parents[2]


def _node(name, *children):
    node = {"LabelName": name}
    return node | {"Subcategory": list(children)} if children else node


# d is a kind of b, which is one of a; and a kind of e.
HIERARCHY = _node(
    "root", _node("a", _node("b", _node("d")), _node("c")), _node("e", _node("d")), _node("f")
)
BOXES = "ImageID,Source,LabelName,Confidence,XMin\n"
LABELS = "ImageID,Source,LabelName,Confidence\n"
SEGMENTS = "ImageID,LabelName,ImageWidth,Mask\n"


def _expanded(folder, text, kind):
    (folder / "hierarchy.json").write_text(json.dumps(HIERARCHY))
    (folder / "in.csv").write_bytes(text.encode())
    counts = expand(folder / "hierarchy.json", folder / "in.csv", folder / "out.csv", kind)
    return counts, (folder / "out.csv").read_bytes().decode()


@pytest.mark.parametrize(
    ("header", "row", "kind", "implied"),
    [
        (BOXES, "1,x,{},1,0.5", 1, {"a": "", "d": "bae", "f": "", "b": "a"}),
        (SEGMENTS, "1,{},10,eNpz=", 1, {"d": "bae", "c": "a"}),
        (LABELS, "1,v,{},1", 2, {"d": "bae", "b": "a", "a": ""}),
        (LABELS, "1,v,{},0", 2, {"a": "bdc", "e": "d", "f": ""}),
    ],
)
def test_rows_stand_for_the_classes_above_or_where_they_deny_for_those_below(
    tmp_path, header, row, kind, implied
):
    for name, others in implied.items():
        (read, written, unknown), text = _expanded(tmp_path, header + row.format(name) + "\n", kind)

        assert text == header + "".join(row.format(each) + "\n" for each in (name, *others))
        assert (read, written, unknown.total()) == (1, 1 + len(others), 0)


def test_ends_of_lines_and_quoted_cells_are_kept(tmp_path):
    text = 'LabelName,Title,LabelName2\r\nb,"x, ""y"", z",b\r\n\r\nc,"a,b",1'

    _, found = _expanded(tmp_path, text, 1)

    assert found == (
        'LabelName,Title,LabelName2\r\nb,"x, ""y"", z",b\r\na,"x, ""y"", z",b\r\n'
        'c,"a,b",1\r\na,"a,b",1\r\n'
    )


def test_classes_that_the_hierarchy_lacks_are_kept_and_counted(tmp_path):
    (read, written, unknown), text = _expanded(tmp_path, LABELS + "1,v,zz,1\n1,v,root,1\n", 2)

    assert text == LABELS + "1,v,zz,1\n1,v,root,1\n"
    assert (read, written, unknown) == (2, 2, {"zz": 1, "root": 1})


def test_a_label_that_is_not_sure_implies_nothing(tmp_path):
    assert _expanded(tmp_path, LABELS + "1,v,b,0.7\n", 2)[1] == LABELS + "1,v,b,0.7\n"


def test_tfods_python_names():
    expansion = OIDHierarchicalLabelsExpansion(HIERARCHY)

    assert expansion.expand_boxes_or_segments_from_csv("1,b,1,0.1", 1) == ["1,b,1,0.1", "1,a,1,0.1"]
    assert expansion.expand_labels_from_csv("1,v,e,0", 2, 3) == ["1,v,e,0", "1,v,d,0"]


@pytest.mark.parametrize(
    ("text", "kind", "why"),
    [
        (LABELS, 3, "--annotation_type is 3; 1: boxes or segments, 2: image-level labels"),
        (LABELS, None, "--annotation_type is None"),
        ("ImageID,Class\n", 1, "in.csv has no column LabelName"),
        (SEGMENTS, 2, "in.csv has no column Confidence"),
        (LABELS + "1,v,b,yes\n", 2, "in.csv line 2 is no row: '1,v,b,yes'"),
        (LABELS + "1,v,b,1\n1\n", 1, "in.csv line 3 is no row"),
        ("", 1, "in.csv has no column LabelName"),
    ],
)
def test_what_cannot_be_used_is_said_and_nothing_is_left(tmp_path, text, kind, why):
    with pytest.raises(AnnotationError) as error:
        _expanded(tmp_path, text, kind)

    assert why in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hierarchy.json", "in.csv"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "is not JSON"),
        ("[]", "it is no hierarchy"),
        ('{"Subcategory": [{"Name": "x"}]}', "not every node has a 'LabelName'"),
        (None, "cannot be read"),
    ],
)
def test_a_hierarchy_that_is_none(tmp_path, content, why):
    path = tmp_path / "hierarchy.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AnnotationError, match=why):
        expand(path, tmp_path / "in.csv", tmp_path / "out.csv", 1)


def test_the_command(tmp_path):
    (tmp_path / "hierarchy.json").write_text(json.dumps(HIERARCHY))
    (tmp_path / "in.csv").write_text(LABELS + "1,v,d,1\n1,v,zz,1\n")
    command = [sys.executable, str(ROOT / "dataset_tools/oid_hierarchical_labels_expansion.py")]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}

    def run(*arguments):
        return subprocess.run(
            [*command, *arguments], capture_output=True, text=True, env=environment, check=False
        )

    done = run(
        f"--json_hierarchy_file={tmp_path / 'hierarchy.json'}",
        f"--input_annotations={tmp_path / 'in.csv'}",
        f"--output_annotations={tmp_path / 'out.csv'}",
        "--annotation_type=2",
    )
    assert done.returncode == 0, done.stderr
    assert "2 rows became 5" in done.stdout
    assert "1 rows (zz 1)" in done.stdout
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 6

    done = run("--annotation_type=2")
    assert (done.returncode, "--json_hierarchy_file is missing" in done.stderr) == (1, True)
