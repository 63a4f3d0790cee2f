"""What is installed beside what: each way in which environments break."""

import re
from pathlib import Path

import pytest

from object_detection.diagnostics import packages
from object_detection.diagnostics.packages import Requirement
from object_detection.diagnostics.remarks import FAULT, NOTE, OK

PACKAGE = Path(packages.__file__).parents[1]


def levels(remarks):
    return [remark.level for remark in remarks]


def test_the_requirements_are_those_of_setup():
    result = dict(packages.requirements(PACKAGE))
    assert result["protobuf"] == ">=6.31,<8" and result["tensorflow"].startswith(">=2.")
    assert {"keras", "numpy", "pillow", "pycocotools", "absl-py"} <= result.keys()
    assert "starlette" not in result  # an extra


def test_the_bounds_of_python_are_those_of_setup():
    text = (PACKAGE.parent / "setup.py").read_text()
    assert f'python_requires=">={".".join(map(str, packages.PYTHON))}"' in text
    extras = set(re.findall(r'^        "([\w-]+)": \[', text, re.MULTILINE))
    assert {extra for extra, *_ in packages.EXTRAS} <= extras


def test_this_environment_is_sound():
    remarks = packages.examine_requirements(packages.requirements(PACKAGE), packages.installed())
    assert levels(remarks) == [OK]


@pytest.mark.parametrize(
    ("version", "bits", "system", "expected"),
    [
        ((3, 9, 2), 64, "Linux", [FAULT]),
        ((3, 11, 0), 64, "Linux", [OK]),
        ((3, 15, 0), 64, "Linux", [NOTE]),
        ((3, 11, 0), 32, "Windows", [OK, FAULT, NOTE]),
    ],
)
def test_pythons(version, bits, system, expected):
    assert levels(packages.examine_python(version, bits, system)) == expected


def test_missing_and_unfitting_packages():
    wanted = [Requirement("protobuf", ">=6.31,<8"), Requirement("numpy", ">=2"), *_tensorflow()]
    remarks = list(packages.examine_requirements(wanted, {"protobuf": "3.20.3"}))

    assert levels(remarks) == [FAULT] * 3
    assert remarks[0].what == "protobuf is 3.20.3; required: >=6.31,<8"
    assert remarks[0].cure == 'pip install "protobuf>=6.31,<8"'
    assert remarks[1].what == "numpy is not installed"
    assert levels(packages.examine_requirements([], {})) == [NOTE]


def _tensorflow():
    return [Requirement("tensorflow", ">=2.20")]


def test_another_build_of_tensorflow_counts_as_one():
    [remark] = packages.examine_requirements(_tensorflow(), {"tensorflow-cpu": "2.21.0"})
    assert remark == (OK, "tensorflow-cpu 2.21.0", "")
    [remark] = packages.examine_requirements(_tensorflow(), {"tensorflow-cpu": "2.12.0"})
    assert remark.level == FAULT and "tensorflow-cpu is 2.12.0" in remark.what


def test_two_builds_of_tensorflow():
    both = {"tensorflow": "2.21.0", "tensorflow-cpu": "2.20.0"}
    [remark] = packages.examine_tensorflows(both)
    assert remark.level == FAULT and "tensorflow 2.21.0, tensorflow-cpu 2.20.0" in remark.what
    assert "pip uninstall -y tensorflow tensorflow-cpu" in remark.cure
    assert not list(packages.examine_tensorflows({"tensorflow": "2.21.0"}))
    # Of Arm machines the one brings the other.
    assert not list(packages.examine_tensorflows({"tensorflow": "1", "tensorflow-cpu-aws": "1"}))


def test_generated_code_that_the_library_does_not_run(tmp_path):
    for folder, version in (
        ("ours/protos/pipeline", "6.31.1"),
        ("tf/core/framework/tensor", "7.1"),
    ):
        file = tmp_path / f"{folder}_pb2.py"
        file.parent.mkdir(parents=True)
        file.write_text(f"# Protobuf Python Version: {version}\n")

    def said(protobuf):
        return list(packages.examine_generated_code(tmp_path / "ours", tmp_path / "tf", protobuf))

    assert levels(said("7.2")) == [OK]
    assert [remark.what for remark in said("6.33.0") if remark.level == FAULT] == [
        "the generated code of TensorFlow is of protobuf 7.1, but the library is 6.33.0"
    ]
    too_new = said("8.0.1")
    assert too_new[0].cure == 'pip install "protobuf>=6.31.1,<8"' and levels(too_new) == [FAULT, OK]
    assert said(None) == []
    ours = PACKAGE / "protos" / "pipeline_pb2.py"
    assert packages._compiler_of(ours)  # that the real files have the line


def test_another_package_of_this_name(tmp_path):
    tfod = tmp_path / "research" / "object_detection"
    (tfod / "meta_architectures").mkdir(parents=True)
    (tfod / "__init__.py").write_text("")
    (tmp_path / "data" / "object_detection").mkdir(parents=True)  # no module in it
    theirs, ours, data = str(tfod.parent), str(PACKAGE.parent), str(tmp_path / "data")

    before = list(packages.examine_names(PACKAGE, [theirs, ours, data], {}, "1"))
    after = list(packages.examine_names(PACKAGE, [ours, theirs, data], {}, "1"))
    named = list(packages.examine_names(PACKAGE, [ours], {"tf-models-object-detection": "2"}, "1"))

    assert levels(before) == [OK, FAULT] and "TFOD of the same name is in" in before[1].what
    assert f"remove {theirs} from PYTHONPATH" in before[1].cure
    assert levels(after) == [OK, NOTE]
    assert levels(named) == [OK, FAULT]
    same, other = (
        list(packages.examine_names(PACKAGE, [ours], {"object-detection": version}, "0.1.0"))
        for version in ("0.1.0", "0.1")
    )
    assert levels(same) == [OK] and levels(other) == [OK, NOTE]


def test_optional_parts():
    remarks = list(packages.examine_extras({"opencv-python-headless": "4", "starlette": "1"}))
    assert remarks[0].what == "installed optional parts: serve, video"
    assert "onnx (" in remarks[1].what and "video" not in remarks[1].what
    assert remarks[2].level == NOTE and "uvicorn is missing" in remarks[2].what
    both = {"opencv-python": "4", "opencv-python-headless": "4"}
    assert levels(packages.examine_opencv(both)) == [NOTE]
