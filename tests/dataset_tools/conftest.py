"""What the tests of conversion commands share."""

import importlib

import pytest
from absl import flags

from object_detection.dataset_tools import conversion_command


@pytest.fixture
def command():
    """Runs a command in this process: name, flags -> `Report`s."""
    before = set(flags.FLAGS)

    def run(name, /, **values):
        module = importlib.import_module(f"object_detection.dataset_tools.create_{name}_tf_record")
        module.define_flags()
        try:
            flags.FLAGS(["command", *(f"--{key}={value}" for key, value in values.items())])
            return conversion_command.convert(
                module.splits(), conversion_command.options_by_flags()
            )
        finally:
            flags.FLAGS.remove_flag_values(set(flags.FLAGS) - before)

    yield run
    flags.FLAGS.unparse_flags()
