"""A room imports only rooms below it; protos have their few doors; nothing shadows a dependency."""

import ast
import importlib.metadata
import re
import sys

import pytest
from source_tree import PACKAGE, ROOT, imports_of_package, parsed, sources

# From the ground up. Rooms of one floor do not import each other.
FLOORS = (
    {"errors", "atomic"},
    {"addresses"},
    {"cli"},  # what all commands share
    {"structures", "client"},
    {"ops"},
    {"modeling"},
    {"compat"},
    {"data", "metrics", "annotations"},
    {"config"},
    {"builders"},
    {"training", "export"},
    {"prediction", "reports"},
    {"model_lib_v2", "exporter_lib_v2", "serving", "first_steps"},
    {"model_main", "model_main_tf2", "exporter_main_v2", "predict", "browse_data", "evaluate"}
    | {"serve", "data_service", "init", "doctor"}
    | {"dataset_tools", "export_inference_graph", "legacy"},
    {"model_tpu_main", "export_tflite_graph_tf2", "inference", "augmentation_sheet"}
    | {"export_onnx", "export_tflite", "programs"}
    | {"front_doors", "tour"},
)
DOORS = set().union(*FLOORS[-3:])
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# Beside the floors, because users import these paths: what each may import of the package.
BESIDE = {
    "core.standard_fields": set(),
    "utils.config_util": {"config", "builders", "protos", "utils"},
    "utils.ops": {"ops"},  # TFOD's names of what stands in ops/
    "metrics.offline_eval_map_corloc": {"legacy"},  # a command of TFOD's under its path
    "utils": {"atomic", "protos", "utils"},
    "protos": {"protos"},
}
MAY_SEE_PROTOS = {"config", "builders", "utils", "protos"}


def _room(dotted):
    return dotted.partition(".")[0]


def _module(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def _faults(module, imported):
    """What is wrong with `module` importing the room of `imported`."""
    here, there = _room(module), _room(imported)
    if there == "protos" and here not in MAY_SEE_PROTOS:
        doors = ", ".join(sorted(MAY_SEE_PROTOS))
        yield f"{module} imports {imported}: protos are for {doors}"
    if imported.startswith("utils.config_util") and here not in DOORS | {"utils"}:
        yield f"{module} imports {imported}: it is for users; take config/ itself"
    if here in FLOOR_OF and module not in BESIDE:
        if here != there and FLOOR_OF.get(there, -1) >= FLOOR_OF[here]:
            yield f"{module} imports {imported}, which stands above or beside it"
        return
    allowed = BESIDE.get(module, BESIDE.get(here))
    if allowed is None:
        yield f"{module}: the room {here} stands on no floor; give it one in FLOORS"
    elif there not in allowed:
        yield f"{module} imports {imported}; it may import {sorted(allowed)}"


def test_every_room_imports_only_rooms_below():
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
        ("annotations.label_ids", "utils.label_map_util", True),
        ("utils.label_map_util", "config.pipeline_file", False),
        ("training.train_loop", "model_main_tf2.main", False),
        ("attic.old", "ops.nms", False),
    ],
)
def test_the_law_itself_tells_right_from_wrong(module, imported, allowed):
    assert (not list(_faults(module, imported))) == allowed


def test_every_module_of_the_package_stands_somewhere():
    rooms = {
        path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for path in sources("object_detection")
    }
    assert rooms - {"__init__"} <= FLOOR_OF.keys() | {"core", "utils", "protos"}


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
    wanted, seen = re.findall(r'^        "([\w-]+)', (ROOT / "setup.py").read_text(), re.M), set()
    while wanted:
        name = re.sub(r"[-_.]+", "-", wanted.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform
        wanted += [re.match(r"[\w.-]+", need)[0] for need in needs if "extra ==" not in need]
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
