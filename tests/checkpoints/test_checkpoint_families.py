"""The family of a checkpoint is recognized by its names, and each family is restored."""

import h5py
import made_networks
import made_weights
import numpy as np
import pytest

from object_detection.checkpoints.formats import identify, reason_unused
from object_detection.checkpoints.names import SUFFIX
from object_detection.checkpoints.names.tfod_tf1 import slim_names
from object_detection.checkpoints.open import open_checkpoint
from object_detection.checkpoints.restore import restore
from object_detection.checkpoints.variables import names_of
from object_detection.errors import CheckpointError

MODEL = "model/_feature_extractor_for_proposal_features/layer_with_weights-0/kernel"


@pytest.mark.parametrize(
    "names, family",
    [
        (["model/backbone..resnet..conv1..kernel" + SUFFIX, "step" + SUFFIX], "ours"),
        ([MODEL + SUFFIX, "optimizer/iter" + SUFFIX], "tf2"),
        (["feature_extractor/layer_with_weights-0/kernel" + SUFFIX], "tf2"),
        (["Conv/weights", "FirstStageBoxPredictor/ClassPredictor/biases"], "tf1"),
        (["resnet_v1_50/conv1/weights", "global_step"], "slim"),
    ],
)
def test_family_of_names(tmp_path, names, family):
    made_weights.write_checkpoint(tmp_path / "ckpt-1", dict.fromkeys(names, np.zeros(1, "f4")))
    with open_checkpoint(tmp_path) as stored:
        assert identify(stored).name == family


@pytest.mark.parametrize(
    "name, reason",
    [
        (f"{MODEL}/.OPTIMIZER_SLOT/optimizer/momentum{SUFFIX}", "state of the optimizer"),
        (f"{MODEL}/.OPTIMIZER_SLOT/optimizer/average{SUFFIX}", "moving averages (eval"),
        ("Conv/weights/Momentum", "state of the optimizer"),
        ("Conv/weights/RMSProp_1", "state of the optimizer"),
        ("Conv/weights/ExponentialMovingAverage", "moving averages (eval"),
        ("global_step", "counters"),
        ("save_counter" + SUFFIX, "counters"),
        ("FirstStageFeatureExtractor/resnet_v1_50/block4/unit_1/x", "block4 of the first stage"),
        ("SecondStageFeatureExtractor/resnet_v1_50/block4/unit_1/x", "not in this model"),
        ("resnet_v1_50/logits/weights", "not in this model"),
    ],
)
def test_why_an_entry_goes_nowhere(name, reason):
    assert reason_unused(name).startswith(reason)


def assert_restored(network, expected):
    for path, value in made_networks.values_in(network).items():
        if path in expected:
            np.testing.assert_allclose(value, expected[path], rtol=1e-6, err_msg=path)
        else:
            assert not value.any(), path


def filled(names, paths):
    """Random values by the file's names, and the same by our paths."""
    values = made_weights.values_of({names[path]: shape for path, shape in paths.items()})
    return values, {path: values[names[path]] for path in paths}


@pytest.mark.parametrize("form", ["checkpoint", "frozen_graph", "folded", "saved_model"])
def test_tf1_in_every_form(tmp_path, form):
    network = made_networks.network_of_paths(made_networks.slim_resnet())
    values, expected = filled(names_of(network).scopes, made_networks.slim_resnet())
    if form == "checkpoint":
        made_weights.write_checkpoint(tmp_path / "model.ckpt", values)
    elif form == "saved_model":
        made_weights.write_tf1_saved_model(tmp_path / "saved_model", values)
    else:
        made_weights.write_frozen_graph(tmp_path / "graph.pb", values, folded=form == "folded")
    report = restore(network, tmp_path / "graph.pb" if "f" in form[:2] else tmp_path)
    assert (report.family, len(report.restored)) == ("tf1", len(expected))
    assert_restored(network, expected)


@pytest.mark.parametrize("kind", ["detection", "classification"])
def test_parts_of_a_tf1_detector(tmp_path, kind):
    network = made_networks.network_of_paths(made_networks.slim_resnet())
    values, expected = filled(names_of(network).scopes, made_networks.slim_resnet())
    made_weights.write_checkpoint(tmp_path / "model.ckpt", values)
    report = restore(network, tmp_path, checkpoint_type=kind)
    heads = set(made_networks.heads())
    assert set(report.not_requested) == heads
    assert_restored(network, {path: v for path, v in expected.items() if path not in heads})


