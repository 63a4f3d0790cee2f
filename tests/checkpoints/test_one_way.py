"""The way of a path through the package: few modules, each once; a family of weights is one row."""

import sys
import tarfile

import made_networks
import made_weights
import numpy as np
import pytest

from object_detection.checkpoints import formats, location
from object_detection.checkpoints.formats import Family, NameRule
from object_detection.checkpoints.location import FileFormat
from object_detection.checkpoints.names.tfod_tf1 import slim_names
from object_detection.checkpoints.open import StoredCheckpoint
from object_detection.checkpoints.restore import restore, restore_for_fine_tuning
from object_detection.checkpoints.variables import names_of
from object_detection.protos import train_pb2

PACKAGE = "object_detection.checkpoints."
# Questions to the file that is open, and its end: values are read one at a time while they are
# assigned.
READING = {"__enter__", "read", "find", "has_object", "close", "__exit__", "values_of"}


def modules_entered(call):
    """The modules of the package that a call enters, in order, each as often as it is entered.

    A module is entered when it is called from a module that it did not call itself; the code of a
    module that continues after a call is no new entry.
    """
    entered, stack = [], []

    def note(frame, event, argument):
        del argument
        module = frame.f_globals.get("__name__", "")
        if event == "call":
            is_reading = frame.f_code.co_name in READING or any(name is None for name in stack)
            stack.append(None if is_reading else module)
            callers = [name for name in stack[:-1] if name and name.startswith(PACKAGE)]
            if not is_reading and module.startswith(PACKAGE) and module not in callers:
                entered.append(module.removeprefix(PACKAGE))
        elif event == "return" and stack:
            stack.pop()

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return entered


def without_repeats(names):
    """Names in their order, neighbors that are the same as one."""
    return [name for name, before in zip(names, [None, *names], strict=False) if name != before]


def stored_tf1(folder):
    """A network and a checkpoint that TFOD 1.x has of it."""
    network = made_networks.network_of_paths(made_networks.slim_resnet())
    shapes = {w.path.split("/", 1)[1]: w.shape for w in network.variables}
    values = {name: shapes[path] for path, name in names_of(network).scopes.items()}
    made_weights.write_checkpoint(folder / "model.ckpt", made_weights.values_of(values))
    return network, folder / "model.ckpt"


def stored_zoo(folder):
    """The same in an archive."""
    network, prefix = stored_tf1(folder)
    with tarfile.open(folder / "zoo.tar.gz", "w:gz") as archive:
        for path in folder.glob(prefix.name + "*"):
            archive.add(path, f"zoo/{path.name}")
    return network, folder / "zoo.tar.gz"


def stored_tf2(folder):
    """A network and a checkpoint that TFOD 2.x has of it."""
    network = made_networks.network_of_paths(made_networks.keras_resnet())
    shapes = {w.path.split("/", 1)[1]: w.shape for w in network.variables}
    values = {name: shapes[path] for path, name in names_of(network).keys.items()}
    made_weights.write_checkpoint(folder / "ckpt-0", made_weights.values_of(values))
    return network, folder / "ckpt-0"


def stored_classifier(folder):
    """A network and slim's classifier of its backbone."""
    network = made_networks.network_of_paths(made_networks.slim_resnet())
    shapes = {w.path.split("/", 1)[1]: w.shape for w in network.variables}
    values = {name: shapes[path] for path, name in slim_names(list(shapes)).items()}
    made_weights.write_checkpoint(folder / "resnet.ckpt", made_weights.values_of(values))
    return network, folder / "resnet.ckpt"


@pytest.mark.parametrize(
    ("stored", "kind", "names"),
    [
        (stored_tf1, "full", "names.tfod_tf1"),
        (stored_zoo, "detection", "names.tfod_tf1"),
        (stored_tf2, "full", "names.tfod_tf2"),
        (stored_classifier, "classification", "names.tfod_tf1"),
    ],
)
@pytest.mark.parametrize("tunes", [False, True])
def test_a_path_enters_each_module_once(tmp_path, stored, kind, names, tunes):
    network, path = stored(tmp_path)
    config = train_pb2.TrainConfig(fine_tune_checkpoint=str(path), fine_tune_checkpoint_type=kind)

    def call():
        if tunes:
            report = restore_for_fine_tuning(network, config)
        else:
            report = restore(network, path, checkpoint_type=kind, partial=True)
        assert report.restored

    entered = without_repeats(modules_entered(call))
    assert entered == ["restore", "open", "location", "variables", "formats", names]


