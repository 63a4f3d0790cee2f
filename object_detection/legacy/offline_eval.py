"""Evaluation of detections in records, for `metrics/offline_eval_map_corloc.py`.

One of its two configs is an EvalConfig, whose `metrics_set` selects the metrics, the other an
InputReader with the records and the label map. The metrics are written to `metrics.csv` in
`--eval_dir`.
"""

import csv
import os
import re

from absl import flags, logging

from object_detection import atomic
from object_detection.errors import ConfigError
from object_detection.training import commands

FLAGS = flags.FLAGS
_SHOWN = 20  # number of skipped records to report by name


def define_flags():
    """Define TFOD's flags."""
    flags.DEFINE_string("eval_dir", "", "Folder to write metrics.csv to.")
    flags.DEFINE_string("eval_config_path", "", "File with an EvalConfig.")
    flags.DEFINE_string("input_config_path", "", "File with an InputReader.")


def command():
    """Evaluate as the flags say; return the exit code."""
    for name, purpose in (
        ("eval_dir", "set it to the folder for the metrics."),
        ("eval_config_path", "set it to a file with an EvalConfig."),
        ("input_config_path", "set it to a file with an InputReader."),
    ):
        if not FLAGS[name].value:
            return commands.refuse(name, purpose)
    from object_detection.utils import config_util

    configs = config_util.get_configs_from_multiple_files(
        eval_config_path=FLAGS.eval_config_path, eval_input_config_path=FLAGS.input_config_path
    )
    commands.start_tensorflow()
    evaluation = evaluation_of(configs["eval_input_config"], configs["eval_config"])
    print(evaluation.table())
    write_metrics(evaluation.evaluate(), FLAGS.eval_dir)
    return 0


def read_data_and_evaluate(input_config, eval_config):
    """Return the metrics of all records of an InputReader; raise as `evaluation_of`."""
    return evaluation_of(input_config, eval_config).evaluate()


def evaluation_of(input_config, eval_config):
    """Evaluate all records of an InputReader.

    Raises:
        RecordError: there are no records, or none of them can be used.
        ConfigError: an unknown metric.
    """
    from object_detection.builders import evaluator_builder
    from object_detection.data.report import InputReport
    from object_detection.errors import RecordError
    from object_detection.metrics import detection_records
    from object_detection.reports import raw_records
    from object_detection.utils import label_map_util

    index = label_map_util.create_category_index_from_labelmap(input_config.label_map_path)
    evaluation = evaluator_builder.build(
        eval_config,
        {number: category["name"] for number, category in index.items()},
        label_map_util.get_frequencies(input_config.label_map_path),
    )
    load_masks = "masks" in evaluation.kinds
    used, skipped, broken = 0, 0, []
    file_report = InputReport(name="records")  # of broken files, which are read up to the error
    records = raw_records.read(_files(input_config), file_report)
    for serialized, path, index in records:
        try:
            image = detection_records.parse(serialized, load_masks=load_masks)
            if image is None:
                skipped += 1
                continue
            evaluation.add(image.image_id, image.truth, image.detections)
            used += 1
        except Exception as error:  # foreign bytes may raise anything: the record is invalid
            broken.append(f"{os.path.basename(path)}, record {index}: {error}")
    for problem in broken[:_SHOWN]:
        logging.warning("Skipped: %s", problem)
    if len(broken) > _SHOWN:
        logging.warning("Skipped: %d more", len(broken) - _SHOWN)
    if broken and not used:
        count = len(broken) + skipped
        raise RecordError(f"None of the {count} records can be used: {broken[0]}")
    if skipped:
        logging.warning(
            "Skipped %d records without detections or without the keys of objects "
            "(inference/infer_detections.py writes them).",
            skipped,
        )
    return evaluation


def write_metrics(metrics, directory):
    """Write metrics.csv: a name and a number in each line."""
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, "metrics.csv")
    with (
        atomic.replacing(path) as partial,
        open(partial, "w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows([name, str(value)] for name, value in metrics.items())
    logging.info("Wrote %s.", path)


def _files(input_config):
    """Return the record files; `name@10` means name-00000-of-00010 and so on."""
    from object_detection.data.files import find_files

    files = []
    for path in input_config.tf_record_input_reader.input_path:
        pattern = re.sub(r"@(\d+)", lambda m: f"-?????-of-{int(m[1]):05d}", path)
        files += find_files(pattern, field="tf_record_input_reader.input_path")
    if not files:
        raise ConfigError("tf_record_input_reader.input_path is empty in --input_config_path.")
    return files


def main():
    """Run the command."""
    commands.run(command, define_flags)
