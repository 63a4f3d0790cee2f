"""Checks of the installed packages: versions, duplicates and conflicts."""

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
# Distributions that install TensorFlow in the folder `tensorflow`.
TENSORFLOWS = (
    *("tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tf-nightly", "tf-nightly-cpu"),
    *("tf-nightly-gpu", "intel-tensorflow", "tensorflow-rocm", "tensorflow-macos"),
    *("tensorflow-cpu-aws", "tensorflow-aarch64", "tensorflow-intel"),
)
# On some systems `tensorflow` is an empty package that requires one of these.
_CARRIERS = ("tensorflow-cpu-aws", "tensorflow-intel", "tensorflow-macos")
_OPENCVS = (
    *("opencv-python", "opencv-python-headless", "opencv-contrib-python"),
    "opencv-contrib-python-headless",
)
EXTRAS = (  # extra, module, distribution, purpose
    ("video", "cv2", "opencv-python-headless", "videos, webcams, COCODemo"),
    ("serve", "starlette", "starlette", "the HTTP server"),
    ("serve", "uvicorn", "uvicorn", "the HTTP server"),
    ("fast-eval", "hotcoco", "hotcoco", "faster COCO evaluation"),
    ("onnx", "tf2onnx", "tf2onnx", "export to ONNX"),
    ("onnx", "onnxruntime", "onnxruntime", "checks of ONNX files"),
    ("beam", "apache_beam", "apache-beam", "conversion on many machines"),
)


class Requirement(NamedTuple):
    """Required package."""

    name: str
    bounds: str  # such as ">=6.31,<8"


def installed(path=None):
    """Return {name in lower case with dashes: version} of all distributions.

    Args:
        path: to search, like `sys.path`; None: that.
    """
    versions = {}
    for each in importlib.metadata.distributions(**({} if path is None else {"path": path})):
        name = each.metadata["Name"]
        if name:  # a partly removed folder has none
            versions.setdefault(re.sub(r"[-_.]+", "-", name).lower(), each.version)
    return versions


