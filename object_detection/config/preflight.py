"""Checks a whole config before anything is built from it.

Faults stop a command, warnings are logged. Parts that a command does not read are not checked: an
export needs no records.

The check has two halves. The first reads the config, its label maps and the names of its files, and
takes a moment; the second opens the records, which needs TensorFlow, whose start takes seconds. So
commands call the second, and start TensorFlow, only if the first finds no fault.
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

# Which readers are read for each purpose by default.
READS = {"train": ("train_input_reader",), "eval": ("eval_input_reader",), "export": ()}
_TRAINING_FIELDS = ("train_config", "train_input_reader")
_DATA_FIELDS = (*_TRAINING_FIELDS, "eval_config", "eval_input_reader")
_SKIPPED = {"train": (), "eval": _TRAINING_FIELDS, "export": _DATA_FIELDS}


def check(config, *, purpose, supported_extractors, reads=None) -> Findings:
    """Return all findings about a config, of both halves; see `check_config`."""
    options = {"purpose": purpose, "reads": reads}
    findings = check_config(config, supported_extractors=supported_extractors, **options)
    return findings.merge(check_records(config, **options))


def check_config(
    config, *, purpose, supported_extractors, reads=None, model_dir: str | None = None
) -> Findings:
    """Return the findings of the first half, which needs no TensorFlow.

    Args:
        config: TrainEvalPipelineConfig.
        purpose: 'train', 'eval' or 'export'.
        supported_extractors: names that feature_extractor.type may have.
        reads: the readers this run reads, of 'train_input_reader' and 'eval_input_reader'; by
            default those of the purpose. Training that also evaluates reads both.
        model_dir: folder of the training's checkpoints; the training resumes if it contains some.

    Returns:
        Findings whose faults and warnings print as sentences.
    """
    reads = _readers_of(purpose, reads)
    findings = model_checks.check(config.model, supported_extractors, training=purpose == "train")
    if config.model.WhichOneof("model") != "faster_rcnn":
        return findings  # nothing else in the config is for these models
    findings = findings.merge(field_checks.check(config, skip=_SKIPPED[purpose]))
    if purpose == "train":
        findings = findings.merge(training_checks.check(config, resumes=paths.holds_run(model_dir)))
        findings = findings.merge(paths.check_checkpoint(config.train_config))
    if purpose != "export":
        findings = findings.merge(data_checks.check_readers(config, reads))
        findings = findings.merge(_evaluation(config, reads))
        findings = findings.merge(paths.check_evaluation(config.eval_config))
        findings = findings.merge(paths.check_readers(config, reads))
        findings = findings.merge(_label_maps(config, reads))
    return findings


def check_records(config, *, purpose, reads=None) -> Findings:
    """Return the findings of the second half, about the first records of each reader.

    Readers without files are skipped: the first half reports them. See `check_config`.
    """
    findings = Findings()
    if purpose == "export" or config.model.WhichOneof("model") != "faster_rcnn":
        return findings
    reads = _readers_of(purpose, reads)
    missing = {fault.where for fault in paths.check_readers(config, reads).faults}
    num_classes = config.model.faster_rcnn.num_classes
    for path, reader in data_checks.readers(config, reads):
        class_ids = None
        if reader.label_map_path and f"{path}.label_map_path" not in missing:
            class_ids = label_map_checks.names_of(reader.label_map_path)
        findings = findings.merge(_records(reader, path, missing, num_classes, class_ids))
    return findings


def _readers_of(purpose, reads):
    if purpose not in READS:
        raise ValueError(f"purpose is {purpose!r}; allowed: {', '.join(READS)}")
    return READS[purpose] if reads is None else tuple(reads)


def _evaluation(config, reads):
    """Findings about the evaluation; they are faults only for a run that evaluates."""
    findings = data_checks.check_evaluation(config)
    if "eval_input_reader" in reads or not findings.faults:
        return findings
    later = tuple(
        Finding(fault.where, f"{fault.problem} (an evaluation would stop here)", fault.fix)
        for fault in findings.faults
    )
    return Findings(warnings=later + findings.warnings)


def _label_maps(config, reads):
    """Findings about the existing label maps of the readers that are read."""
    findings = Findings()
    missing = {fault.where for fault in paths.check_readers(config, reads).faults}
    num_classes = config.model.faster_rcnn.num_classes
    maps = {}
    for path, reader in data_checks.readers(config, reads):
        map_path = reader.label_map_path
        if map_path and f"{path}.label_map_path" not in missing and map_path not in maps:
            findings = findings.merge(label_map_checks.check(map_path, num_classes))
            maps[map_path] = label_map_checks.names_of(map_path)
    return findings.merge(warnings(_differing_maps(maps)))


def _records(reader, path, missing, num_classes, class_ids):
    at = f"{path}.tf_record_input_reader.input_path"
    patterns = list(reader.tf_record_input_reader.input_path)
    if not patterns or any(where.startswith(at) for where in missing):
        return Findings()
    from object_detection.config import record_checks  # needs TensorFlow: imported only when needed
    from object_detection.data.files import find_files

    findings = Findings()
    for pattern in patterns:
        files = find_files(pattern, field=at)
        findings = findings.merge(
            record_checks.check(reader, path, files, num_classes=num_classes, class_ids=class_ids)
        )
    return findings


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
