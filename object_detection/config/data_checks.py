"""What is wrong with the readers and the evaluation, as far as the config itself tells."""

import difflib

from object_detection.config import model_checks
from object_detection.config.findings import Finding, Findings, Look, faults, warnings

METRICS = ("coco_detection_metrics", "coco_mask_metrics")  # those of builders/evaluator_builder


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
    found = Findings()
    for name in names:
        if not any(True for _ in readers(config, (name,))):
            fix = f'Add {name} {{ label_map_path: "..." tf_record_input_reader {{ ... }} }}'
            found = found.and_also(faults([Finding(name, "is not set", fix)]))
    masks = model_checks.has_masks(config.model)
    for path, reader in readers(config, names):
        look = Look(reader, path)
        found = found.and_also(faults(_reader(look)))
        found = found.and_also(_masks(look, masks, path == "train_input_reader"))
    return found


def _reader(look):
    reader = look.message
    if reader.WhichOneof("input_reader") is None:
        fix = 'Add tf_record_input_reader { input_path: "data/train.record-?????-of-00010" }'
        yield Finding(look.path, "has no input", fix)
    elif reader.HasField("tf_record_input_reader"):
        yield from _paths_and_weights(look)
    if not reader.label_map_path:
        fix = "Give the label map that belongs to the records, usually label_map.pbtxt beside them"
        yield Finding(look.at("label_map_path"), "is not set", fix)
    yield from look.at_least(1, "max_number_of_boxes", "num_readers")


def _paths_and_weights(look):
    paths = list(look.message.tf_record_input_reader.input_path)
    weights = list(look.message.sample_from_datasets_weights)
    if not paths:
        fix = "Give the path of the record files, usually with ? or * for their numbers"
        yield Finding(look.at("tf_record_input_reader.input_path"), "is not set", fix)
    if weights and len(weights) != len(paths):
        yield Finding(
            look.at("sample_from_datasets_weights"),
            f"has {len(weights)} value(s), but there are {len(paths)} input_path",
            "Give one weight for each input_path, in the same order",
        )
    if any(not weight >= 0 for weight in weights) or (weights and not sum(weights) > 0):
        yield Finding(
            look.at("sample_from_datasets_weights"), "must be 0 or more, and not all of them 0"
        )


def _masks(look, model_has_masks, is_training) -> Findings:
    loads = look.message.load_instance_masks
    if model_has_masks and not loads and is_training:
        return faults(
            [
                Finding(
                    look.at("load_instance_masks"),
                    "is not set, but the model predicts masks: it cannot learn them",
                    "Set it to true, and mask_type to PNG_MASKS where the records hold PNGs",
                )
            ]
        )
    if loads and not model_has_masks:
        return warnings(
            [
                Finding(
                    look.at("load_instance_masks"),
                    "is true, but the model predicts no masks: they are decoded for nothing",
                    "Take it out",
                )
            ]
        )
    return Findings()


def check_evaluation(config) -> Findings:
    """Findings about eval_config and what the evaluation readers give it."""
    look = Look(config.eval_config, "eval_config")
    found = faults(_metric_names(look))
    wanted = list(config.eval_config.metrics_set)
    scores_masks = "coco_mask_metrics" in wanted or (
        not wanted and config.eval_config.eval_instance_masks
    )
    masks = model_checks.has_masks(config.model)
    if scores_masks:
        found = found.and_also(faults(_scored_masks(config, masks)))
    elif masks:
        found = found.and_also(warnings([_unscored_masks()]))
    found = found.and_also(faults(look.within(0, 1, "min_score_threshold")))
    return found.and_also(faults(look.at_least(1, "batch_size")))


def _metric_names(look):
    for name in look.message.metrics_set:
        if name in METRICS:
            continue
        close = difflib.get_close_matches(name, METRICS, n=1, cutoff=0.85)
        yield Finding(
            look.at("metrics_set"),
            f'holds "{name}", which is not supported; supported: {", ".join(METRICS)}',
            f"Did you mean {close[0]}?" if close else "",
        )


def _scored_masks(config, model_has_masks):
    if not model_has_masks:
        yield Finding(
            "eval_config.metrics_set",
            "asks for coco_mask_metrics, but the model predicts no masks",
            "Take it out, or set number_of_stages: 3 and predict_instance_masks: true",
        )
    for path, reader in readers(config, ("eval_input_reader",)):
        if not reader.load_instance_masks:
            yield Finding(
                f"{path}.load_instance_masks",
                "is not set, but coco_mask_metrics compares with the masks of the records",
                "Set it to true, and mask_type to PNG_MASKS where the records hold PNGs",
            )


def _unscored_masks():
    return Finding(
        "eval_config.metrics_set",
        "does not name coco_mask_metrics: the model's masks will not be scored",
        'Add metrics_set: "coco_mask_metrics" and load_instance_masks: true to eval_input_reader',
    )