def requirements(package_folder):
    """Return the requirements of setup.py, read in a checkout, else from the installation.

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
    matches = (re.match(r"([\w.-]+)(?:\[[^\]]*\])?\s*\(?([^;)]*)", line) for line in lines)
    return [Requirement(each[1], each[2].strip()) for each in matches]


def examine_python(version=None, bits=None, system=None):
    """Yield remarks on the interpreter."""
    version = tuple(version or sys.version_info[:3])
    bits = bits or (64 if sys.maxsize > 2**32 else 32)
    system = system or platform.system()
    shown = f"Python {'.'.join(map(str, version))} ({sys.executable})"
    if version[:2] < PYTHON:
        yield fault(shown, "Python 3.10 or later is required: create an environment with it")
    elif version[:2] > _TESTED_PYTHON:
        yield note(
            shown, "tested with 3.10 to 3.13: TensorFlow may have no package for this version"
        )
    else:
        yield ok(shown)
    if bits < 64:
        yield fault("Python is a 32-bit build", "TensorFlow requires a 64-bit Python")
    if system != "Linux":
        yield note(f"the system is {system}", "this package is tested only on Linux")


def examine_requirements(required, versions):
    """Yield remarks on the required packages.

    Args:
        required: `Requirement`s.
        versions: of `installed`.
    """
    fitting = []
    for need in required:
        name, version = _version_of(need.name, versions)
        if version is None:
            yield fault(f"{need.name} is not installed", f'pip install "{need.name}{need.bounds}"')
        elif not satisfies(version, need.bounds):
            yield fault(
                f"{name} is {version}; required: {need.bounds}",
                f'pip install "{name}{need.bounds}"',
            )
        else:
            fitting.append(f"{name} {version}")
    if fitting:
        yield ok(", ".join(fitting))
    if not required:
        yield note(
            "the requirements are unknown: there is no setup.py and no record of an installation",
            "install this package with pip",
        )


def _version_of(name, versions):
    """Return (name, version or None) of a requirement; any build of TensorFlow is accepted."""
    if name in versions or name != "tensorflow":
        return name, versions.get(name)
    return next(((each, versions[each]) for each in TENSORFLOWS if each in versions), (name, None))


def examine_tensorflows(versions):
    """Yield remarks on several builds of TensorFlow in one environment."""
    builds = [name for name in TENSORFLOWS if name in versions]
    carried = [name for name in builds if not ("tensorflow" in builds and name in _CARRIERS)]
    if len(carried) > 1:
        yield fault(
            "several builds of TensorFlow share one folder: "
            + ", ".join(f"{name} {versions[name]}" for name in carried),
            f"remove all, then install one: pip uninstall -y {' '.join(carried)} && "
            "pip install tensorflow",
        )


def examine_opencv(versions):
    """Yield remarks on several builds of OpenCV in one environment."""
    builds = [name for name in _OPENCVS if name in versions]
    if len(builds) > 1:
        yield note(
            f"several builds of OpenCV share one folder: {', '.join(builds)}",
            f"if `import cv2` fails: pip uninstall -y {' '.join(builds)}, then install one",
        )


def examine_generated_code(package_folder, tensorflow_folder, protobuf):
    """Yield remarks on code of the protocol buffer compiler and the version of its library.

    Args:
        package_folder: of `object_detection`.
        tensorflow_folder: of TensorFlow; None: not installed.
        protobuf: version of the library; None: not installed.
    """
    if protobuf is None:
        return
    files = {"this package": Path(package_folder, "protos", "pipeline_pb2.py")}
    if tensorflow_folder is not None:
        files["TensorFlow"] = Path(tensorflow_folder, "core", "framework", "tensor_pb2.py")
    runtime, agreed = numbers(protobuf), []
    for owner, file in files.items():
        made_with = _compiler_of(file)
        if made_with is None:
            continue
        compiler = numbers(made_with)
        if runtime < compiler or runtime[0] > compiler[0] + 1:
            upper = compiler[0] + 2
            yield fault(
                f"the generated code of {owner} is of protobuf {made_with}, but the library is "
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
    match = re.search(r"Protobuf Python Version: ([\d.]+)", head)
    return match and match[1]


def examine_names(package_folder, path, versions, version):
    """Yield remarks on other packages with the name of this one.

    Args:
        package_folder: of the running `object_detection`.
        path: `sys.path` of any program, in order.
        versions: of `installed`.
        version: of the running `object_detection`.
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
        remove = f"remove {folder.parent} from PYTHONPATH, or uninstall that package"
        if seen:
            yield note(f"{who} of the same name is in {folder}; this one takes precedence", remove)
        else:
            yield fault(
                f"{who} of the same name is in {folder}, before this one on the path: scripts in "
                "other folders import that one",
                remove,
            )
    known = versions.get("object-detection", version)
    if known != version:
        yield note(
            f"pip lists object_detection {known}, but this one is {version}: TFOD has a package of "
            "the same name, or this checkout is newer than its installation",
            "pip uninstall -y object_detection, then pip install --editable . in this checkout",
        )
    others = ("tf-models-research-object-detection", "tf-object-detection", "tensorflow-object-"
              "detection-api", "object-detection-api", "tf-models-object-detection")  # fmt: skip
    for name in others:
        if name in versions:
            yield fault(
                f"{name} {versions[name]} is installed: it has the same import name",
                f"pip uninstall -y {name}",
            )


def examine_extras(versions):
    """Yield remarks on the optional parts: the installed ones, and the purpose of the others."""
    present = sorted({f"{extra}" for extra, _, name, _ in EXTRAS if name in versions})
    missing = {extra: use for extra, _, name, use in EXTRAS if name not in versions}
    if present:
        yield ok(f"installed optional parts: {', '.join(present)}")
    absent = [f"{extra} ({use})" for extra, use in missing.items() if extra not in present]
    if absent:
        yield ok(f"optional parts not installed: {', '.join(absent)}")
    for extra in sorted(missing.keys() & set(present)):
        lacking = [name for each, _, name, _ in EXTRAS if each == extra and name not in versions]
        yield note(
            f"the extra {extra} is partly installed: {', '.join(lacking)} is missing",
            f"{install_command(extra)} (in the checkout)",
        )
