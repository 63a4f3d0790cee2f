"""Shows the data a model is trained on: `python -m object_detection.browse_data --help`.

--records='records/train.record-*' --label_map_path=records/label_map.pbtxt     records as stored
--pipeline_config_path=pipeline.config          and as the model sees them, augmented and resized

Prints counts per class, histograms of sizes and findings, and writes one HTML page with drawn
examples. The page is self-contained: you can send it to others and open it without a network.
"""

import json
import os
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from absl import app, flags, logging  # noqa: E402

from object_detection import atomic  # noqa: E402
from object_detection.cli import runner  # noqa: E402

FLAGS = flags.FLAGS


def define_flags():
    """Define the flags of this command."""
    flags.DEFINE_multi_string("records", [], "Record files: a path or a pattern in quotes.")
    flags.DEFINE_string(
        "label_map_path", "", "Label map of --records. Default: the label_map.pbtxt next to them."
    )
    flags.DEFINE_string(
        "pipeline_config_path", "", "Instead of --records: a config whose records to read."
    )
    flags.DEFINE_string(
        "reader", "train", "Which data of the config: train, eval, or the name of an input reader."
    )
    flags.DEFINE_multi_string(
        "config_override", [], "Changes the config: field=value. May be given more than once."
    )
    flags.DEFINE_string("output", "data.html", "HTML file to write.")
    flags.DEFINE_string("json_output", "", "JSON file for the statistics. Default: none.")
    flags.DEFINE_integer("max_images", 100, "Images drawn on the page for each view.", 0)
    flags.DEFINE_integer("max_records", 0, "Number of records to read, evenly spread; 0: all.", 0)
    flags.DEFINE_integer(
        "model_examples",
        200,
        "Maximum number of images for the statistics of the model's view.",
        0,
    )
    flags.DEFINE_integer("picture_side", 640, "Maximum longer side of a picture in pixels.", 64)
    flags.DEFINE_integer(
        "seed", 0, "Random seed of the chosen images, their order and the augmentations."
    )


def main(arguments):
    """Show the data as the flags say; return the exit code."""
    runner.refuse_arguments(arguments, "patterns need quotes: --records='a-*'")
    if bool(FLAGS.records) == bool(FLAGS.pipeline_config_path):
        raise app.UsageError("give either --records or --pipeline_config_path")
    from object_detection.training import commands

    commands.start_tensorflow()
    return show()


def show():
    """Print the figures and write the page; return the exit code."""
    from object_detection.errors import RecordError
    from object_detection.reports import contact_sheet, data_browser

    settings = data_browser.Settings(
        **{name: FLAGS[name].value for name in data_browser.Settings._fields}
    )
    reader = reader_by_flags() if FLAGS.pipeline_config_path else None
    if reader:
        source = data_browser.source_of_reader(reader)
    else:
        source = data_browser.source_of_records(FLAGS.records, FLAGS.label_map_path)
    views, message = [], None
    if reader:
        try:
            views = [data_browser.sample_pipeline(reader, source.classes, settings)]
        except RecordError as error:  # the stored records then show why
            message = f"No model can be given these data: {error}"
    drawn = [card.facts.id for view in views for card in view.cards]
    views.insert(0, data_browser.scan_records(source, settings, preferred=drawn))
    print("\n\n\n".join(data_browser.to_text(view) for view in views))
    origin = [
        *_shortened(source.files),
        f"classes: {source.classes.origin}",
        *filter(None, [message]),
    ]
    title = os.path.basename(FLAGS.pipeline_config_path or FLAGS.records[0])
    title += f" ({FLAGS.reader})" if reader else ""
    contact_sheet.write(FLAGS.output, f"Data: {title}", origin, views, source.classes)
    print(f"\nThe page with the drawn images: {FLAGS.output}")
    if FLAGS.json_output:
        figures = [data_browser.to_dict(view) for view in views]
        text = json.dumps(figures, indent=1, ensure_ascii=False)
        atomic.write_text(FLAGS.json_output, text + "\n")
    if message:
        logging.error("%s", message)
    return 1 if message else 0


def reader_by_flags():
    """Return the `Reader` that --reader names.

    Raises:
        ConfigError: The config cannot be read, or has no such reader.
    """
    from object_detection.config import pipeline_file
    from object_detection.errors import ConfigError
    from object_detection.reports.data_browser import Reader

    path = FLAGS.pipeline_config_path
    config = pipeline_file.load(path, overrides=FLAGS.config_override)
    if not config.model.WhichOneof("model"):
        raise ConfigError(f"{path}: model is missing; it says how images are resized")
    around = (config.model, config.train_config)
    train = Reader(
        f"the train input of {path}",
        config.train_input_reader,
        *around,
        True,
        config.train_config.batch_size or 1,
    )
    readers = {"train": train}
    if train.config.name:
        readers.setdefault(train.config.name, train)
    for number, each in enumerate(config.eval_input_reader):
        name = each.name or (f"number {number + 1}" if number else "")
        eval_reader = Reader(f"the eval input {name} of {path}", each, *around, False, 1)
        readers.setdefault("eval", eval_reader)
        if each.name:
            readers.setdefault(each.name, eval_reader)
    if FLAGS.reader not in readers:
        raise ConfigError(f"--reader={FLAGS.reader}: {path} has the readers {', '.join(readers)}")
    return readers[FLAGS.reader]


def _shortened(files):
    """Return the first few of a long list."""
    return files if len(files) <= 5 else [*files[:4], f"... and {len(files) - 4} more"]


def run():
    """Run the command."""
    runner.run(main, define_flags)


if __name__ == "__main__":
    run()
