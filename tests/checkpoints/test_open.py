"""Weights in every form are opened, read value by value, and refused in words where they are not
whole."""

import gzip
import io
import tarfile

import h5py
import made_weights
import numpy as np
import pytest
import tensorflow as tf

from object_detection.checkpoints.formats import identify
from object_detection.checkpoints.names import SUFFIX
from object_detection.checkpoints.open import open_checkpoint
from object_detection.errors import CheckpointError

VALUES = made_weights.values_of(
    {
        "FirstStageFeatureExtractor/resnet_v1_50/conv1/weights": [7, 7, 3, 4],
        "SecondStageBoxPredictor/ClassPredictor/biases": [6],
        "Conv/weights": [3, 3, 4, 2],
    }
)


@pytest.fixture
def zoo(tmp_path):
    """A zoo folder of TF1: its state file names the machine that it was trained on."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    made_weights.write_checkpoint(folder / "model.ckpt", VALUES)
    (folder / "model.ckpt.meta").write_bytes(b"graph")
    (folder / "checkpoint").write_text('model_checkpoint_path: "/mnt/run/model.ckpt"\n')
    made_weights.write_frozen_graph(folder / "frozen_inference_graph.pb", VALUES)
    made_weights.write_tf1_saved_model(folder / "saved_model", VALUES)
    (folder / "pipeline.config").write_text("model { }")
    return folder


def assert_holds(path, values, form=None, kind="tf1"):
    with open_checkpoint(path) as stored:
        assert set(stored.shapes) == set(values) and identify(stored).name == kind
        assert form in (None, stored.file_format)
        for name, value in values.items():
            assert stored.shapes[name] == list(value.shape)
            np.testing.assert_array_equal(stored.read(name), value)


@pytest.mark.parametrize(
    "path, form",
    [
        ("", "checkpoint"),
        ("model.ckpt", "checkpoint"),
        ("model.ckpt.index", "checkpoint"),
        ("model.ckpt.data-00000-of-00001", "checkpoint"),
        ("model.ckpt.meta", "checkpoint"),
        ("checkpoint", "checkpoint"),
        ("frozen_inference_graph.pb", "frozen_graph"),
        ("saved_model", "saved_model"),
        ("saved_model/saved_model.pb", "saved_model"),
    ],
)
def test_every_path_into_a_zoo_folder_means_its_weights(zoo, path, form):
    assert_holds(zoo / path if path else f"{zoo}/", VALUES, form)


def test_a_folder_is_known_by_what_is_left_of_it(zoo):
    for file in zoo.glob("model.ckpt*"):
        file.unlink()
    assert_holds(zoo, VALUES, "frozen_graph")
    (zoo / "frozen_inference_graph.pb").unlink()
    assert_holds(zoo, VALUES, "saved_model")


def test_an_unpacked_archive_lies_one_folder_deeper(zoo):
    assert_holds(zoo.parent, VALUES, "checkpoint")


@pytest.mark.parametrize("folder", ["run", "export/checkpoint"])
def test_the_newest_checkpoint_of_a_training(tmp_path, folder):
    folder = tmp_path / folder
    folder.mkdir(parents=True)
    for number in (2, 10):
        made_weights.write_checkpoint(folder / f"model.ckpt-{number}", {"a/b": np.ones(number)})
    top = folder.parent if folder.name == "checkpoint" else folder
    assert_holds(top, {"a/b": np.ones(10)}, kind="slim")
    (folder / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-2"\n')
    assert_holds(top, {"a/b": np.ones(2)}, kind="slim")


def test_the_oldest_form_is_one_file(tmp_path):
    values = {"resnet_v1_50/conv1/weights": VALUES["Conv/weights"]}
    made_weights.write_oldest_checkpoint(tmp_path / "resnet_v1_50.ckpt", values)
    assert_holds(tmp_path / "resnet_v1_50.ckpt", values, kind="slim")
    assert_holds(tmp_path, values, kind="slim")


def test_constants_of_a_graph_that_was_folded(tmp_path):
    made_weights.write_frozen_graph(tmp_path / "frozen.pb", VALUES, folded=True)
    assert_holds(tmp_path / "frozen.pb", VALUES, "frozen_graph")


def test_objects_of_a_saved_model_are_found_from_its_root(tmp_path):
    key = "_model/_feature_extractor_for_proposal_features/inner/kernel" + SUFFIX
    made_weights.write_tf2_saved_model(tmp_path / "saved_model", {key: np.ones([2, 3], "f4")})
    with open_checkpoint(tmp_path) as stored:
        assert identify(stored).name == "tf2" and stored.find(key) == key
        assert stored.has_object("_model/_feature_extractor_for_proposal_features")
        assert not stored.has_object("model")
        np.testing.assert_array_equal(stored.read(key), np.ones([2, 3]))


def test_an_object_is_found_by_a_name_that_is_not_its_key(tmp_path):
    """Two paths lead to the variable; the file's key is only one of them."""
    root, inner = tf.Module(), tf.Module()
    inner.kernel = tf.Variable([1.0, 2.0])
    root.layer_0, root.a_layer = inner, inner
    tf.saved_model.save(root, str(tmp_path))
    with open_checkpoint(tmp_path) as stored:
        (key,) = stored.shapes
        names = [f"{layer}/kernel{SUFFIX}" for layer in ("layer_0", "a_layer")]
        assert [stored.find(name) for name in names] == [key, key]
        assert stored.find("b_layer/kernel" + SUFFIX) is None


