"""Installs the package `object_detection` and its commands' code."""

import re
import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


class BuildWithSamples(build_py):
    """Puts the sample configs into the package, where TFOD has them; a checkout has its own."""

    def run(self):
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "object_detection" / "samples" / "configs"
            shutil.copytree(HERE / "samples" / "configs", target, dirs_exist_ok=True)


def console_scripts():
    """`od-model-main-tf2 = object_detection.programs:model_main_tf2` and so on."""
    for module in runpy.run_path(str(HERE / "object_detection" / "programs.py"))["MODULES"]:
        name = module.rpartition(".")[2]
        yield f"od-{name.replace('_', '-')} = object_detection.programs:{name}"


VERSION = re.search(r'__version__ = "(.+)"', (HERE / "object_detection/__init__.py").read_text())[1]

setup(
    name="object_detection",
    version=VERSION,
    description="Faster R-CNN and Mask R-CNN on today's TensorFlow, with TFOD's configs and files",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["object_detection", "object_detection.*"]),
    package_data={
        "object_detection.data": ["*.c"],  # compiled at its first use
        "object_detection.scaffold": ["*.config"],  # that `init` begins with
        "object_detection.protos": ["*.pyi"],
        "object_detection.reports": ["*.html", "*.css", "*.js"],  # of the pages it writes
        "object_detection.serving": ["*.html", "*.css", "*.js"],  # of the page at its root
        "object_detection.tour": ["*.md", "*.config", "*.json"],
    },
    cmdclass={"build_py": BuildWithSamples},
    entry_points={"console_scripts": list(console_scripts())},
    install_requires=[
        # One TensorFlow an environment: see README, "Installation". `tensorflow` is the one name
        # that every build satisfies on Linux; `[and-cuda]` is an extra of the same package.
        "tensorflow>=2.20",
        "keras>=3.10",
        "protobuf>=6.31,<8",
        "numpy>=2",
        "pillow>=10.1",  # the first whose default font has a size
        "pycocotools>=2.0.8",  # COCO's own evaluation: the numbers everybody compares
        "absl-py>=1.4",  # flags and logging, as TFOD's commands had them
        "tqdm>=4.60",  # progress bars
        "psutil>=5.9",  # memory in the progress line
        "pyyaml>=6.0",  # data.yaml of YOLO's data sets; libyaml comes in its wheels
    ],
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.20"],
        # Frames of videos and webcams; headless, for nothing opens a window.
        "video": ["opencv-python-headless>=4.10"],
        "fast-eval": ["hotcoco>=1.3,<2"],  # pycocotools' numbers in a fraction of the time
        # The server. Starlette is what FastAPI stands on; the bodies are images and TensorFlow
        # Serving's JSON, for which FastAPI has nothing to add. gRPC comes with TensorFlow.
        "serve": [
            "starlette>=0.40",
            "uvicorn>=0.30",
            "orjson>=3.10",  # masks as nested lists in a tenth of the standard library's time
            "prometheus-client>=0.20",
        ],
        # Conversion of sets that one machine is too slow for (--runner). 2.70: the first that takes
        # protobuf 6.31; Beam has not come to protobuf 7 and Pillow 13, so that an environment with
        # this extra holds the 6 and the 12.
        "beam": ["apache-beam>=2.70"],
        # export_onnx; 1.17: the first tf2onnx for protobuf 6 and numpy 2. onnxruntime checks files.
        "onnx": ["tf2onnx>=1.17", "onnxruntime>=1.20"],
        "tour": ["scikit-image>=0.22"],  # has the photograph of `make tour` in its wheel
        # What runs and shows the notebooks in notebooks/.
        "notebooks": ["jupyterlab>=4", "scikit-image>=0.22"],
        # xdist: tests trace graphs most of their time, on one core each.
        # timeout: a test that hangs is named, and the others go on.
        # playwright: drives a Chromium of the machine; its own browsers are not needed.
        # hotcoco: its numbers are held against those of pycocotools.
        # nbclient, with nbformat and ipykernel: executes the notebooks.
        # The rest: as `serve`.
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.6",
            "pytest-timeout>=2.3",
            "ruff==0.17.5",
            "playwright>=1.50",
            "hotcoco>=1.3,<2",
            "opencv-python-headless>=4.10",
            "nbclient>=0.10",
            "nbformat>=5.10",
            "ipykernel>=6.29",
            "starlette>=0.40",
            "uvicorn>=0.30",
            "orjson>=3.10",
            "prometheus-client>=0.20",
        ],
    },
)