def test_a_slim_classifier_goes_into_both_stages(tmp_path):
    network = made_networks.network_of_paths(made_networks.slim_resnet())
    names = slim_names(list(made_networks.slim_resnet()))
    paths = {p: s for p, s in made_networks.slim_resnet().items() if p in names}
    values, expected = filled(names, paths)
    values["resnet_v1_50/logits/weights"] = np.ones([1, 1, 4, 1000], np.float32)
    made_weights.write_oldest_checkpoint(tmp_path / "resnet_v1_50.ckpt", values)
    report = restore(network, tmp_path / "resnet_v1_50.ckpt", checkpoint_type="classification")
    assert report.family == "slim" and report.unused == ("resnet_v1_50/logits/weights",)
    assert "backbone/resnet_v1_50/conv1/kernel" in expected
    assert "roi_stage/resnet_v1_50/block4/unit_1/conv1/kernel" in expected
    assert_restored(network, expected)


def test_slim_names_of_the_box_stages_repetition():
    """TFOD builds it as the first of its network; in slim's it is the third."""
    layer = "inception_resnet_v2/repeat/block8_1/conv2d_1x1/kernel"
    names = slim_names([f"backbone/{layer}", f"roi_stage/{layer}", "rpn/head/conv/kernel"])
    assert names == {
        f"backbone/{layer}": "InceptionResnetV2/Repeat/block8_1/Conv2d_1x1/weights",
        f"roi_stage/{layer}": "InceptionResnetV2/Repeat_2/block8_1/Conv2d_1x1/weights",
    }


@pytest.mark.parametrize("root", ["model", "_model"])
def test_tf2_detectors_from_a_checkpoint_and_from_a_saved_model(tmp_path, root):
    network = made_networks.network_of_paths(made_networks.keras_resnet())
    keys = {p: k.replace("model/", root + "/", 1) for p, k in names_of(network).keys.items()}
    values, expected = filled(keys, made_networks.keras_resnet())
    if root == "model":
        made_weights.write_checkpoint(tmp_path / "ckpt-0", values)
    else:
        made_weights.write_tf2_saved_model(tmp_path, values)
    report = restore(network, tmp_path)
    assert report.family == "tf2" and not report.missing
    assert_restored(network, expected)


@pytest.mark.parametrize("root", ["feature_extractor/", ""])
def test_tf2_classifiers_are_numbered_through(tmp_path, root):
    """Ten layers stand before the box stage's: conv1 and its norm, four and four of a block."""
    network = made_networks.network_of_paths(made_networks.keras_resnet())
    path, leaf = "roi_stage/conv5/block1/conv1", "kernel"
    values = made_weights.values_of(
        {
            f"{root}layer_with_weights-{number}/{leaf}{SUFFIX}": shape
            for number, leaf, shape in [
                (0, "kernel", [1, 1, 3, 4]),
                *((1, leaf, [4]) for leaf in ("gamma", "beta", "moving_mean", "moving_variance")),
                *((n, "kernel", [1, 1, 4, 4]) for n in (2, 4, 6, 7, 10)),
                *((n, "gamma", [4]) for n in (3, 5, 8, 9)),
                *((n, "beta", [4]) for n in (3, 5, 8, 9)),
            ]
        }
    )
    made_weights.write_checkpoint(tmp_path / "ckpt-1", values)
    with open_checkpoint(tmp_path) as stored:
        assert identify(stored).is_classifier(stored)
    report = restore(network, tmp_path, checkpoint_type="classification", partial=True)
    restored = made_networks.values_in(network)
    name = f"{root}layer_with_weights-10/kernel{SUFFIX}"
    np.testing.assert_array_equal(restored[f"{path}/{leaf}"], values[name])
    name = f"{root}layer_with_weights-8/gamma{SUFFIX}"
    gamma = restored["backbone/resnet/conv2/block1/shortcut/gamma"]
    np.testing.assert_array_equal(gamma, values[name])
    assert len(report.restored) == len(values)


