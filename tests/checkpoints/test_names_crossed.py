"""Options that move TFOD's names, crossed: every way of writing read by every way of reading."""

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tiny_models import PYRAMID

from object_detection.builders import model_builder
from object_detection.checkpoints import restore, tfod_writer, variables
from object_detection.checkpoints.variables import names_of
from object_detection.modeling.backbones import resnet_v1
from object_detection.protos import model_pb2

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
FIRST = "model/_feature_extractor_for_proposal_features/"
SECOND = "model/_feature_extractor_for_box_classifier_features/"
RPN = "model/_first_stage_box_predictor_first_conv/layer_with_weights-"
BOXES = "model/_mask_rcnn_box_predictor/_box_prediction_head/_box_encoder_layers/"
CLASSES = "model/_mask_rcnn_box_predictor/_class_prediction_head/_class_predictor_layers/"
MASKS = "model/_mask_rcnn_box_predictor/_third_stage_heads/mask_predictions/_mask_predictor_layers/"


def _predictor(text):
    return f"second_stage_box_predictor {{ mask_rcnn_box_predictor {{ {text} }} }}"


def _masks(*places):
    """The keys of the mask head's convolutions, the last one's last."""
    names = [f"masks/head/conv{i + 1}/kernel" for i in range(len(places) - 1)]
    keys = (f"{MASKS}{place}/kernel" for place in places)
    return dict(zip([*names, "masks/head/masks/kernel"], keys, strict=True))


def _heads(place):
    """The keys of the dense layers for box and class."""
    return {
        "roi_stage/head/boxes/kernel": f"{BOXES}{place}/kernel",
        "roi_stage/head/classes/bias": f"{CLASSES}{place}/bias",
    }


NORM = "batch_norm { train: true }"
UPSAMPLED = "convolve_then_upsample_masks: true mask_prediction_num_conv_layers:"
# The model's options over the small detector's, and keys that TFOD 2.8 has for them. Its list of a
# head's layers counts those without weights: flatten, dropout, dense, norm or a place holder;
# convolution, norm or a place holder and activation in threes, the upsampling by itself.
C4 = {
    "plain": ("", _heads(1) | _masks(0, 3)),
    "one mask layer": (_predictor("mask_prediction_num_conv_layers: 1"), _masks(0)),
    "five mask layers": (
        _predictor("mask_prediction_num_conv_layers: 5 masks_are_class_agnostic: true"),
        _masks(0, 3, 6, 9, 12),
    ),
    "upsampled": (_predictor(UPSAMPLED + "3"), _heads(1) | _masks(0, 3, 7, 10)),
    "upsampled, one layer": (_predictor(UPSAMPLED + "1"), _masks(1, 4)),
    "upsampled, norms, dropout that drops nothing": (
        _predictor(
            UPSAMPLED + f"2 conv_hyperparams {{ {NORM} }} fc_hyperparams {{ {NORM} }}"
            "use_dropout: true dropout_keep_probability: 1.0 share_box_across_classes: true"
        ),
        {
            "roi_stage/head/boxes/kernel": f"{BOXES}2/kernel",
            "roi_stage/head/boxes/norm/beta": f"{BOXES}3/beta",
            "roi_stage/head/classes/norm/moving_mean": f"{CLASSES}3/moving_mean",
            "masks/head/conv1/moving_variance": f"{MASKS}1/moving_variance",
            "masks/head/conv2/beta": f"{MASKS}5/beta",
        }
        | _masks(0, 4, 7),
    ),
    "dropout": (_predictor("use_dropout: true dropout_keep_probability: 0.5"), _heads(2)),
    "two stages, norm of the RPN": (
        "number_of_stages: 2 first_stage_box_predictor_conv_hyperparams {"
        "  batch_norm { scale: false center: false } activation: NONE force_use_bias: true }"
        + _predictor("predict_instance_masks: false"),
        _heads(1)
        | {
            "rpn/head/conv/kernel": f"{RPN}0/kernel",
            "rpn/head/conv/moving_mean": f"{RPN}1/moving_mean",
        },
    ),
    "one stage": ("number_of_stages: 1", {"rpn/head/conv/bias": f"{RPN}0/bias"}),
}
FPN = {
    "without norms": (
        "feature_extractor { fpn { max_level: 6 } }"
        "first_stage_anchor_generator { multiscale_anchor_generator { max_level: 6 } }",
        {
            "roi_stage/box_trunk/fc1/kernel": f"{SECOND}layer_with_weights-0/kernel",
            "roi_stage/box_trunk/fc2/bias": f"{SECOND}layer_with_weights-1/bias",
            "backbone/lateral5/kernel": f"{FIRST}fpn_features_generator/top_layers/0/kernel",
            "backbone/lateral2/bias": f"{FIRST}fpn_features_generator/residual_blocks/2/0/bias",
            "backbone/coarse6/kernel": f"{FIRST}coarse_feature_layers/0/0/kernel",
        },
    ),
    "norms": (
        "feature_extractor { fpn { min_level: 3 max_level: 7 }"
        f"  conv_hyperparams {{ {NORM} activation: NONE }} }}"
        "first_stage_anchor_generator { multiscale_anchor_generator { min_level: 3 max_level: 7 } }"
        + _predictor(UPSAMPLED + "2"),
        {
            "roi_stage/box_trunk/fc1/norm/beta": f"{SECOND}layer_with_weights-1/beta",
            "roi_stage/box_trunk/fc2/kernel": f"{SECOND}layer_with_weights-2/kernel",
            "backbone/lateral3/bias": f"{FIRST}fpn_features_generator/residual_blocks/1/0/bias",
            "backbone/smoothing3/beta": f"{FIRST}fpn_features_generator/conv_layers/1/1/beta",
            "backbone/coarse7/kernel": f"{FIRST}coarse_feature_layers/1/0/kernel",
        }
        | _masks(0, 4, 7),
    ),
    # Convolutions alone are counted: 1, 2, 3 of the first block, its shortcut before the last.
    "a base network without norms": (
        "feature_extractor { conv_hyperparams { }"
        "  override_base_feature_extractor_hyperparams: true }",
        {
            f"backbone/resnet/{layer}/kernel": (
                f"{FIRST}classification_backbone/layer_with_weights-{number}/kernel"
            )
            for layer, number in (
                ("conv1", 0),
                ("conv2/block1/conv1", 1),
                ("conv2/block1/conv2", 2),
                ("conv2/block1/shortcut", 3),
                ("conv2/block1/conv3", 4),
                ("conv3/block1/conv1", 5),
            )
        },
    ),
}
QUICK = ("upsampled, norms, dropout that drops nothing", "without norms")
CASES = [("faster_rcnn_resnet50_keras", name, *case) for name, case in C4.items()]
CASES += [("faster_rcnn_resnet50_fpn_keras", name, *case) for name, case in FPN.items()]