@pytest.fixture
def families():
    """Undoes what a test registers."""
    kept = list(formats.FAMILIES), list(location.FILE_FORMATS)
    yield
    formats.FAMILIES[:], location.FILE_FORMATS[:] = kept


class Npz:
    """Reads an .npz file."""

    def __init__(self, path):
        self._arrays = np.load(path)
        self.shapes = {name: list(self._arrays[name].shape) for name in self._arrays}

    def read(self, name):
        """Return a value."""
        return self._arrays[name]


def is_invented(checkpoint: StoredCheckpoint) -> bool:
    """Whether names are those of the invented family."""
    return any(name.startswith("stem.") for name in checkpoint.shapes)


INVENTED = Family(
    "invented",
    "an invented library",
    is_invented,
    (
        # It stores kernels as [outputs, inputs, height, width], with blue first in the stem.
        NameRule(r"backbone/resnet/conv1/kernel", "stem.weight", (2, 3, 1, 0), flip_input=True),
        NameRule(r"backbone/resnet/conv1/gamma", "stem.scale"),
        NameRule(r"backbone/resnet/conv(\d)/block(\d)/conv(\d)/kernel", r"s\1.b\2.c\3.weight"),
        NameRule(r"roi_stage/head/classes/kernel", "cls.weight", (1, 0)),
    ),
)


def test_a_family_is_one_row(tmp_path, families):
    formats.register(INVENTED, FileFormat("npz", (".npz",), reader=Npz))
    network = made_networks.network_of_paths(
        {
            "backbone/resnet/conv1/kernel": [7, 7, 3, 4],
            "backbone/resnet/conv1/gamma": [4],
            "backbone/resnet/conv2/block1/conv3/kernel": [1, 1, 4, 8],
            "roi_stage/head/classes/kernel": [8, 3],
        }
    )
    values = made_weights.values_of(
        {
            "stem.weight": [4, 3, 7, 7],
            "stem.scale": [4],
            "s2.b1.c3.weight": [1, 1, 4, 8],
            "cls.weight": [3, 8],
            "training.epoch": [1],
        }
    )
    np.savez(tmp_path / "weights.npz", **values)

    for path in (tmp_path / "weights.npz", tmp_path):
        report = restore(network, path)
        assert report.family == "invented" and report.unused == ("training.epoch",)
        assert "(an invented library)" in report.summary()
    restored = made_networks.values_in(network)
    stem = values["stem.weight"]
    np.testing.assert_array_equal(
        restored["backbone/resnet/conv1/kernel"][2, 5, 0], stem[:, 2, 2, 5]
    )
    np.testing.assert_array_equal(
        restored["backbone/resnet/conv1/kernel"], stem.transpose(2, 3, 1, 0)[:, :, ::-1]
    )
    np.testing.assert_array_equal(
        restored["backbone/resnet/conv2/block1/conv3/kernel"], values["s2.b1.c3.weight"]
    )
    np.testing.assert_array_equal(restored["roi_stage/head/classes/kernel"], values["cls.weight"].T)


def test_a_family_in_a_known_file_format(tmp_path, families):
    """Shapes that do not fit after the transposition are named as the model would have them."""
    formats.register(INVENTED)
    network = made_networks.network_of_paths(
        {"backbone/resnet/conv1/gamma": [4], "roi_stage/head/classes/kernel": [8, 5]}
    )
    values = made_weights.values_of({"stem.scale": [4], "cls.weight": [3, 8]})
    made_weights.write_checkpoint(tmp_path / "model.ckpt", values)
    report = restore(network, tmp_path, partial=True)
    assert report.mismatched == ("roi_stage/head/classes/kernel: model [8, 5], file [8, 3]",)
    config = train_pb2.TrainConfig(fine_tune_checkpoint=str(tmp_path))
    config.fine_tune_checkpoint_type = "full"
    assert restore_for_fine_tuning(network, config).family == "invented"
