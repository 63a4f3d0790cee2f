"""Evaluates detections and shows their errors: `python -m object_detection.evaluate --help`.

--annotations_file=instances_val.json --image_dir=val       the ground truth: a COCO json,
--records='records/val.record-*'                            or records
--saved_model=exported/saved_model                          detections of: an exported model,
--pipeline_config_path=pipeline.config --checkpoint=run     a checkpoint,
--results=detections.json                                   or a COCO result file

Prints COCO's metrics and writes report.html, metrics.json and metrics.csv. The page is
self-contained: you can send it to others and open it without a network.
"""

import os
import sys
from pathlib import Path

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from absl import app, flags, logging  # noqa: E402

from object_detection.cli import runner  # noqa: E402

FLAGS = flags.FLAGS


def define_flags():
    """Define the flags of this command."""
    flags.DEFINE_multi_string("records", [], "Ground truth: record files, patterns in quotes.")
    flags.DEFINE_string(
        "label_map_path", "", "Label map of --records. Default: the label_map.pbtxt next to them."
    )
    flags.DEFINE_string("annotations_file", "", "Ground truth: a COCO json.")
    flags.DEFINE_string("image_dir", "", "Image folder of --annotations_file. Default: its folder.")
    flags.DEFINE_bool(
        "allow_outside_images",
        False,
        "Follow file names that lead out of the image folder ('../a.jpg', '/data/a.jpg').",
    )
    flags.DEFINE_multi_string(
        "ignore_class", [], "Class whose objects are ignore regions: neither learned nor evaluated."
    )
    flags.DEFINE_string("saved_model", "", "Exported model whose detections to evaluate.")
    flags.DEFINE_string("checkpoint", "", "Checkpoint to evaluate; see --pipeline_config_path.")
    flags.DEFINE_string(
        "pipeline_config_path", None, "Config of --checkpoint. Default: the one next to it."
    )
    flags.DEFINE_string("results", "", "COCO result file with detections.")
    flags.DEFINE_string("output_dir", "evaluation", "Output folder.")
    flags.DEFINE_float(
        "min_score", 0.5, "Minimum score of detections in the confusion matrix and the errors."
    )
    flags.DEFINE_float(
        "iou_threshold",
        0.5,
        "Minimum IoU of a match in the confusion matrix, the errors and the curves.",
        0.01,
        1.0,
    )
    flags.DEFINE_integer(
        "max_images", 0, "Number of images to evaluate, from the first; 0: all.", 0
    )
    flags.DEFINE_integer(
        "worst_images", 40, "Number of worst images to draw, for boxes and for masks each.", 0
    )
    flags.DEFINE_integer("picture_side", 640, "Maximum longer side of a picture in pixels.", 64)


def main(arguments):
    """Evaluate as the flags say; return the exit code."""
    runner.refuse_arguments(arguments, "patterns need quotes: --records='a-*'")
    if bool(FLAGS.records) == bool(FLAGS.annotations_file):
        raise app.UsageError("give the ground truth: either --records or --annotations_file")
    if sum(map(bool, (FLAGS.saved_model, FLAGS.checkpoint, FLAGS.results))) != 1:
        raise app.UsageError("give one of --saved_model, --checkpoint and --results")
    from object_detection.training import commands

    commands.start_tensorflow()
    return evaluate()


def evaluate():
    """Score, print and write; return the exit code."""
    from tqdm import tqdm

    from object_detection.errors import AnnotationError
    from object_detection.metrics import coco_results
    from object_detection.reports import evaluation_figures, evaluation_page, model_evaluation

    truth = _truth()
    output = Path(FLAGS.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    source = _detection_source(truth)
    progress = tqdm(truth.images, unit="image", desc="evaluate", total=len(truth.sizes) or None)
    images, notes = model_evaluation.collect(
        truth._replace(images=progress), source, FLAGS.max_images
    )
    notes = [*truth.notes, *source.notes(), *notes]
    if not images:
        raise AnnotationError("\n".join(["No image could be evaluated.", *notes[:20]]))
    source.check_ids()
    model_evaluation.check_classes(truth.categories, images, source.origin)
    model_evaluation.check_objects(truth, images)
    rules = model_evaluation.Rules(FLAGS.min_score, FLAGS.iou_threshold)
    scored = model_evaluation.score(truth.categories, images, rules)
    scored.notes.extend(notes)
    print(scored.coco.table())
    for note in scored.notes:
        logging.warning("%s", note)
    figures = evaluation_figures.to_dict(scored)
    origin = [*truth.origin, f"detections: {source.origin}"]
    not_drawn = evaluation_page.write(
        output / "report.html",
        scored,
        figures,
        origin,
        worst_images=FLAGS.worst_images,
        side=FLAGS.picture_side,
    )
    if not_drawn:
        names = ", ".join(not_drawn[:5]) + (", ..." if len(not_drawn) > 5 else "")
        logging.warning(
            "%d of the worst images cannot be drawn, their files are not there: %s. "
            "Does --image_dir say where they are?",
            len(not_drawn),
            names,
        )
    evaluation_figures.write_json(output / "metrics.json", {"origin": origin, **figures})
    evaluation_figures.write_csv(output / "metrics.csv", figures)
    written = "report.html, metrics.json, metrics.csv"
    if not FLAGS.results:
        results = ((image.image_id, image.detections) for image in images)
        coco_results.write(output / "detections.json", results)
        written += ", detections.json (for --results)"
    print(f"\nIn {output}: {written}")
    return 0


def _truth():
    from object_detection.datasets import files
    from object_detection.reports import ground_truth

    if not FLAGS.annotations_file:
        return ground_truth.from_records(FLAGS.records, FLAGS.label_map_path, FLAGS.ignore_class)
    files.allow_outside_images(FLAGS.allow_outside_images)
    return ground_truth.from_coco(FLAGS.annotations_file, FLAGS.image_dir, FLAGS.ignore_class)


def _detection_source(truth):
    from object_detection.prediction import detection_source

    if FLAGS.results:
        return detection_source.ResultFileSource(FLAGS.results, truth.sizes)
    return detection_source.ModelSource(
        FLAGS.saved_model or FLAGS.checkpoint,
        truth.categories,
        pipeline_config=FLAGS.pipeline_config_path,
    )


def run():
    """Run the command."""
    runner.run(main, define_flags)


if __name__ == "__main__":
    run()