def write_layers(path, layers):
    """A legacy .h5 file of {layer: {leaf: array}}."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for name, weights in layers.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{leaf}:0".encode() for leaf in weights]
            for leaf, value in weights.items():
                group[f"{name}/{leaf}:0"] = value


def norm_of(size, seed):
    leaves = ("gamma", "beta", "moving_mean", "moving_variance")
    return made_weights.values_of({leaf: [size] for leaf in leaves}, seed=seed)


def test_keras_resnets_give_their_biases_to_the_norms(tmp_path):
    network = made_networks.network_of_paths(made_networks.keras_resnet())
    units = ["conv1", *(f"{b}_block1_{n}" for b in ("conv2", "conv5") for n in (1, 2, 0, 3))]
    layers = {}
    for seed, name in enumerate(units):
        shapes = {"kernel": [1, 1, 3 if name == "conv1" else 4, 4], "bias": [4]}
        layers[f"{name}_conv"] = made_weights.values_of(shapes, seed=seed)
        layers[f"{name}_bn"] = norm_of(4, seed + 100)
    write_layers(tmp_path / "resnet.h5", layers)
    report = restore(network, tmp_path / "resnet.h5", checkpoint_type="classification")
    got = made_networks.values_in(network)

    first = layers["conv1_conv"]["kernel"]
    np.testing.assert_array_equal(got["backbone/resnet/conv1/kernel"][0, 0], first[0, 0, ::-1])
    shortcut = "roi_stage/conv5/block1/shortcut"
    kernel = layers["conv5_block1_0_conv"]["kernel"]
    np.testing.assert_array_equal(got[f"{shortcut}/kernel"], kernel)
    norm, bias = layers["conv5_block1_0_bn"], layers["conv5_block1_0_conv"]["bias"]
    np.testing.assert_array_equal(got[f"{shortcut}/gamma"], norm["gamma"])
    np.testing.assert_array_equal(got[f"{shortcut}/moving_mean"], norm["moving_mean"] - bias)
    assert "biases were taken into the norms" in report.summary() and not report.unused


def test_keras_layers_without_names_of_their_own_go_by_their_order(tmp_path):
    """Two branches: Keras has the first layer of the longer one, both second ones, and so on."""
    network = made_networks.network_of_paths(made_networks.keras_inception_resnet())
    layers = {}
    for number, (inputs, outputs) in {7: (3, 4), 9: (4, 5), 8: (4, 4), 10: (5, 6)}.items():
        layers[f"conv2d_{number}"] = made_weights.values_of(
            {"kernel": [1, 1, inputs, outputs]}, seed=number
        )
        norm = norm_of(outputs, number)
        del norm["gamma"]
        layers[f"batch_normalization_{number}"] = norm
    named = {"block35_1_conv": (10, 4), "conv_7b": (4, 9)}
    for name, (inputs, outputs) in named.items():
        shapes = {"kernel": [1, 1, inputs, outputs]}
        shapes |= {"bias": [outputs]} if name.startswith("block") else {}
        layers[name] = made_weights.values_of(shapes, seed=5)
    layers["conv_7b_bn"] = norm_of(9, 6)
    write_layers(tmp_path / "inception.h5", layers)
    report = restore(network, tmp_path / "inception.h5", checkpoint_type="classification")
    got = made_networks.values_in(network)

    for path, layer in (
        ("backbone/inception_resnet_v2/conv2d_1a_3x3/kernel", "conv2d_7"),
        ("backbone/inception_resnet_v2/repeat/block35_1/branch_1/conv2d_0a_1x1/kernel", "conv2d_9"),
        ("backbone/inception_resnet_v2/repeat/block35_1/branch_0/conv2d_1x1/kernel", "conv2d_8"),
        ("backbone/inception_resnet_v2/repeat/block35_1/conv2d_1x1/bias", "block35_1_conv"),
        ("roi_stage/inception_resnet_v2/conv2d_7b_1x1/kernel", "conv_7b"),
    ):
        np.testing.assert_array_equal(got[path], layers[layer][path.rsplit("/", 1)[1]])
    assert not report.missing and "biases were taken" not in report.summary()


@pytest.mark.parametrize(
    "network, names, said",
    [
        ("keras_resnet", "slim", "file holds resnet_v1_50; .*'faster_rcnn_resnet50' fits"),
        ("slim_resnet", "keras", "network of TFOD 2.x or Keras; .* needs the ending '_keras'"),
        ("slim_resnet", "ssd", "names begin with FeatureExtractor, MultipleGrid.*: no Faster or"),
        ("keras_resnet", "blank", "holds no model at all: TFOD's training saves its first"),
    ],
)
def test_a_file_of_another_network_is_refused_in_words(tmp_path, network, names, said):
    network = made_networks.network_of_paths(getattr(made_networks, network)())
    other = made_networks.slim_resnet() if names == "slim" else made_networks.keras_resnet()
    keys = names_of(made_networks.network_of_paths(other))
    values = {
        "slim": lambda: filled(keys.scopes, other)[0],
        "keras": lambda: filled(keys.keys, other)[0],
        "ssd": lambda: made_weights.values_of({"FeatureExtractor/a/w": [1], "MultipleGrid/b": [1]}),
        "blank": lambda: {"save_counter" + SUFFIX: np.zeros([], np.int64)},
    }[names]()
    made_weights.write_checkpoint(tmp_path / "ckpt-0", values)
    for kind in ("full", "detection"):
        with pytest.raises(CheckpointError, match=said):
            restore(network, tmp_path, checkpoint_type=kind, partial=True)
    assert_restored(network, {})