def test_keras_files_name_layers_or_count_them(tmp_path):
    kernel, bias = np.ones([1, 1, 3, 4], "f4"), np.arange(4, dtype="f4")
    with h5py.File(tmp_path / "legacy.h5", "w") as file:
        file.attrs["layer_names"] = [b"input_1", b"conv1_conv"]
        file.create_group("input_1").attrs["weight_names"] = []
        layer = file.create_group("conv1_conv")
        layer.attrs["weight_names"] = [b"conv1_conv/kernel:0", b"conv1_conv/bias:0"]
        layer["conv1_conv/kernel:0"], layer["conv1_conv/bias:0"] = kernel, bias
    expected = {"conv1_conv/kernel": kernel, "conv1_conv/bias": bias}
    assert_holds(tmp_path / "legacy.h5", expected, "keras", "keras")

    with h5py.File(tmp_path / "new.weights.h5", "w") as file:
        for number in (10, 2):
            file[f"layers/conv2d_{number}/vars/0"] = kernel * number
        for number, value in enumerate((1, 2, 3)):
            file[f"layers/batch_normalization/vars/{number}"] = bias + value
        file["layers/conv2d_2/vars"].attrs["name"] = "mixed"
        file.create_group("layers/activation/vars")
    expected = {
        "batch_normalization/beta": bias + 1,
        "batch_normalization/moving_mean": bias + 2,
        "batch_normalization/moving_variance": bias + 3,
        "mixed/kernel": kernel * 2,
        "conv2d_10/kernel": kernel * 10,
    }
    assert_holds(tmp_path / "new.weights.h5", expected, "keras", "keras")
    with open_checkpoint(tmp_path / "new.weights.h5") as stored:
        assert list(stored.shapes)[-2:] == ["mixed/kernel", "conv2d_10/kernel"]


@pytest.mark.parametrize("mode, name", [("w:gz", "m.tar.gz"), ("w:gz", "download"), ("w", "m.tar")])
def test_an_archive_is_unpacked_and_gone(zoo, tmp_path, monkeypatch, mode, name):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    made_weights.write_archive(tmp_path / name, zoo, mode=mode)
    assert_holds(tmp_path / name, VALUES, "checkpoint")
    with open_checkpoint(tmp_path / name) as stored:
        inside = [p.name for p in (tmp_path / "temporary").rglob("*") if p.is_file()]
        # The same weights as constants of graphs stay packed.
        assert sorted(inside) == [
            "checkpoint",
            "model.ckpt.data-00000-of-00001",
            "model.ckpt.index",
        ]
        assert stored.path == f"{tmp_path / name} (model/model.ckpt)"
    assert not list((tmp_path / "temporary").iterdir())


