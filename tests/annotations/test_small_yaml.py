"""The YAML of YOLO's data files."""

import pytest

from object_detection.annotations import small_yaml
from object_detection.annotations.record import AnnotationError


@pytest.mark.parametrize(
    "names",
    [
        "names: [cat, 'hot dog', \"No\"]",
        "names: ['cat',\n        'hot dog', # the second\n        'No']",
        "names:\n  - cat\n  - hot dog\n  - 'No'\n",
        'names:\n- cat\n- "hot dog"\n- No\n',
    ],
)
def test_lists(names):
    content = small_yaml.parse(f"nc: 3\n{names}\ntrain: a/b", "data.yaml")

    assert content == {"nc": "3", "names": ["cat", "hot dog", "No"], "train": "a/b"}


@pytest.mark.parametrize(
    "names",
    [
        "names: {0: cat, 1: 'hot dog', 5: No}",
        "names:\n  0: cat\n  1: hot dog # comment\n\n  5: 'No'",
        'names:\n    "0": "cat"\n    1: hot dog\n    5: No',
    ],
)
def test_maps(names):
    assert small_yaml.parse(names, "data.yaml") == {
        "names": {"0": "cat", "1": "hot dog", "5": "No"}
    }


def test_scalars_comments_and_what_is_passed_over():
    text = """%YAML 1.1
---
# a comment with key: value
path: ../sets/coco#8   # root
train: 'it''s # no comment'
val: "C:\\\\photos"
test:   # none
empty: ~
roboflow:
  workspace: x
  deep:
    deeper: y
download: |
  import os
  names: [1]
url: https://here.org/a
...
"""

    assert small_yaml.parse(text, "data.yaml") == {
        "path": "../sets/coco#8",
        "train": "it's # no comment",
        "val": "C:\\photos",
        "test": None,
        "empty": None,
        "roboflow": None,
        "download": None,
        "url": "https://here.org/a",
    }


def test_quotes_inside_flow_and_apostrophes():
    text = "names: ['a, b', \"c: d\", men's, 'it''s, d']\nmap: {a: 'x, y', 1: \"z\"}"

    assert small_yaml.parse(text, "data.yaml") == {
        "names": ["a, b", "c: d", "men's", "it's, d"],
        "map": {"a": "x, y", "1": "z"},
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\nnonsense\n", "line 2: 'nonsense'"),
        ("names: [a, b\n", r"line 1: .* has no end"),
        (" a: 1\n", "line 1"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_line(text, why):
    with pytest.raises(AnnotationError, match=why):
        small_yaml.parse(text, "data.yaml")


def test_what_goes_on_over_several_lines_and_escapes():
    text = """names: {'0': traffic
    light, 1: "B\\xE4r", 2: 'a
    #c', 3: "one\\
    \\ two", 4: "\\u65E5", 5: "say \\"hi\\", loud"}
other: "a
  b"
download: |
  names: ["
    it's
train: x
"""

    assert small_yaml.parse(text, "data.yaml") == {
        "names": {
            "0": "traffic light",
            "1": "Bär",
            "2": "a #c",
            "3": "one two",
            "4": "日",
            "5": 'say "hi", loud',
        },
        "other": "a b",
        "download": None,
        "train": "x",
    }
