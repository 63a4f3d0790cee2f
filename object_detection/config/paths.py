"""Paths of a config: placeholders left in, files that are not there."""

from pathlib import Path

from object_detection import addresses
from object_detection.config import data_checks
from object_detection.config.findings import Finding, Findings, faults
from object_detection.data import files
from object_detection.errors import RecordError
from object_detection.utils.messages import shorten

PLACEHOLDER = "PATH_TO_BE_CONFIGURED"
_ESCAPED = {
    "\t": "\\t",
    "\n": "\\n",
    "\r": "\\r",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\v": "\\v",
}


def check_readers(config, names) -> Findings:
    """Findings about the paths of the readers of these fields."""
    findings = Findings()
    for path, reader in data_checks.readers(config, names):
        for field in ("cache_folder", "data_service"):
            findings = findings.merge(faults(scheme_faults(reader, field, path)))
        if reader.label_map_path:
            findings = findings.merge(
                faults(file_faults(reader.label_map_path, f"{path}.label_map_path"))
            )
        for index, pattern in enumerate(reader.tf_record_input_reader.input_path):
            at = f"{path}.tf_record_input_reader.input_path"
            at += f"[{index}]" if len(reader.tf_record_input_reader.input_path) > 1 else ""
            findings = findings.merge(faults(file_faults(pattern, at)))
    return findings


def check_evaluation(eval_config) -> Findings:
    """Return findings about the folder that an evaluation writes pictures to."""
    return faults(scheme_faults(eval_config, "visualization_export_dir", "eval_config"))


def scheme_faults(message, field, at):
    """Yield what is wrong with the scheme of a text field that is set."""
    value = getattr(message, field)
    fault = addresses.problem_with(value, field) if value else None
    if fault:
        yield Finding(f"{at}.{field}", *fault.split(". ", 1))


def holds_run(model_dir: str | None) -> bool:
    """Whether a folder holds a training's checkpoints: ours, of TFOD 2.x or of TFOD 1.x."""
    folder = Path(model_dir) if model_dir else None
    patterns = ("ckpt-*.index", "model.ckpt-*.index")
    return folder is not None and any(any(folder.glob(pattern)) for pattern in patterns)


def check_checkpoint(train_config) -> Findings:
    """Findings about the path of fine_tune_checkpoint; what lies there is looked at on loading."""
    path = train_config.fine_tune_checkpoint
    return faults(text_faults(path, "train_config.fine_tune_checkpoint") if path else ())


def text_faults(path, at):
    """What is wrong with a path as such, whatever the disk holds."""
    if PLACEHOLDER in path:
        yield Finding(
            at,
            f'is still "{shorten(path, 300)}"',
            f"Put your own path in place of {PLACEHOLDER}, in the file or with --config_override",
        )
        return
    fault = addresses.problem_with(path, at)
    if fault:
        yield Finding(at, *fault.split(". ", 1))
        return
    escaped = [sign for char, sign in _ESCAPED.items() if char in path]
    if escaped:
        yield Finding(
            at,
            f"is '{shorten(path, 300)}': a backslash starts an escape in a config, so "
            f"{escaped[0]} became one character",
            "Write paths with forward slashes",
        )


def file_faults(pattern, at):
    """What is wrong with a path or glob that must match a file."""
    wrong = list(text_faults(pattern, at))
    if wrong:
        yield from wrong
        return
    try:
        files.find_files(pattern, field=at)
    except RecordError as error:
        shown = shorten(pattern, 300)
        hint = str(error).removeprefix(f"{at}: no file matches '{shown}'. ")
        yield Finding(at, f'is "{shown}", which matches no file', hint.rstrip("."))
