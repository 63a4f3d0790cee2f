"""Checks the environment and reports problems: `python -m object_detection.doctor`.

This file and its imports need only Python's standard library, so it runs in broken environments.
The exit code is 1 if something will not work, otherwise 0.
"""

import argparse
import importlib.util
import os
import sys
import textwrap
from pathlib import Path

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from object_detection import __version__  # noqa: E402
from object_detection.cli import runner  # noqa: E402
from object_detection.diagnostics import machine, packages, tensorflow_start  # noqa: E402
from object_detection.diagnostics.remarks import FAULT, NOTE, note  # noqa: E402

_HERE = Path(__file__).resolve().parent
_WIDTH = 100  # of the output


def sections(*, start=True):
    """Yield the checks.

    Args:
        start: whether to start TensorFlow, which takes some seconds.

    Yields:
        (title, function without arguments that yields `Remark`s).
    """
    installed = packages.installed()
    yield "Python", packages.examine_python
    yield "This package", lambda: packages.examine_names(_HERE, _path(), installed, __version__)
    required = packages.requirements(_HERE)
    yield "Requirements", lambda: packages.examine_requirements(required, installed)
    yield "TensorFlow", lambda: packages.examine_tensorflows(installed)
    protobuf = installed.get("protobuf")
    yield (
        "protobuf",
        lambda: packages.examine_generated_code(_HERE, _folder_of("tensorflow"), protobuf),
    )
    if start:
        yield "Start of TensorFlow", tensorflow_start.examine
    yield "Processor", machine.examine_processor
    yield "Compiler", machine.examine_compiler
    yield "Memory", machine.examine_memory
    yield "Shared memory", machine.examine_shared_memory
    yield "Folders", machine.examine_folders
    yield "OpenCV", lambda: packages.examine_opencv(installed)
    yield "Optional parts", lambda: packages.examine_extras(installed)


def examine(*, start=True):
    """Yield the remarks of all checks; a check that fails is a remark as well.

    Args:
        start: whether to start TensorFlow.

    Yields:
        `Remark`.
    """
    for title, check in sections(start=start):
        try:
            yield from check()
        except Exception as error:  # the other checks are useful nevertheless
            yield note(f"{title} could not be checked ({type(error).__name__}: {error})", "")


def as_text(remark):
    """Return a remark as lines of text."""
    head = f"{remark.level:6}"
    lines = textwrap.wrap(
        remark.what, _WIDTH, initial_indent=head, subsequent_indent=" " * 6, break_long_words=False
    )
    if remark.cure:
        lines += textwrap.wrap(
            remark.cure,
            _WIDTH,
            initial_indent=" " * 6 + "-> ",
            subsequent_indent=" " * 9,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def main(arguments=None):
    """Run the command; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m object_detection.doctor",
        description="Check the environment and report problems with their solutions.",
    )
    parser.add_argument(
        "--no-start", action="store_true", help="do not start TensorFlow, which takes seconds"
    )
    parser.add_argument(
        "--quiet", action="store_true", help="print only problems and possible improvements"
    )
    options = parser.parse_args(arguments)
    print(f"object_detection {__version__}")
    levels = []
    for remark in examine(start=not options.no_start):
        levels.append(remark.level)
        if not options.quiet or remark.level in (NOTE, FAULT):
            print(as_text(remark), flush=True)
    faults, notes = levels.count(FAULT), levels.count(NOTE)
    summary = f"{faults} problem(s) to fix" if faults else "no problems"
    print(f"{summary}; {notes} possible improvement(s)" if notes else summary)
    return 1 if faults else 0


def _path():
    """Return `sys.path` of a program in another folder: without the current folder."""
    here = {"", os.getcwd()}
    return [entry for index, entry in enumerate(sys.path) if index or entry not in here]


def _folder_of(module):
    """Return the folder of a package without importing it; None if it is missing."""
    spec = importlib.util.find_spec(module)
    folders = spec.submodule_search_locations if spec else None
    return next(iter(folders), None) if folders else None


def run():
    """Run the command."""
    runner.run(lambda arguments: main(arguments[1:]))


if __name__ == "__main__":
    run()
