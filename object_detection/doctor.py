"""Examines the environment and says what is wrong with it: `python -m object_detection.doctor`.

It runs where nothing else does: this file and what it imports need Python's own library alone.
The exit code is 1 where something will not work, and 0 where nothing is wrong or things could be
better.
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
_WIDTH = 100  # of what is printed


def sections(*, start=True):
    """What is looked at.

    Args:
        start: whether to start TensorFlow, which takes some seconds.

    Yields:
        (title, function without arguments that yields `Remark`s).
    """
    found = packages.installed()
    yield "Python", packages.examine_python
    yield "This package", lambda: packages.examine_names(_HERE, _path(), found, __version__)
    wanted = packages.requirements(_HERE)
    yield "What it needs", lambda: packages.examine_requirements(wanted, found)
    yield "TensorFlow", lambda: packages.examine_tensorflows(found)
    protobuf = found.get("protobuf")
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
    yield "OpenCV", lambda: packages.examine_opencv(found)
    yield "Optional parts", lambda: packages.examine_extras(found)


def examine(*, start=True):
    """All remarks; a look that breaks is one of them.

    Args:
        start: whether to start TensorFlow.

    Yields:
        `Remark`.
    """
    for title, look in sections(start=start):
        try:
            yield from look()
        except Exception as error:  # the others are worth having all the same
            yield note(f"{title} could not be looked at ({type(error).__name__}: {error})", "")


def told(remark):
    """A remark as lines of text."""
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
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m object_detection.doctor",
        description="Examines the environment and says what is wrong with it, and what helps.",
    )
    parser.add_argument(
        "--no-start", action="store_true", help="do not start TensorFlow, which takes seconds"
    )
    parser.add_argument("--quiet", action="store_true", help="print only what could be better")
    given = parser.parse_args(arguments)
    print(f"object_detection {__version__}")
    levels = []
    for remark in examine(start=not given.no_start):
        levels.append(remark.level)
        if not given.quiet or remark.level in (NOTE, FAULT):
            print(told(remark), flush=True)
    faults, notes = levels.count(FAULT), levels.count(NOTE)
    end = f"{faults} fault(s) to repair" if faults else "nothing is wrong"
    print(f"{end}; {notes} thing(s) could be better" if notes else end)
    return 1 if faults else 0


def _path():
    """`sys.path` as a program in another folder sees it: without where this one was started."""
    here = {"", os.getcwd()}
    return [entry for place, entry in enumerate(sys.path) if place or entry not in here]


def _folder_of(module):
    """Where a package lies, without importing it; None where it is not."""
    spec = importlib.util.find_spec(module)
    places = spec.submodule_search_locations if spec else None
    return next(iter(places), None) if places else None


def run():
    """The command."""
    runner.run(lambda arguments: main(arguments[1:]))


if __name__ == "__main__":
    run()
