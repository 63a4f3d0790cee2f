"""Damaged weights in every form, opened and read value by value, and the configs with them."""

import gzip
import lzma
import shutil
import tarfile

import h5py
import made_weights
import mutations
import numpy as np

from object_detection.checkpoints import location
from object_detection.checkpoints.names import SUFFIX
from object_detection.checkpoints.open import open_checkpoint
from object_detection.config import pipeline_file

ERRORS = ("CheckpointError", "ConfigError", "DamagedCheckpointError")
SHAPES = {
    "FirstStageFeatureExtractor/resnet_v1_50/conv1/weights": [3, 3, 3, 4],
    "SecondStageBoxPredictor/ClassPredictor/biases": [6],
    "Conv/weights": [3, 3, 4, 2],
}
OBJECTS = {f"model/conv/kernel{SUFFIX}": [3, 3, 3, 2], f"model/conv/bias{SUFFIX}": [2]}
CONFIG = "model { faster_rcnn { num_classes: 3 } }\n"


def prepare(folder):
    """A folder of each form."""
    forms = folder / "forms"
    values = made_weights.values_of(SHAPES)
    for name in ("tf1", "oldest", "graph", "saved_tf1", "saved_tf2", "h5"):
        (forms / name).mkdir(parents=True)
        (forms / name / "pipeline.config").write_text(CONFIG)
    made_weights.write_checkpoint(forms / "tf1" / "model.ckpt", values)
    (forms / "tf1" / "checkpoint").write_text('model_checkpoint_path: "model.ckpt"\n')
    made_weights.write_oldest_checkpoint(forms / "oldest" / "model.ckpt", values)
    made_weights.write_frozen_graph(forms / "graph" / "frozen_inference_graph.pb", values)
    made_weights.write_tf1_saved_model(forms / "saved_tf1" / "saved_model", values)
    objects = made_weights.values_of(OBJECTS)
    made_weights.write_tf2_saved_model(forms / "saved_tf2" / "saved_model", objects)
    _write_h5(forms / "h5" / "weights.h5")
    for name in ("tf1", "graph", "h5"):
        for mode, suffix in (
            ("w:gz", "tar.gz"),
            ("w", "tar"),
            ("w:xz", "tar.xz"),
            ("w:bz2", "tbz"),
        ):
            target = forms / f"{name}_{suffix}"
            target.mkdir()
            made_weights.write_archive(target / f"model.{suffix}", forms / name, mode=mode)
    return forms


def _write_h5(path):
    """As Keras applications store weights."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv1_conv"]
        group = file.create_group("conv1_conv")
        group.attrs["weight_names"] = [b"conv1_conv/kernel:0", b"conv1_conv/bias:0"]
        group.create_dataset("conv1_conv/kernel:0", data=np.ones((3, 3, 3, 4), np.float32))
        group.create_dataset("conv1_conv/bias:0", data=np.ones(4, np.float32))


def run(dice, forms, folder):
    name = dice.choice(sorted(path.name for path in forms.iterdir()))
    place = folder / name
    shutil.copytree(forms / name, place)
    path = dice.choice([path for path in sorted(place.rglob("*")) if path.is_file()])
    if path.name == "pipeline.config" and dice.random() < 0.8:
        path = dice.choice([each for each in sorted(place.rglob("*")) if each.is_file()])
    if ".t" in path.name and dice.random() < 0.5:
        _damage_inside(path, dice)
    elif dice.random() < 0.1:
        path.unlink()
        if dice.random() < 0.5:
            path.mkdir()
    else:
        mutations.damaged_file(path, dice)
    _read(dice.choice([place, path]))


def _damage_inside(path, dice):
    """An archive whose packing is whole, and whose files or headers are not."""
    content = path.read_bytes()
    if path.name.endswith(".gz"):
        packed = gzip.compress(mutations.damaged_bytes(gzip.decompress(content), dice))
    elif path.name.endswith(".xz"):
        packed = lzma.compress(mutations.damaged_bytes(lzma.decompress(content), dice))
    else:
        folder = path.parent / "unpacked"
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
        files = [each for each in sorted(folder.rglob("*")) if each.is_file()]
        mutations.damaged_file(dice.choice(files), dice)
        with tarfile.open(path, "w:bz2" if path.name.endswith("tbz") else "w") as archive:
            archive.add(folder / "model", arcname=dice.choice(["model", "../x", "/x", "a\nb", "é"]))
        shutil.rmtree(folder)
        return
    path.write_bytes(packed)


def _read(path):
    with open_checkpoint(path) as stored:
        for name in stored.shapes:
            stored.read(name)
            stored.find(name)
    found = location.find_config(path)
    if found is not None:
        pipeline_file.parse(found[1], source=found[0])
