"""Which packages are installed, whether their versions fit, and what gets in each other's way."""

import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path
from typing import NamedTuple

from object_detection.diagnostics.remarks import fault, note, numbers, ok, satisfies
from object_detection.errors import install_command

PYTHON = (3, 10)
_TESTED_PYTHON = (3, 13)
# Distributions that put a TensorFlow into the folder `tensorflow`.
TENSORFLOWS = (
    *("tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tf-nightly", "tf-nightly-cpu"),
    *("tf-nightly-gpu", "intel-tensorflow", "tensorflow-rocm", "tensorflow-macos"),
    *("tensorflow-cpu-aws", "tensorflow-aarch64", "tensorflow-intel"),
)
# Of some systems `tensorflow` is an empty package that brings one of these.
_CARRIERS = ("tensorflow-cpu-aws", "tensorflow-intel", "tensorflow-macos")
_OPENCVS = (
    *("opencv-python", "opencv-python-headless", "opencv-contrib-python"),
    "opencv-contrib-python-headless",
)
EXTRAS = (  # extra, module, distribution, what it is for
    ("video", "cv2", "opencv-python-headless", "videos, webcams, COCODemo"),
    ("serve", "starlette", "starlette", "the HTTP server"),
    ("serve", "uvicorn", "uvicorn", "the HTTP server"),
    ("fast-eval", "hotcoco", "hotcoco", "faster COCO evaluation"),
    ("onnx", "tf2onnx", "tf2onnx", "export to ONNX"),
    ("onnx", "onnxruntime", "onnxruntime", "checks of ONNX files"),
    ("beam", "apache_beam", "apache-beam", "conversion on many machines"),
)


class Requirement(NamedTuple):
    """A package that has to be there."""

    name: str
    bounds: str  # such as ">=6.31,<8"


def installed(path=None):
    """{name in lower case with dashes: version} of all distributions.

    Args:
        path: where to look, as `sys.path`; None: there.
    """
    found = {}
    for each in importlib.metadata.distributions(**({} if path is None else {"path": path})):
        name = each.metadata["Name"]
        if name:  # a folder half removed has none
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), each.version)
    return found


def requirements(package_folder):
    """What setup.py asks for: by the file itself in a checkout, else by what pip has kept of it.

    Args:
        package_folder: of `object_detection`.
    """
    setup = Path(package_folder).parent / "setup.py"
    if setup.is_file():
        block = re.search(r"install_requires=\[(.*?)\n    \]", setup.read_text(), re.DOTALL)
        lines = re.findall(r'^\s+"([^"]+)"', block[1] if block else "", re.MULTILINE)
    else:
        try:
            lines = importlib.metadata.requires("object_detection") or []
        except importlib.metadata.PackageNotFoundError:
            lines = []
    lines = [line for line in lines if "extra ==" not in line]
    found = (re.match(r"([\w.-]+)(?:\[[^\]]*\])?\s*\(?([^;)]*)", line) for line in lines)
    return [Requirement(each[1], each[2].strip()) for each in found]


def examine_python(version=None, bits=None, system=None):
    """Remarks on the interpreter."""
    version = tuple(version or sys.version_info[:3])
    bits = bits or (64 if sys.maxsize > 2**32 else 32)
    system = system or platform.system()
    shown = f"Python {'.'.join(map(str, version))} ({sys.executable})"
    if version[:2] < PYTHON:
        yield fault(shown, "Python 3.10 or later is needed: make an environment with one")
    elif version[:2] > _TESTED_PYTHON:
        yield note(shown, "tested with 3.10 to 3.13: TensorFlow may have no package for this one")
    else:
        yield ok(shown)
    if bits < 64:
        yield fault("a Python of 32 bits", "TensorFlow is made for 64 bits: install such a Python")
    if system != "Linux":
        yield note(f"the system is {system}", "everything is tested on Linux alone")


def examine_requirements(wanted, found):
    """Remarks on the packages that setup.py asks for.

    Args:
        wanted: `Requirement`s.
        found: by `installed`.
    """
    fitting = []
    for need in wanted:
        name, version = _version_of(need.name, found)
        if version is None:
            yield fault(f"{need.name} is not installed", f'pip install "{need.name}{need.bounds}"')
        elif not satisfies(version, need.bounds):
            yield fault(
                f"{name} is {version}; needed: {need.bounds}",
                f'pip install "{name}{need.bounds}"',
            )
        else:
            fitting.append(f"{name} {version}")
    if fitting:
        yield ok(", ".join(fitting))
    if not wanted:
        yield note(
            "what is required is not known: there is no setup.py and no record of an installation",
            "install this package with pip",
        )


def _version_of(name, found):
    """(name, version or None) of a requirement, where other builds of TensorFlow count as one."""
    if name in found or name != "tensorflow":
        return name, found.get(name)
    return next(((each, found[each]) for each in TENSORFLOWS if each in found), (name, None))


