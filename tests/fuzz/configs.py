"""Damaged configs, label maps and overrides."""

from pathlib import Path

import mutations

from object_detection.config import label_map_checks, overrides, pipeline_file, preflight
from object_detection.config.tfod_overrides import (
    create_configs_from_pipeline_proto,
    merge_external_params_with_configs,
)
from object_detection.utils import config_util, label_map_util

ERRORS = ("ConfigError", "LabelMapError", "TextProtoError")
SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "configs"
SUPPORTED = ("faster_rcnn_resnet50_keras", "faster_rcnn_resnet50_fpn_keras")
LABEL_MAP = """# classes
item {
  id: 1
  name: 'cat'
  display_name: "Cat"
}
item { id: 2 name: 'dog' frequency: RARE keypoints { id: 1 label: "nose" } ancestor_ids: [1] }
"""
OVERRIDES = (
    "model.faster_rcnn.num_classes=3",
    "train_config.optimizer.momentum_optimizer.momentum_optimizer_value=0.9",
    "eval_input_reader[0].tf_record_input_reader.input_path=[data/a.record, 'b, c.record']",
    "train_input_reader.mask_type=PNG_MASKS",
    "model.faster_rcnn.image_resizer={fixed_shape_resizer {height: 640 width: 640}}",
    'train_config.freeze_variables=[a, "b"]',
    "eval_config.super_categories[cat]=animal",
)
OVERRIDE_NAMES = ("learning_rate", "batch_size", "train_input_path", "num_classes", "mask_type")
WORDS = ("model", "faster_rcnn", "ssd", "num_classes", "item", "id", "name", "{", "}", "[a.b]", ":")


def prepare(folder):
    """Texts of the sample configs."""
    return [path.read_text(encoding="utf-8") for path in sorted(SAMPLES.glob("*.config"))]


def run(dice, texts, folder):
    dice.choice([_config, _config, _label_map, _override, _deep])(dice, texts, folder)


def _written(path, text, dice):
    content = mutations.encoded(mutations.damaged_text(text, dice, WORDS), dice)
    if dice.random() < 0.15:
        content = mutations.damaged_bytes(content, dice)
    path.write_bytes(content)
    return path


def _config(dice, texts, folder):
    path = _written(folder / "pipeline.config", dice.choice(texts), dice)
    config = pipeline_file.load(dice.choice([path, folder]))
    _checked(config, dice)
    config_util.get_configs_from_pipeline_file(path)


def _checked(config, dice):
    command = dice.choice(["train", "eval", "export"])
    found = preflight.check_config(config, purpose=command, supported_extractors=SUPPORTED)
    for finding in (*found.faults, *found.warnings):
        said = str(finding)
        if len(said) > 5000 or not said.encode():
            raise RuntimeError(f"a finding of {len(said)} characters: {said[:200]}")
    pipeline_file.parse(pipeline_file.as_text(config))


def _label_map(dice, texts, folder):
    path = _written(folder / "label_map.pbtxt", LABEL_MAP, dice)
    found = label_map_checks.check(str(path), dice.choice([0, 2, 90]))
    for finding in (*found.faults, *found.warnings):
        str(finding).encode()
    label_map = label_map_util.load_labelmap(path)
    label_map_util.convert_label_map_to_categories(label_map, 90)
    label_map_util.get_label_map_dict(label_map, use_display_name=True)
    label_map_util.get_keypoint_label_map_dict(label_map)


def _override(dice, texts, folder):
    text = mutations.damaged_text(dice.choice(OVERRIDES), dice, WORDS)
    if dice.random() < 0.1:
        text = text * dice.choice([3, 3000])
    (folder / "override.txt").write_text(text, encoding="utf-8", errors="surrogatepass")
    config = pipeline_file.parse(dice.choice(texts))
    if dice.random() < 0.3:
        key, _, value = text.partition("=")
        key = dice.choice([key, *OVERRIDE_NAMES])
        configs = create_configs_from_pipeline_proto(config)
        try:
            merge_external_params_with_configs(configs, kwargs_dict={key: value})
        except TypeError as error:  # a Python value of another type, as Python's own functions
            str(error).encode()
    elif dice.random() < 0.3:
        (folder / "pipeline.config").write_text(dice.choice(texts), encoding="utf-8")
        pipeline_file.load(folder, override_text=text.replace("=", ":"))
    else:
        overrides.apply(config, text)
    _checked(config, dice)


def _deep(dice, texts, folder):
    """Long and deep texts, in which costs that grow faster than the text show."""
    text = dice.choice(texts)
    piece = dice.choice(
        ["x { ", "model { ", "{", "}", "[", '"', "'", "a", "a ", "a: 1 ", "\n{", "#"]
    )
    at = dice.randrange(len(text))
    text = text[:at] + piece * dice.choice([50, 2000, 20000]) + text[at:]
    (folder / "pipeline.config").write_text(text, encoding="utf-8")
    pipeline_file.load(folder / "pipeline.config")