@pytest.fixture(autouse=True)
def _thin_resnet(monkeypatch):
    monkeypatch.setitem(resnet_v1.DEPTHS, 50, (1, 1, 1, 1))
    for stage in (2, 3, 4, 5):
        monkeypatch.setitem(resnet_v1.STAGE_FILTERS, stage, 4)


def _model(extractor, options):
    config = text_format.Parse(PYRAMID, model_pb2.DetectionModel())
    model = config.faster_rcnn
    model.feature_extractor.type = extractor
    predictor = model.second_stage_box_predictor.mask_rcnn_box_predictor
    predictor.spatial_mask_branch = False  # TFOD has none
    if not extractor.endswith("_fpn_keras"):
        anchors = model.first_stage_anchor_generator.grid_anchor_generator
        anchors.scales.append(1.0)
        anchors.aspect_ratios.append(1.0)
    text_format.Merge(options, model)
    return model_builder.build(config, is_training=True)


def _fill(model):
    for number, variable in enumerate(model.variables):
        variable.assign(tf.fill(variable.shape, number + 1.0))


def _wrong(model):
    """Paths of variables that have not their own value; then all are spoiled."""
    paths = [
        variables.path_of(variable)
        for number, variable in enumerate(model.variables)
        if not (variable.numpy() == number + 1.0).all()
    ]
    for variable in model.variables:
        variable.assign(-tf.ones_like(variable))
    return paths


@pytest.mark.parametrize(
    ("extractor", "options", "expected"),
    [
        pytest.param(
            e, o, k, id=f"{e[21:]}: {name}", marks=[pytest.mark.slow] * (name not in QUICK)
        )
        for e, name, o, k in CASES
    ],
)
def test_what_one_way_writes_the_others_read(extractor, options, expected, tmp_path):
    model = _model(extractor, options)
    keys = names_of(model.network).keys
    assert {path: keys.get(path) for path in expected} == {
        path: key + SUFFIX for path, key in expected.items()
    }
    form = tfod_writer.layout_of(model.network)
    theirs = tmp_path / "theirs" / "ckpt-0"
    theirs.parent.mkdir()
    _fill(model)
    tfod_writer.write(str(theirs), model.network, form)
    saved = tf.train.Checkpoint(model=model).save(str(tmp_path / "saved" / "ckpt"))
    stored = {name for name, _ in tf.train.list_variables(saved)}
    assert {name for name in stored if name.startswith("model/")} == set(form.keys.values())

    _wrong(model)
    for path in (str(theirs), saved):
        tf.train.Checkpoint(model=model).read(path).assert_existing_objects_matched()
        assert _wrong(model) == []
        restore.restore(model.network, path)
        assert _wrong(model) == []


def test_group_norms_have_no_names_in_tfod_2():
    """TFOD 2.x ignores `group_norm`, so that its checkpoints know no such layer."""
    model = _model(
        "faster_rcnn_resnet50_keras",
        "first_stage_box_predictor_conv_hyperparams { group_norm { } }",
    )
    names = names_of(model.network)
    assert {p.rsplit("/", 1)[1] for p in names.paths if p.startswith("rpn/head/conv/")} == {
        *("kernel", "gamma", "beta")
    }
    assert set(names.paths) - set(names.keys) == {"rpn/head/conv/gamma", "rpn/head/conv/beta"}
    assert tfod_writer.layout_of(model.network) is None


def test_no_form_of_tfod_for_a_pyramid_below_conv5():
    """TFOD builds conv5 there as well, which such a network lacks."""
    levels = "min_level: 2 max_level: 4"
    model = _model(
        "faster_rcnn_resnet50_fpn_keras",
        f"feature_extractor {{ fpn {{ {levels} }} }}"
        f"first_stage_anchor_generator {{ multiscale_anchor_generator {{ {levels} }} }}",
    )
    assert tfod_writer.layout_of(model.network) is None