def examine_tensorflows(found):
    """Remarks on several builds of TensorFlow in one place."""
    builds = [name for name in TENSORFLOWS if name in found]
    carried = [name for name in builds if not ("tensorflow" in builds and name in _CARRIERS)]
    if len(carried) > 1:
        yield fault(
            "several builds of TensorFlow share one folder: "
            + ", ".join(f"{name} {found[name]}" for name in carried),
            f"remove all, then install one: pip uninstall -y {' '.join(carried)} && "
            "pip install tensorflow",
        )


def examine_opencv(found):
    """Remarks on several builds of OpenCV in one place."""
    builds = [name for name in _OPENCVS if name in found]
    if len(builds) > 1:
        yield note(
            f"several builds of OpenCV share one folder: {', '.join(builds)}",
            f"should `import cv2` fail: pip uninstall -y {' '.join(builds)}, then install one",
        )


def examine_generated_code(package_folder, tensorflow_folder, protobuf):
    """Remarks on code that the protocol buffer compiler made, against the library it runs on.

    Args:
        package_folder: of `object_detection`.
        tensorflow_folder: where TensorFlow lies; None: nowhere.
        protobuf: version of the library; None: not installed.
    """
    if protobuf is None:
        return
    of = {"this package": Path(package_folder, "protos", "pipeline_pb2.py")}
    if tensorflow_folder is not None:
        of["TensorFlow"] = Path(tensorflow_folder, "core", "framework", "tensor_pb2.py")
    runtime, agreed = numbers(protobuf), []
    for owner, file in of.items():
        made_with = _compiler_of(file)
        if made_with is None:
            continue
        wanted = numbers(made_with)
        if runtime < wanted or runtime[0] > wanted[0] + 1:
            upper = wanted[0] + 2
            yield fault(
                f"the generated code of {owner} is of protobuf {made_with}, and the library is "
                f"{protobuf}",
                f'pip install "protobuf>={made_with},<{upper}"',
            )
        else:
            agreed.append(f"{owner}'s {made_with}")
    if agreed:
        yield ok(f"protobuf {protobuf} runs generated code: {' and '.join(agreed)}")


def _compiler_of(file):
    try:
        head = file.read_text(encoding="utf-8", errors="replace")[:2000]
    except OSError:
        return None
    found = re.search(r"Protobuf Python Version: ([\d.]+)", head)
    return found and found[1]


def examine_names(package_folder, path, found, version):
    """Remarks on other packages that bear this one's name.

    Args:
        package_folder: of the `object_detection` that runs.
        path: `sys.path` as any program sees it, in order.
        found: by `installed`.
        version: of the `object_detection` that runs.
    """
    ours, seen = Path(package_folder).resolve(), False
    yield ok(f"object_detection is loaded from {ours}")
    for entry in dict.fromkeys(path):
        folder = Path(entry or os.curdir, "object_detection")
        try:
            if not folder.is_dir() or not any(folder.glob("*.py")):
                continue
            same = folder.resolve() == ours
        except OSError:
            continue
        seen |= same
        if same:
            continue
        who = "TFOD" if (folder / "meta_architectures").is_dir() else "another package"
        remove = f"take {folder.parent} out of PYTHONPATH, or uninstall what put it there"
        if seen:
            yield note(f"{who} of the same name lies at {folder}; this one comes before it", remove)
        else:
            yield fault(
                f"{who} of the same name lies at {folder}, before this one on the path: scripts "
                "in other folders import that one",
                remove,
            )
    known = found.get("object-detection", version)
    if known != version:
        yield note(
            f"pip knows an object_detection {known}, and this one is {version}: TFOD's has that "
            "name too, or this checkout is newer than its installation",
            "pip uninstall -y object_detection, then pip install --editable . in this checkout",
        )
    others = ("tf-models-research-object-detection", "tf-object-detection", "tensorflow-object-"
              "detection-api", "object-detection-api", "tf-models-object-detection")  # fmt: skip
    for name in others:
        if name in found:
            yield fault(
                f"{name} {found[name]} is installed: it has the same import name",
                f"pip uninstall -y {name}",
            )


def examine_extras(found):
    """Remarks on the optional parts: which are there, and what the others would be for."""
    there = sorted({f"{extra}" for extra, _, name, _ in EXTRAS if name in found})
    missing = {extra: use for extra, _, name, use in EXTRAS if name not in found}
    if there:
        yield ok(f"optional parts that are installed: {', '.join(there)}")
    absent = [f"{extra} ({use})" for extra, use in missing.items() if extra not in there]
    if absent:
        yield ok(f"optional parts that are not: {', '.join(absent)}")
    for extra in sorted(missing.keys() & set(there)):
        lacking = [name for each, _, name, _ in EXTRAS if each == extra and name not in found]
        yield note(
            f"the extra {extra} is there in part: {', '.join(lacking)} is not installed",
            f"{install_command(extra)} (in the checkout)",
        )
