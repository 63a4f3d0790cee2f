"""The parity cases of the reference as checkpoints and exports, made once in a test run."""

import importlib.util
import warnings

from built_once import built_once
from reference import REFERENCE
from undrawn import undrawn

PARITY = REFERENCE and REFERENCE / "reference" / "parity"
# Those whose exports are verified as users' exports are: a model of TFOD 2.x and one of 1.x.
VERIFIED = ("a_tf2_mask_resnet50", "c_tf1_mask_resnet50_atrous")


def make_weights():
    """The module that makes the reference's weights."""
    spec = importlib.util.spec_from_file_location("make_weights", PARITY / "make_weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def checkpoint_of(name, tmp_path_factory):
    """Prefix of the checkpoint with the weights of the case `name`."""

    def write(folder):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # it leaves files to the collector
            make_weights().write(str(PARITY / name), str(folder / "ckpt-0"))

    return built_once(tmp_path_factory, f"parity-{name}", write) / "ckpt-0"


def export_of(name, tmp_path_factory):
    """Folder with the export of the case `name`."""
    from object_detection.config import pipeline_file
    from object_detection.export import exporter
    from object_detection.export.options import ExportOptions

    def write(folder):
        config = pipeline_file.load(PARITY / name / "pipeline.config")
        checkpoint = checkpoint_of(name, tmp_path_factory)
        options = ExportOptions(verify=name in VERIFIED)
        with undrawn():
            exporter.export(config, checkpoint, folder / "export", options)

    return built_once(tmp_path_factory, f"export-{name}", write) / "export"
