"""A package imports only packages below it, few import protos, and nothing shadows a dependency."""

import ast
import importlib.metadata
import re
import sys

import pytest
from source_tree import PACKAGE, ROOT, imports_of_package, parsed, sources

# From the bottom up. Packages of one layer do not import each other.
LAYERS = (
    {"errors", "atomic"},
    {"addresses"},
    {"cli"},  # what all commands share
    {"structures"},
    {"client"},
    {"ops"},
    {"modeling"},
    {"checkpoints"},
    {"compat"},
    {"data", "metrics", "datasets"},
    {"config"},
    {"builders"},
    {"training", "export"},
    {"prediction", "reports"},
    {"model_lib_v2", "exporter_lib_v2", "serving", "scaffold", "diagnostics"},
    {"model_main", "model_main_tf2", "exporter_main_v2", "predict", "browse_data", "evaluate"}
    | {"serve", "data_service", "init", "doctor"}
    | {"dataset_tools", "export_inference_graph", "legacy"},
    {"model_tpu_main", "export_tflite_graph_tf2", "inference", "augmentation_sheet"}
    | {"export_onnx", "export_tflite", "programs"}
    | {"integrations", "tour"},
)
COMMANDS = set().union(*LAYERS[-3:])
LAYER_OF = {package: number for number, packages in enumerate(LAYERS) for package in packages}
# Outside the layers, because users import these paths: what each may import of the package.
OUTSIDE = {
    "core.standard_fields": set(),
    "utils.config_util": {"config", "builders", "errors", "protos", "utils"},
    "utils.ops": {"ops"},  # TFOD's names of what is in ops/
    "utils.visualization_utils": {"atomic", "structures"},
    "metrics.offline_eval_map_corloc": {"legacy"},  # a command of TFOD's under its path
    "utils": {"atomic", "errors", "protos", "utils"},
    "protos": {"protos"},
}
MAY_SEE_PROTOS = {"config", "builders", "utils", "protos"}


def _package(dotted):
    return dotted.partition(".")[0]


def _module(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def _faults(module, imported):
    """Yield what is wrong with `module` importing the package of `imported`."""
    here, there = _package(module), _package(imported)
    if there == "protos" and here not in MAY_SEE_PROTOS:
        allowed = ", ".join(sorted(MAY_SEE_PROTOS))
        yield f"{module} imports {imported}: only {allowed} may import protos"
    if imported.startswith("utils.config_util") and here not in COMMANDS | {"utils"}:
        yield f"{module} imports {imported}: it is for users; import config/ instead"
    if here in LAYER_OF and module not in OUTSIDE:
        if here != there and LAYER_OF.get(there, -1) >= LAYER_OF[here]:
            yield f"{module} imports {imported}, which is in the same layer or above"
        return
    allowed = OUTSIDE.get(module, OUTSIDE.get(here))
    if allowed is None:
        yield f"{module}: the package {here} is in no layer; add it to LAYERS"
    elif there not in allowed:
        yield f"{module} imports {imported}; it may import {sorted(allowed)}"


def test_packages_import_only_packages_below():
    faults = [
        fault
        for path in sources("object_detection")
        if _module(path) != "__init__"  # it loads Predictor on first use
        for imported in imports_of_package(path)
        for fault in _faults(_module(path), imported)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("module", "imported", "allowed"),
    [
        ("modeling.rpn", "ops.nms.proposals_nms", True),
        ("ops.nms", "modeling.rpn", False),
        ("data.pipeline", "metrics.coco_evaluation", False),
        ("modeling.rpn", "protos.model_pb2", False),
        ("builders.model_builder", "protos.model_pb2", True),
        ("datasets.label_ids", "utils.label_map_util", True),
        ("utils.label_map_util", "config.pipeline_file", False),
        ("training.train_loop", "model_main_tf2.main", False),
        ("attic.old", "ops.nms", False),
    ],
)
def test_the_rule_itself(module, imported, allowed):
    assert (not list(_faults(module, imported))) == allowed


def test_every_module_is_in_a_layer():
    packages = {
        path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for path in sources("object_detection")
    }
    assert packages - {"__init__"} <= LAYER_OF.keys() | {"core", "utils", "protos"}


def test_imports_are_absolute():
    relative = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources("object_detection", "dataset_tools")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not relative


def _dependencies():
    """Import names of everything that our requirements bring in."""
    queue, seen = re.findall(r'^        "([\w-]+)', (ROOT / "setup.py").read_text(), re.M), set()
    while queue:
        name = re.sub(r"[-_.]+", "-", queue.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform
        queue += [re.match(r"[\w.-]+", need)[0] for need in needs if "extra ==" not in need]
    return {
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if seen & {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners}
    }


# Running a file puts its folder first on the import path: these are run so.
@pytest.mark.parametrize(
    "folder", ["object_detection", "object_detection/dataset_tools", "dataset_tools", "scripts"]
)
def test_no_file_bears_the_name_of_a_library(folder):
    taken = sys.stdlib_module_names | _dependencies() | {"google"}  # protobuf's, a shared folder
    assert {"tensorflow", "keras", "PIL", "wrapt", "logging"} <= taken

    names = {path.name.removesuffix(".py") for path in (ROOT / folder).iterdir()}

    assert not {name for name in names & taken if not name.startswith("__")}
