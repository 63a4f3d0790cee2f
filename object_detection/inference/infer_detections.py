"""Adds the detections of a model to records: see --help.

    --input_tfrecord_paths=val.record --output_tfrecord_path=out.record --inference_graph=MODEL

MODEL is an exported model, a checkpoint, a frozen graph or a zoo archive.
`metrics/offline_eval_map_corloc.py` evaluates the resulting records.
"""

import os
import sys
from pathlib import Path

if not __package__:  # run as a file: Python then looks in this folder, not in the one two above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from absl import flags, logging  # noqa: E402

from object_detection import atomic  # noqa: E402
from object_detection.errors import PathError
from object_detection.training import commands  # noqa: E402

FLAGS = flags.FLAGS
_LOG_INTERVAL = 100  # images between two log lines
_SHOWN = 20  # number of skipped records to report by name


def define_flags():
    """Define TFOD's flags, then ours."""
    flags.DEFINE_string(
        "input_tfrecord_paths", "", "Record files, separated by commas; may contain * and ?."
    )
    flags.DEFINE_string("output_tfrecord_path", "", "Record file to write.")
    flags.DEFINE_string("inference_graph", "", "Model to run.")
    flags.DEFINE_boolean(
        "discard_image_pixels", False, "Leave out the images, which metrics do not need."
    )
    flags.DEFINE_string(
        "pipeline_config_path",
        None,
        "Config of a model other than a SavedModel, if it is elsewhere.",
    )
    flags.DEFINE_string(
        "output_coco_results", "", "COCO result file to write the detections to. Default: none."
    )


def command():
    """Detect as the flags say; return the exit code."""
    for name, purpose in (
        ("input_tfrecord_paths", "set it to the records to read."),
        ("output_tfrecord_path", "set it to the record file to write."),
        ("inference_graph", "set it to the model to run."),
    ):
        if not FLAGS[name].value:
            return commands.refuse(name, purpose)
    commands.start_tensorflow()
    return _detect_all()


def _detect_all():
    import tensorflow as tf

    from object_detection.data.files import find_files
    from object_detection.data.report import InputReport
    from object_detection.metrics import coco_results
    from object_detection.prediction.predictor import Predictor
    from object_detection.reports import raw_records

    patterns = [path for path in FLAGS.input_tfrecord_paths.split(",") if path]
    files = [
        file for pattern in patterns for file in find_files(pattern, field="--input_tfrecord_paths")
    ]
    if Path(FLAGS.output_tfrecord_path).resolve() in {Path(file).resolve() for file in files}:
        raise PathError(
            f"--output_tfrecord_path {FLAGS.output_tfrecord_path} is one of the input files; "
            "choose another name"
        )
    predictor = Predictor(FLAGS.inference_graph, 0.0, pipeline_config=FLAGS.pipeline_config_path)
    detected, skipped, number = [], [], 0
    file_report = InputReport(name="records")  # of broken files, which are read up to the error
    Path(FLAGS.output_tfrecord_path).parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic.replacing(FLAGS.output_tfrecord_path) as partial,
        tf.io.TFRecordWriter(str(partial)) as writer,
    ):
        records = raw_records.read(files, file_report)
        for number, (serialized, path, index) in enumerate(records, start=1):
            before = len(skipped)
            image = _detect(predictor, serialized, writer, f"record {number}", skipped)
            skipped[before:] = [f"{why} ({path}, record {index})" for why in skipped[before:]]
            if image is not None and FLAGS.output_coco_results:
                detected.append(image)
            if number % _LOG_INTERVAL == 0:
                logging.info("%d images", number)
    if FLAGS.output_coco_results:
        coco_results.write(FLAGS.output_coco_results, detected)
    for reason in skipped[:_SHOWN]:
        logging.warning("Skipped: %s", reason)
    if len(skipped) > _SHOWN:
        logging.warning("Skipped: %d more", len(skipped) - _SHOWN)
    print(f"{number - len(skipped)} images with detections in {FLAGS.output_tfrecord_path}")
    if number == len(skipped):
        logging.error("None of %d records has an image that can be read.", number)
        return 1
    return 0


def _detect(predictor, serialized, writer, name, skipped):
    """Write a record; return (id, detections), or None without an image."""
    import tensorflow as tf

    from object_detection.data import image_headers
    from object_detection.metrics import detection_records

    try:
        feature = tf.train.Example.FromString(serialized).features.feature
    except Exception:  # protobuf's own error type differs between its implementations
        skipped.append(f"{name} is not a tf.train.Example")
        return None
    encoded = feature["image/encoded"].bytes_list.value if "image/encoded" in feature else ()
    try:
        image = image_headers.decode_image(encoded[0]).numpy()
    except (IndexError, ValueError) as error:
        why = f": {error}" if encoded else ""
        skipped.append(f"{name} has no image that can be read{why}")
        return None
    detections = predictor.predict(image).instances.encoded()
    writer.write(
        detection_records.with_detections(
            serialized, detections, discard_image_pixels=FLAGS.discard_image_pixels
        )
    )
    ids = feature["image/source_id"].bytes_list.value or [name.encode()]
    return ids[0].decode(errors="replace"), detections


def main():
    """Run the command."""
    commands.run(command, define_flags)


if __name__ == "__main__":
    main()