def test_an_archive_that_is_dropped_leaves_nothing_either(zoo, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    made_weights.write_archive(tmp_path / "m.tar.gz", zoo)
    stored = open_checkpoint(tmp_path / "m.tar.gz")
    del stored
    assert not list((tmp_path / "temporary").iterdir())


def archive_of(path, **members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize("member", ["..__..__evil.index", "__tmp__evil.index"])
def test_an_archive_that_writes_elsewhere_is_refused(tmp_path, member):
    archive_of(tmp_path / "m.tar.gz", **{member: b"x"})
    with pytest.raises(CheckpointError, match=r"refused: its member '.*evil.index' would be"):
        open_checkpoint(tmp_path / "m.tar.gz")
    assert not list(tmp_path.parent.glob("evil*"))


def test_a_link_in_an_archive_is_not_followed(tmp_path):
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("model/ckpt-1.index")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(CheckpointError, match="an archive without weights"):
        open_checkpoint(tmp_path / "m.tar.gz")


def test_archives_that_are_none_or_cut_off(zoo, tmp_path):
    made_weights.write_archive(tmp_path / "m.tar.gz", zoo)
    whole = (tmp_path / "m.tar.gz").read_bytes()
    (tmp_path / "m.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="it is cut off or no archive"):
        open_checkpoint(tmp_path / "m.tar.gz")
    (tmp_path / "n.tar.gz").write_bytes(gzip.compress(b"text" * 1000))
    with pytest.raises(CheckpointError, match="it is cut off or no archive"):
        open_checkpoint(tmp_path / "n.tar.gz")
    archive_of(tmp_path / "o.tar.gz", **{"readme.txt": b"hello"})
    with pytest.raises(CheckpointError, match="an archive without weights"):
        open_checkpoint(tmp_path / "o.tar.gz")


def test_nothing_there_says_what_is_near(zoo, tmp_path):
    with pytest.raises(
        CheckpointError, match=r"no checkpoint at '.*model.ckpt-5000'.*there is: .*"
    ):
        open_checkpoint(zoo / "model.ckpt-5000")
    with pytest.raises(CheckpointError, match=r"right up to '.*zoo'"):
        open_checkpoint(zoo / "training" / "model.ckpt")
    (tmp_path / "photos").mkdir()
    with pytest.raises(CheckpointError, match=r"The folder '.*photos' is empty"):
        open_checkpoint(tmp_path / "photos")
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(CheckpointError, match="there is: cat.jpg"):
        open_checkpoint(tmp_path / "photos")
    with pytest.raises(CheckpointError, match="no weights of a known format"):
        open_checkpoint(tmp_path / "photos" / "cat.jpg")


@pytest.mark.parametrize(
    "content, said",
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "git-lfs pointer.*lfs pull"),
        (b"<!DOCTYPE html><html>404", "is a web page"),
        (b"", "is empty"),
        (b"not what it was" * 9, "cannot be read|cannot be unpacked"),
    ],
)
@pytest.mark.parametrize(
    "name",
    [
        "model.ckpt.index",
        "frozen_inference_graph.pb",
        "saved_model/saved_model.pb",
        "m.h5",
        "m.tar.gz",
    ],
)
def test_files_that_are_something_else(zoo, name, content, said):
    (zoo / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=said):
        open_checkpoint(zoo / name)


def test_a_pointer_in_the_place_of_data(zoo):
    (zoo / "model.ckpt.data-00000-of-00001").write_bytes(b"version https://git-lfs.github.com")
    with pytest.raises(CheckpointError, match=r"data-00000-of-00001 is a git-lfs pointer"):
        open_checkpoint(zoo)


def test_data_that_is_missing_or_cut_off(zoo):
    data = zoo / "model.ckpt.data-00000-of-00001"
    whole = data.read_bytes()
    data.write_bytes(whole[:-100])
    with pytest.raises(
        CheckpointError, match=r"cut off: its data files have \d+ bytes, .* \d+\. Co"
    ):
        open_checkpoint(zoo)
    data.unlink()
    with pytest.raises(CheckpointError, match="has no data file: 'model.ckpt.data-...' is missing"):
        open_checkpoint(zoo / "model.ckpt")
    (zoo / "model.ckpt.data-00001-of-00003").write_bytes(whole)
    with pytest.raises(CheckpointError, match=r"of 3 data files, and 2 are missing: '.*-00000"):
        open_checkpoint(zoo / "model.ckpt")


def test_data_without_its_index(zoo):
    (zoo / "model.ckpt.index").unlink()
    with pytest.raises(
        CheckpointError, match=r"'model.ckpt.index' is missing in the same folder. Copy all"
    ):
        open_checkpoint(zoo / "model.ckpt.data-00000-of-00001")


def test_damage_inside_is_found_when_the_value_is_read(zoo):
    data = zoo / "model.ckpt.data-00000-of-00001"
    whole = bytearray(data.read_bytes())
    whole[8] ^= 255
    data.write_bytes(whole)
    with (
        open_checkpoint(zoo / "model.ckpt") as stored,
        pytest.raises(CheckpointError, match="damaged"),
    ):
        for name in stored.shapes:
            stored.read(name)


@pytest.mark.parametrize("cut", [10, 100, 500])
def test_graphs_that_are_cut_off(zoo, cut):
    for path in (zoo / "frozen_inference_graph.pb", zoo / "saved_model" / "saved_model.pb"):
        path.write_bytes(path.read_bytes()[:-cut])
        with pytest.raises(CheckpointError, match="it is cut off or something else"):
            open_checkpoint(path)


def test_a_graph_without_weights(tmp_path):
    made_weights.write_frozen_graph(tmp_path / "frozen.pb", {})
    with pytest.raises(CheckpointError, match="no constants named as TFOD's variables"):
        open_checkpoint(tmp_path / "frozen.pb")
