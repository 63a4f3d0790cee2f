"""Everything that can be said about a config before anything is built from it, at once.

Faults stop a door, warnings are told. What a door does not read is not held against it: an export
needs no records.

The check has two halves. The first asks the config, its label maps and the names of its files, and
takes a moment; the second opens the records, which takes TensorFlow, whose start takes seconds. So
commands call the second, and start TensorFlow, only where the first finds no fault.
"""

from object_detection.config import (
    data_checks,
    field_checks,
    label_map_checks,
    model_checks,
    paths,
    training_checks,
)
from object_detection.config.findings import Finding, Findings, warnings

# Which readers each door reads when its caller does not say.
READS = {"train": ("train_input_reader",), "eval": ("eval_input_reader",), "export": ()}
_TRAINING_FIELDS = ("train_config", "train_input_reader")
_DATA_FIELDS = (*_TRAINING_FIELDS, "eval_config", "eval_input_reader")
_SKIPPED = {"train": (), "eval": _TRAINING_FIELDS, "export": _DATA_FIELDS}


def check(config, *, door, supported_extractors, reads=None) -> Findings:
    """All findings about a config, of both halves; arguments and result as of `check_config`."""
    options = {"door": door, "reads": reads}
    found = check_config(config, supported_extractors=supported_extractors, **options)
    return found.and_also(check_records(config, **options))


def check_config(
    config, *, door, supported_extractors, reads=None, model_dir: str | None = None
) -> Findings:
    """The first half: all findings that need no TensorFlow.

    Args:
        config: TrainEvalPipelineConfig.
        door: 'train', 'eval' or 'export': whose needs count.
        supported_extractors: names that feature_extractor.type may have.
        reads: the readers this run goes through, of 'train_input_reader' and 'eval_input_reader';
            by default the door's own. Training that also evaluates reads both.
        model_dir: where the training keeps its checkpoints; with some in it the training resumes.

    Returns:
        Findings whose faults and warnings print as sentences.
    """
    reads = _readers_of(door, reads)
    found = model_checks.check(config.model, supported_extractors, training=door == "train")
    if config.model.WhichOneof("model") != "faster_rcnn":
        return found  # nothing else in the config is meant for us
    found = found.and_also(field_checks.check(config, skip=_SKIPPED[door]))
    if door == "train":
        found = found.and_also(training_checks.check(config, resumes=paths.holds_run(model_dir)))
        found = found.and_also(paths.check_checkpoint(config.train_config))
    if door != "export":
        found = found.and_also(data_checks.check_readers(config, reads))
        found = found.and_also(_evaluation(config, reads))
        found = found.and_also(paths.check_evaluation(config.eval_config))
        found = found.and_also(paths.check_readers(config, reads))
        found = found.and_also(_label_maps(config, reads))
    return found


def check_records(config, *, door, reads=None) -> Findings:
    """The second half: what the first records of each reader say; arguments as of `check_config`.

    Readers whose files are not there are left out: the first half speaks of them.
    """
    found = Findings()
    if door == "export" or config.model.WhichOneof("model") != "faster_rcnn":
        return found
    reads = _readers_of(door, reads)
    missing = {fault.where for fault in paths.check_readers(config, reads).faults}
    num_classes = config.model.faster_rcnn.num_classes
    for path, reader in data_checks.readers(config, reads):
        class_ids = None
        if reader.label_map_path and f"{path}.label_map_path" not in missing:
            class_ids = label_map_checks.names_of(reader.label_map_path)
        found = found.and_also(_records(reader, path, missing, num_classes, class_ids))
    return found


def _readers_of(door, reads):
    if door not in READS:
        raise ValueError(f"door is {door!r}; allowed: {', '.join(READS)}")
    return READS[door] if reads is None else tuple(reads)


def _evaluation(config, reads):
    """What is wrong with the evaluation stops only a run that evaluates."""
    found = data_checks.check_evaluation(config)
    if "eval_input_reader" in reads or not found.faults:
        return found
    later = tuple(
        Finding(fault.where, f"{fault.problem} (an evaluation would stop here)", fault.fix)
        for fault in found.faults
    )
    return Findings(warnings=later + found.warnings)


def _label_maps(config, reads):
    """Findings about the label maps, those that are there, of the readers that are read."""
    found = Findings()
    missing = {fault.where for fault in paths.check_readers(config, reads).faults}
    num_classes = config.model.faster_rcnn.num_classes
    maps = {}
    for path, reader in data_checks.readers(config, reads):
        map_path = reader.label_map_path
        if map_path and f"{path}.label_map_path" not in missing and map_path not in maps:
            found = found.and_also(label_map_checks.check(map_path, num_classes))
            maps[map_path] = label_map_checks.names_of(map_path)
    return found.and_also(warnings(_differing_maps(maps)))


def _records(reader, path, missing, num_classes, class_ids):
    at = f"{path}.tf_record_input_reader.input_path"
    patterns = list(reader.tf_record_input_reader.input_path)
    if not patterns or any(where.startswith(at) for where in missing):
        return Findings()
    from object_detection.config import record_checks  # needs TensorFlow, so only when it is due
    from object_detection.data.files import find_files

    found = Findings()
    for pattern in patterns:
        files = find_files(pattern, field=at)
        found = found.and_also(
            record_checks.check(reader, path, files, num_classes=num_classes, class_ids=class_ids)
        )
    return found


def _differing_maps(maps):
    usable = [(path, names) for path, names in maps.items() if names is not None]
    for (first, names), (second, others) in zip(usable, usable[1:], strict=False):
        if names != others:
            differing = sorted(
                name for name in names.keys() | others.keys() if names.get(name) != others.get(name)
            )
            yield Finding(
                second,
                f'differs from {first}, for example in "{differing[0]}": training and evaluation '
                "then mean different classes by one number",
            )
