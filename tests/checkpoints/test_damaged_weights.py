"""Weights and archives that are cut off, changed or something else: one sentence each."""

import random
import tarfile
import zipfile

import h5py
import made_weights
import numpy as np
import pytest
import tensorflow as tf

from object_detection.checkpoints import location, manager
from object_detection.checkpoints.formats import identify
from object_detection.checkpoints.open import load_saved_model, open_checkpoint
from object_detection.config import pipeline_file
from object_detection.errors import CheckpointError

CONFIG = b"model { faster_rcnn { num_classes: 3 } }\n"
VALUES = {"FirstStageFeatureExtractor/resnet_v1_50/conv1/weights": np.ones([7, 7, 3, 64], "f")}
MODES = {".tar": "w", ".tar.gz": "w:gz", ".tar.xz": "w:xz", ".tar.bz2": "w:bz2"}


class _Twice(tf.Module):
    def __init__(self):
        self.factor = tf.Variable([2.0] * 1000)

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
    def __call__(self, x):
        return {"y": x * self.factor}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A folder of each form of weights, and archives of one."""
    root = tmp_path_factory.mktemp("originals")
    for name in ("tf1", "tf2", "oldest", "saved", "frozen", "keras2", "keras3"):
        (root / name).mkdir()
    made_weights.write_checkpoint(root / "tf1" / "model.ckpt-1", VALUES)
    made_weights.write_oldest_checkpoint(root / "oldest" / "model.ckpt", VALUES)
    made_weights.write_frozen_graph(root / "frozen" / "frozen_inference_graph.pb", VALUES)
    tf.train.Checkpoint(model=_Twice(), step=tf.Variable(3)).save(str(root / "tf2" / "ckpt"))
    tf.saved_model.save(_Twice(), str(root / "saved"))
    with h5py.File(root / "keras2" / "resnet.h5", "w") as file:
        file.attrs["layer_names"] = [b"conv1_conv"]
        file.create_group("conv1_conv").attrs["weight_names"] = [b"conv1_conv/kernel:0"]
        file["conv1_conv/conv1_conv/kernel:0"] = np.ones([7, 7, 3, 8], "f")
    with h5py.File(root / "keras3" / "m.weights.h5", "w") as file:
        file["layers/conv2d/vars/0"] = np.ones([3, 3, 3, 8], "f")
    whole = root / "whole" / "model"
    whole.mkdir(parents=True)
    made_weights.write_checkpoint(whole / "model.ckpt", VALUES)
    (whole / "pipeline.config").write_bytes(CONFIG)
    for suffix, mode in MODES.items():
        with tarfile.open(root / f"m{suffix}", mode) as archive:
            archive.add(whole, "model")
    with zipfile.ZipFile(root / "m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in whole.iterdir():
            archive.write(path, f"model/{path.name}")
    with zipfile.ZipFile(root / "keras.keras", "w") as archive:
        archive.write(root / "keras3" / "m.weights.h5", "model.weights.h5")
    return root


@pytest.mark.parametrize("name", [*(f"m{suffix}" for suffix in MODES), "m.zip"])
def test_archives_of_every_compression(originals, name, tmp_path):
    with open_checkpoint(originals / name) as stored:
        assert stored.read(next(iter(VALUES))).sum() == 7 * 7 * 3 * 64
    assert location.find_config(originals / name)[1] == CONFIG
    # By its content, whatever it is called.
    whole = (originals / name).read_bytes()
    (tmp_path / "m.tar.gz").write_bytes(whole)
    assert location.find_config(tmp_path / "m.tar.gz")[1] == CONFIG
    middle = len(whole) // 2
    for damaged in (whole[:middle], whole[:300], whole[:middle] + b"\xff" * 16 + whole[middle:]):
        (tmp_path / "m.tar.gz").write_bytes(damaged)
        _sentence_or_nothing(location.find, tmp_path / "m.tar.gz")  # may lie before the damage
        reported = _sentence_or_nothing(_read_all, tmp_path / "m.tar.gz")
        assert reported or damaged not in (whole[:middle], whole[:300])


def _sentence_or_nothing(read, path):
    """The one sentence that a reader refuses a file with, or None where it reads it."""
    try:
        read(path)
    except CheckpointError as error:
        assert path.name in str(error) and "\n" not in str(error)
        return str(error)


def test_a_model_that_keras_saved(originals):
    with open_checkpoint(originals / "keras.keras") as stored:
        assert identify(stored).name == "keras"
        assert stored.read("conv2d/kernel").shape == (3, 3, 3, 8)


def _read_all(path):
    with open_checkpoint(path) as stored:
        for name in list(stored.shapes):
            stored.read(name)


@pytest.mark.parametrize(
    ("folder", "file", "message"),
    [
        ("tf1", "model.ckpt-1.data-00000-of-00001", "is cut off: its data files have"),
        (
            "tf2",
            "ckpt-1.data-00000-of-00001",
            "Copy or download it again|cannot be read as a check",
        ),
        ("tf2", "ckpt-1.index", "cannot be read as a checkpoint"),
        ("oldest", "model.ckpt", "no weights of a known format|cannot be read as a checkpoint"),
        ("frozen", "frozen_inference_graph.pb", "cannot be read as a TensorFlow graph"),
        ("keras2", "resnet.h5", "cannot be read as Keras weights"),
        ("keras3", "m.weights.h5", "cannot be read as Keras weights"),
        ("saved", "variables/variables.data-00000-of-00001", "cut off|damaged"),
    ],
)
def test_a_file_cut_off_anywhere(originals, tmp_path, folder, file, message):
    _copy(originals / folder, tmp_path / "copy")
    place = tmp_path / "copy" / file
    whole = place.read_bytes()
    for length in (len(whole) // 3, len(whole) // 2, len(whole) - 9):
        place.write_bytes(whole[:length])
        target = place if folder == "oldest" else tmp_path / "copy"
        with pytest.raises(CheckpointError, match=message) as fault:
            _read_all(target)
        assert "\n" not in str(fault.value)
    place.unlink()
    if folder != "oldest":
        with pytest.raises(CheckpointError):
            _read_all(tmp_path / "copy")


def test_a_saved_model_to_be_run(originals, tmp_path):
    model = load_saved_model(originals / "saved")
    assert model.signatures["serving_default"](tf.constant(3.0))["y"][0] == 6.0
    for file, message in (
        ("variables/variables.data-00000-of-00001", "cut off, damaged"),
        ("variables/variables.index", "cut off, damaged"),
        ("saved_model.pb", "cut off, damaged"),
    ):
        _copy(originals / "saved", tmp_path / file.replace("/", "."))
        place = tmp_path / file.replace("/", ".") / file
        place.write_bytes(place.read_bytes()[: place.stat().st_size // 2])
        with pytest.raises(CheckpointError, match=message):
            load_saved_model(tmp_path / file.replace("/", "."))
        place.write_bytes(b"")
        with pytest.raises(CheckpointError, match="is empty"):
            load_saved_model(tmp_path / file.replace("/", "."))


def test_a_config_in_another_encoding(tmp_path):
    content = "model { }\n# modèle\n".encode("latin-1")
    made_weights.write_checkpoint(tmp_path / "model.ckpt", VALUES)
    (tmp_path / "pipeline.config").write_bytes(content)
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as archive:
        for path in (*tmp_path.glob("model.ckpt.*"), tmp_path / "pipeline.config"):
            archive.add(path, path.name)
    for weights in (tmp_path / "model.ckpt", tmp_path / "m.tar.gz"):
        where, found = location.find_config(weights)
        assert found == content  # which the config's own reader judges
        pipeline_file.parse(found, source=where)


def _copy(source, target):
    for path in source.rglob("*"):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())


@pytest.mark.parametrize(
    "folder", ["tf1", "tf2", "oldest", "saved", "frozen", "keras2", "keras3", "whole"]
)
@pytest.mark.slow
def test_changed_bytes_end_in_a_sentence(originals, tmp_path, folder):
    """150 files with bytes changed, left out or put in: read, or a sentence; nothing else."""
    generator = random.Random(folder)
    _copy(originals / folder, tmp_path / "copy")
    files = sorted(path for path in (tmp_path / "copy").rglob("*") if path.is_file())
    for _ in range(150):
        place = generator.choice(files)
        whole = place.read_bytes()
        place.write_bytes(_mutated(whole, generator))
        for read in (_read_all, location.find, manager.is_ours):
            try:
                read(generator.choice([tmp_path / "copy", place]))
            except CheckpointError as error:
                assert str(tmp_path) in str(error)
        place.write_bytes(whole)


def _mutated(content, generator):
    content = bytearray(content)
    start = generator.randrange(max(1, len(content)))
    kind = generator.randrange(4)
    if kind == 0:
        del content[start:]
    elif kind == 1:
        content[start : start + generator.randrange(1, 32)] = generator.randbytes(16)
    elif kind == 2:
        del content[start : start + generator.randrange(1, 100)]
    else:
        for _ in range(generator.randrange(1, 9)):
            content[generator.randrange(len(content))] = generator.randrange(256)
    return bytes(content)
