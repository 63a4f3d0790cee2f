"""Imports every module of the package, with warnings of our own code as errors."""

import importlib
import platform
import sys
import warnings
from pathlib import Path

import google.protobuf
import keras
import tensorflow as tf

ROOT = Path(__file__).resolve().parents[1]


def main():
    print(f"Python {platform.python_version()}, TensorFlow {tf.__version__}", end=", ")
    print(f"Keras {keras.__version__}, protobuf {google.protobuf.__version__}")
    warnings.simplefilter("error")
    # Of others' modules, which are not ours to mend:
    warnings.filterwarnings("ignore", module=r"(?!object_detection)")
    count = 0
    for path in sorted((ROOT / "object_detection").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        importlib.import_module(module.removesuffix(".__init__"))
        count += 1
    print(f"{count} modules import")
    sys.exit(0 if count else 1)


if __name__ == "__main__":
    main()
