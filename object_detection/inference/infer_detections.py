"""Writes what a model finds into records, beside the objects they hold: see --help.

    --input_tfrecord_paths=val.record --output_tfrecord_path=found.record --inference_graph=MODEL

MODEL is an exported model, a checkpoint, a frozen graph or a zoo archive. The records that come out
are read by `metrics/offline_eval_map_corloc.py`.
"""

import os
import sys
from pathlib import Path

if not __package__:  # run as a file: Python then looks in this folder, not in the one two above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from absl import flags, logging  # noqa: E402

from object_detection import atomic  # noqa: E402
from object_detection.training import commands  # noqa: E402

FLAGS = flags.FLAGS
_SAY_EVERY = 100  # images between two lines
_SHOWN = 20  # records left out that are named


def define_flags():
    """TFOD's flags, then ours."""
    flags.DEFINE_string("input_tfrecord_paths", "", "Record files, with commas; * and ? may stand.")
    flags.DEFINE_string("output_tfrecord_path", "", "The record file that is written.")
    flags.DEFINE_string("inference_graph", "", "The model.")
    flags.DEFINE_boolean(
        "discard_image_pixels", False, "Leave the images out, which metrics do not need."
    )
    flags.DEFINE_string(
        "pipeline_config_path", None, "Config of a model that is no SavedModel, if not beside it."
    )
    flags.DEFINE_string(
        "output_coco_results", "", "Also write the detections to this COCO result file."
    )


def door():
    """Detects as the flags say; the exit code."""
    for name, purpose in (
        ("input_tfrecord_paths", "say which records are gone through."),
        ("output_tfrecord_path", "say where the records with detections go."),
        ("inference_graph", "say which model finds."),
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
        raise ValueError(
            f"--output_tfrecord_path {FLAGS.output_tfrecord_path} is one of the input files; give "
            "another name"
        )
    predictor = Predictor(FLAGS.inference_graph, 0.0, pipeline_config=FLAGS.pipeline_config_path)
    found, lost, number = [], [], 0
    file_report = InputReport(name="records")  # of broken files, which end at their fault
    Path(FLAGS.output_tfrecord_path).parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic.replacing(FLAGS.output_tfrecord_path) as partial,
        tf.io.TFRecordWriter(str(partial)) as writer,
    ):
        records = raw_records.read(files, file_report)
        for number, (serialized, path, index) in enumerate(records, start=1):
            before = len(lost)
            image = _detect(predictor, serialized, writer, f"record {number}", lost)
            lost[before:] = [f"{why} ({path}, record {index})" for why in lost[before:]]
            if image is not None and FLAGS.output_coco_results:
                found.append(image)
            if number % _SAY_EVERY == 0:
                logging.info("%d images", number)
    if FLAGS.output_coco_results:
        coco_results.write(FLAGS.output_coco_results, found)
    for reason in lost[:_SHOWN]:
        logging.warning("Left out: %s", reason)
    if len(lost) > _SHOWN:
        logging.warning("Left out: %d more", len(lost) - _SHOWN)
    print(f"{number - len(lost)} images with detections in {FLAGS.output_tfrecord_path}")
    if number == len(lost):
        logging.error("No record of %d has an image that can be read.", number)
        return 1
    return 0


def _detect(predictor, serialized, writer, place, lost):
    """Writes one record; (id, ImageDetections, height, width), or None where it has no image."""
    import tensorflow as tf

    from object_detection.data import image_headers
    from object_detection.metrics import detection_records
    from object_detection.metrics.images import ImageDetections

    try:
        feature = tf.train.Example.FromString(serialized).features.feature
    except Exception:  # protobuf's own error type differs between its implementations
        lost.append(f"{place} is no tf.train.Example")
        return None
    encoded = feature["image/encoded"].bytes_list.value if "image/encoded" in feature else ()
    try:
        image = image_headers.decode_image(encoded[0]).numpy()
    except (IndexError, ValueError) as error:
        why = f": {error}" if encoded else ""
        lost.append(f"{place} has no image that can be read{why}")
        return None
    seen = predictor.predict(image)
    masks = seen.rles() if seen.box_masks is None else seen.box_masks
    detections = ImageDetections(seen.boxes, seen.scores, seen.classes, masks)
    detections = detections.encoded(seen.height, seen.width)
    size = (seen.height, seen.width)
    writer.write(
        detection_records.with_detections(
            serialized, detections, *size, discard_image_pixels=FLAGS.discard_image_pixels
        )
    )
    ids = feature["image/source_id"].bytes_list.value or [place.encode()]
    return ids[0].decode(errors="replace"), detections, *size


def main():
    """The command."""
    commands.run(door, define_flags)


if __name__ == "__main__":
    main()
