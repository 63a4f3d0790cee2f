"""What is wrong with the readers and the evaluation, as far as the config itself tells."""

import difflib

from PIL import ImageColor

from object_detection.config import model_checks
from object_detection.config.findings import Finding, Findings, Section, faults, number, warnings
from object_detection.metrics import pascal_evaluation
from object_detection.utils.messages import shorten

# Those of builders/evaluator_builder.
_COCO_MASKS, _LVIS = "coco_mask_metrics", "lvis_mask_metrics"
METRICS = ("coco_detection_metrics", _COCO_MASKS, _LVIS, *pascal_evaluation.VARIANTS)
OLD_METRICS = {"open_images_V2_detection_metrics": "oid_V2_detection_metrics"}
_MASK_METRICS = {_COCO_MASKS, _LVIS} | {
    name for name, variant in pascal_evaluation.VARIANTS.items() if variant.masks
}


def readers(config, names):
    """(dotted path, InputReader) of the readers that a config sets, of these fields."""
    if "train_input_reader" in names and config.HasField("train_input_reader"):
        yield "train_input_reader", config.train_input_reader
    if "eval_input_reader" in names:
        for index, reader in enumerate(config.eval_input_reader):
            several = len(config.eval_input_reader) > 1
            yield f"eval_input_reader[{index}]" if several else "eval_input_reader", reader


def check_readers(config, names) -> Findings:
    """Findings about the readers of these fields: 'train_input_reader', 'eval_input_reader'."""
    findings = Findings()
    for name in names:
        if not any(True for _ in readers(config, (name,))):
            fix = f'Add {name} {{ label_map_path: "..." tf_record_input_reader {{ ... }} }}'
            findings = findings.merge(faults([Finding(name, "is not set", fix)]))
    masks = model_checks.has_masks(config.model)
    for path, reader in readers(config, names):
        section = Section(reader, path)
        findings = findings.merge(faults(_reader(section)))
        findings = findings.merge(_masks(section, masks, path == "train_input_reader"))
        if path != "train_input_reader":
            findings = findings.merge(warnings(_of_training(section)))
    return findings


def _reader(section):
    reader = section.message
    if reader.WhichOneof("input_reader") is None:
        fix = 'Add tf_record_input_reader { input_path: "data/train.record-?????-of-00010" }'
        yield Finding(section.path, "has no input", fix)
    elif reader.HasField("tf_record_input_reader"):
        yield from _paths_and_weights(section)
    if not reader.label_map_path:
        fix = "Give the label map that belongs to the records, usually label_map.pbtxt next to them"
        yield Finding(section.at("label_map_path"), "is not set", fix)
    yield from section.at_least(1, "max_number_of_boxes", "num_readers")


def _paths_and_weights(section):
    paths = list(section.message.tf_record_input_reader.input_path)
    weights = list(section.message.sample_from_datasets_weights)
    if not paths:
        fix = "Give the path of the record files, usually with ? or * for their numbers"
        yield Finding(section.at("tf_record_input_reader.input_path"), "is not set", fix)
    if weights and len(weights) != len(paths):
        yield Finding(
            section.at("sample_from_datasets_weights"),
            f"has {len(weights)} value(s), but there are {len(paths)} input_path",
            "Give one weight for each input_path, in the same order",
        )
    if any(not weight >= 0 for weight in weights) or (weights and not sum(weights) > 0):
        yield Finding(
            section.at("sample_from_datasets_weights"), "must be 0 or more, and not all of them 0"
        )


def _of_training(section):
    """Fields of an evaluation's reader that only training uses."""
    reader = section.message
    once = "every evaluation goes over all images once"
    odd = {
        "num_epochs": reader.HasField("num_epochs") and reader.num_epochs != 1,
        "sample_from_datasets_weights": len(reader.sample_from_datasets_weights) > 0,
        "drop_remainder": reader.HasField("drop_remainder") and reader.drop_remainder,
        "data_service": bool(reader.data_service),
    }
    for name in (name for name, is_set in odd.items() if is_set):
        why = "it decodes its images itself" if name == "data_service" else once
        yield Finding(section.at(name), f"has no effect on an evaluation: {why}", "Remove it")


