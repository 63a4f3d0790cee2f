"""The flags of every command that name a file or folder, checked before anything slow starts.

Each flag has a kind, which says what must exist. URLs are rejected for all flags other than those
in `addresses.SCHEMES`.
"""

import difflib
import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from object_detection import addresses
from object_detection.errors import PathError

PATH = "path"  # checked by the command, which knows more about it
FILE = "file"
FOLDER = "folder"
EXISTING = "file or folder"
PATHS = "files or folders by path or pattern"
PATTERN = "files by path or pattern"
PATTERNS = "files by paths or patterns with commas between them"
WEIGHTS = "file, folder or prefix of a checkpoint"
NEW_FILE = "file to write"
NEW_FOLDER = "folder to write"
ADDRESS = "address"  # only its scheme is checked
TEXT = "text"  # not a path

# Flag -> its kind in every command; "command.flag" is for one command.
KINDS = {
    "annotations_dir": PATH,
    "annotations_file": PATH,
    "evaluate.annotations_file": FILE,
    "supervisely.annotations_file": FILE,
    "tour.annotations_file": FILE,
    "boxes_file": FILE,
    "check_images": PATTERN,
    "checkpoint": WEIGHTS,
    "checkpoint_dir": PATH,  # an evaluation waits for it
    "coco_json": FILE,
    "config": FILE,
    "csv": PATH,
    "data": PATHS,
    "data_dir": PATH,
    "deploy_config": FILE,
    "dispatcher": ADDRESS,
    "eval_config_path": FILE,
    "eval_dir": NEW_FOLDER,
    "exp_config": FILE,
    "fine_tune_checkpoint": WEIGHTS,
    "image": FILE,
    "image_dir": PATH,
    "evaluate.image_dir": FOLDER,
    "init.image_dir": FOLDER,
    "supervisely.image_dir": FOLDER,
    "images": PATHS,
    "inference_graph": WEIGHTS,
    "input_annotations": PATH,
    "input_box_annotations_csv": PATH,
    "input_class_descriptions_csv": PATH,
    "input_config_path": FILE,
    "input_image_label_annotations_csv": PATH,
    "input_images_directory": PATH,
    "input_label_map": PATH,
    "input_mask_annotations_csv": PATH,
    "input_masks_directory": PATH,
    "input_tfrecord_paths": PATTERNS,
    "json_hierarchy_file": PATH,
    "json_output": NEW_FILE,
    "label_map": FILE,
    "label_map_path": PATH,  # converters write it if it is not there
    "browse_data.label_map_path": FILE,
    "evaluate.label_map_path": FILE,
    "export_onnx.label_map_path": FILE,
    "init.label_map_path": FILE,
    "tour.label_map_path": FILE,
    "mask_dir": PATH,
    "model": WEIGHTS,
    "azoda.model": PATH,  # its default is written by the training
    "model_config_file": FILE,
    "model_config_path": FILE,
    "model_dir": NEW_FOLDER,
    "tour.model_dir": WEIGHTS,
    "names_file": PATH,
    "output": NEW_FOLDER,
    "augmentation_sheet.output": NEW_FILE,
    "browse_data.output": NEW_FILE,
    "export_onnx.output": NEW_FILE,
    "export_tflite.output": NEW_FILE,
    "output_annotations": NEW_FILE,
    "output_coco_results": NEW_FILE,
    "output_dir": NEW_FOLDER,
    "output_directory": NEW_FOLDER,
    "output_path": NEW_FOLDER,
    "create_pascal_tf_record.output_path": NEW_FILE,
    "create_kitti_tf_record.output_path": NEW_FILE,
    "output_tf_record_path_prefix": NEW_FILE,
    "output_tfrecord_path": NEW_FILE,
    "pipeline_config_path": EXISTING,
    "project": FOLDER,
    "records": PATTERN,
    "results": FILE,
    "saved_model": WEIGHTS,
    "test_image": FILE,
    "train_annotations_file": PATH,
    "train_config_path": FILE,
    "train_dir": NEW_FOLDER,
    "train_image_dir": PATH,
    "trained_checkpoint_dir": WEIGHTS,
    "trained_checkpoint_prefix": WEIGHTS,
    "val_annotations_file": PATH,
    "val_data": PATHS,
    "val_image_dir": PATH,
    "test_csv": PATH,
    "test_image_dir": PATH,
    "testdev_annotations_file": PATH,
    "train_csv": PATH,
    "val_csv": PATH,
    "video": ADDRESS,
    "work_dir": NEW_FOLDER,
    "worker_paths": ADDRESS,
    "init.val_image_dir": FOLDER,
}
_SHOWN = 5  # number of names of a folder in a message


def command_of(arguments: list[str]) -> str:
    """Return the name by which `KINDS` knows the command of `sys.argv`."""
    started = Path(arguments[0])
    name = started.parent.name if started.stem == "__main__" else started.stem
    return name.removeprefix("od-").replace("-", "_")


def kind_of(command: str, flag: str) -> str:
    """Return the kind of a flag; `TEXT` for those that are not a path."""
    return KINDS.get(f"{command}.{flag}", KINDS.get(flag, TEXT))


def check_outputs(command: str, values: Any) -> None:
    """Check the schemes of all flags of a command, and the paths to write to.

    Args:
        command: as of `command_of`.
        values: absl's FLAGS, parsed.

    Raises:
        AddressError: a flag has a scheme that it does not accept.
        PathError: a folder cannot be made or written.
    """
    paths = list(_set_paths(command, values))
    for flag, _, value in paths:
        addresses.refuse(value, f"--{flag}")
    for flag, kind, value in paths:
        if kind in (NEW_FILE, NEW_FOLDER):
            check_value(f"--{flag}", kind, value)


def check_inputs(command: str, values: Any) -> None:
    """Check that the paths of a command's flags exist; arguments as for `check_outputs`.

    Raises:
        PathError: a path does not exist, or is a file in place of a folder.
    """
    for flag, kind, value in _set_paths(command, values):
        if kind not in (NEW_FILE, NEW_FOLDER):
            check_value(f"--{flag}", kind, value)


def check_value(name: str, kind: str, value: str) -> None:
    """Check one path.

    Args:
        name: for messages, such as the flag with its dashes.
        kind: one of the kinds above.
        value: the path, pattern or prefix.

    Raises:
        AddressError, PathError: as `check_outputs` and `check_inputs`.
    """
    if kind not in (TEXT, ADDRESS):
        addresses.refuse(value, name)
    problem = _CHECKS[kind](value) if kind in _CHECKS else None
    if problem and kind in (PATTERN, PATTERNS):
        raise PathError(f"{name}: no file matches {value!r}. {problem}")
    if problem:
        raise PathError(f"{name} is {value!r}: {problem}")


def _set_paths(command, values) -> Iterator[tuple[str, str, str]]:
    """Yield (flag, kind, value) of all flags that are set, and of every entry of lists."""
    for flag in values:
        kind = kind_of(command, flag)
        value = values[flag].value
        if kind == TEXT or value in (None, "", []):
            continue
        texts = value if isinstance(value, list) else [value]
        for text in texts:
            for part in text.split(",") if kind == PATTERNS else (text,):
                if part:
                    yield flag, kind, str(part)


def _problem_with_file(value):
    if os.path.isdir(value):
        return "this is a folder, where a file is needed."
    return None if os.path.exists(value) else _nothing_at(value, "file")


def _problem_with_folder(value):
    if os.path.isfile(value):
        return "this is a file, where a folder is needed."
    return None if os.path.isdir(value) else _nothing_at(value, "folder")


def _problem_with_existing(value):
    return None if os.path.exists(value) else _nothing_at(value, "file or folder")


def _problem_with_pattern(value):
    if any(not os.path.isdir(path) for path in glob.iglob(value, recursive=True)):
        return None
    if os.path.exists(value):
        return "This is a folder; name the files in it, with * in quotes."
    return _nearby(value)


def _problem_with_paths(value):
    if os.path.exists(value) or any(True for _ in glob.iglob(value, recursive=True)):
        return None
    return "this pattern matches no file. " + _nearby(value)


def _problem_with_weights(value):
    path = os.path.expanduser(value.rstrip("/") or "/")
    if os.path.exists(path) or glob.glob(glob.escape(path) + ".*"):
        return None
    return _nothing_at(path, "file, folder or checkpoint")


def _problem_with_new_file(value):
    if os.path.isdir(value) or value.endswith("/"):
        return "this is a folder; give the name of a file to write."
    return _problem_with_new_folder(os.path.dirname(value) or ".")


def _problem_with_new_folder(value):
    path = os.path.abspath(value)
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    if not os.path.isdir(path):
        return f"{path} is a file, where a folder is needed. Choose another path."
    if not os.access(path, os.W_OK | os.X_OK):
        return f"the folder {path} cannot be written (permission denied). Choose another path."
    return None


_CHECKS = {
    FILE: _problem_with_file,
    FOLDER: _problem_with_folder,
    EXISTING: _problem_with_existing,
    PATHS: _problem_with_paths,
    PATTERN: _problem_with_pattern,
    PATTERNS: _problem_with_pattern,
    WEIGHTS: _problem_with_weights,
    NEW_FILE: _problem_with_new_file,
    NEW_FOLDER: _problem_with_new_folder,
}


def _nothing_at(path, what):
    return f"there is no such {what}. {_nearby(path)}"


def _nearby(path):
    """Return a hint for a path that does not exist."""
    missing, folder = os.path.basename(path), os.path.dirname(path)
    while folder and not os.path.isdir(folder):
        missing, folder = os.path.basename(folder), os.path.dirname(folder)
    try:
        names = sorted(name for name in os.listdir(folder or ".") if not name.startswith("."))
    except OSError:
        return f"The folder {folder} cannot be read."
    near = difflib.get_close_matches(missing, names, n=1)
    if near:
        return f"Did you mean {os.path.join(folder, near[0])}?"
    if not folder:
        return f"Relative paths start at the current folder, {os.getcwd()}."
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return f"The folder {folder} contains {shown}." if names else f"The folder {folder} is empty."