def _masks(section, model_has_masks, is_training) -> Findings:
    loads = section.message.load_instance_masks
    if model_has_masks and not loads and is_training:
        return faults(
            [
                Finding(
                    section.at("load_instance_masks"),
                    "is not set, but the model predicts masks: it cannot learn them",
                    "Set it to true, and mask_type to PNG_MASKS where the records hold PNGs",
                )
            ]
        )
    if loads and not model_has_masks:
        return warnings(
            [
                Finding(
                    section.at("load_instance_masks"),
                    "is true, but the model predicts no masks: they are decoded for nothing",
                    "Remove it",
                )
            ]
        )
    return Findings()


def check_evaluation(config) -> Findings:
    """Findings about eval_config and what the evaluation readers give it."""
    section = Section(config.eval_config, "eval_config")
    findings = faults(_metric_names(section))
    wanted = list(config.eval_config.metrics_set)
    if not wanted and config.eval_config.eval_instance_masks:
        wanted = [_COCO_MASKS]
    compared = [name for name in wanted if name in _MASK_METRICS]
    masks = model_checks.has_masks(config.model)
    if compared:
        findings = findings.merge(faults(_scored_masks(config, masks, compared[0])))
    elif masks:
        findings = findings.merge(warnings([_unscored_masks()]))
    findings = findings.merge(faults(evaluation_settings(config.eval_config)))
    findings = findings.merge(faults(section.within(0, 1, "min_score_threshold")))
    return findings.merge(faults(section.at_least(1, "batch_size")))


def _metric_names(section):
    for name in section.message.metrics_set:
        if name in METRICS or name in OLD_METRICS:
            continue
        close = difflib.get_close_matches(name, METRICS, n=1, cutoff=0.85)
        yield Finding(
            section.at("metrics_set"),
            f'holds "{shorten(name)}", which is not supported; supported: {", ".join(METRICS)}',
            f"Did you mean {close[0]}?" if close else "",
        )


def evaluation_settings(eval_config):
    """Findings about the numbers that metrics use."""
    section = Section(eval_config, "eval_config")
    yield from section.within(0, 1, "recall_lower_bound", "recall_upper_bound")
    if eval_config.recall_lower_bound > eval_config.recall_upper_bound:
        yield Finding(section.at("recall_lower_bound"), "is above recall_upper_bound", "Swap them")
    for value in eval_config.iou_threshold:
        if not 0 < value <= 1:
            problem = f"holds {number(value)}; each must be above 0 and at most 1"
            yield Finding(section.at("iou_threshold"), problem)
    for value in eval_config.max_detections:
        if value < 1:
            yield Finding(section.at("max_detections"), f"holds {value}; each must be 1 or more")
    color = eval_config.groundtruth_box_visualization_color
    if not _is_color(color):
        yield Finding(
            section.at("groundtruth_box_visualization_color"),
            f'is "{color}", which is not a color',
            'Give a name that HTML knows, such as "black" or "LightBlue", or "#rrggbb"',
        )
    names = [area.name for area in eval_config.area_range]
    for area in eval_config.area_range:
        problem = ""
        if not area.name or area.name == "all" or names.count(area.name) > 1:
            name = shorten(area.name)
            problem = f'holds the name "{name}"; each needs one of its own, and not "all"'
        elif not 0 <= area.min < area.max:
            problem = (
                f'"{shorten(area.name)}" is {number(area.min)} to {number(area.max)} pixels; '
                "it must not be empty nor begin below 0"
            )
        if problem:
            yield Finding(section.at("area_range"), problem)


def _is_color(text):
    try:
        ImageColor.getrgb(text)
    except ValueError:
        return False
    return True


def _scored_masks(config, model_has_masks, metric):
    if not model_has_masks:
        yield Finding(
            "eval_config.metrics_set",
            f"requests {metric}, but the model predicts no masks",
            "Remove it, or set number_of_stages: 3 and predict_instance_masks: true",
        )
    for path, reader in readers(config, ("eval_input_reader",)):
        if not reader.load_instance_masks:
            yield Finding(
                f"{path}.load_instance_masks",
                f"is not set, but {metric} compares with the masks of the records",
                "Set it to true, and mask_type to PNG_MASKS where the records hold PNGs",
            )


def _unscored_masks():
    return Finding(
        "eval_config.metrics_set",
        "does not name coco_mask_metrics: the model's masks will not be scored",
        'Add metrics_set: "coco_mask_metrics" and load_instance_masks: true to eval_input_reader',
    )
