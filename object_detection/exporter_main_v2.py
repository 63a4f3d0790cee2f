"""Exports a trained model: `python -m object_detection.exporter_main_v2 --help`."""

import sys

from absl import app, flags, logging


def define_flags():
    """TFOD's flags, and one of ours."""
    flags.DEFINE_enum(
        "input_type",
        "image_tensor",
        [
            "image_tensor",
            "float_image_tensor",
            "encoded_image_string_tensor",
            "tf_example",
            "image_and_boxes_tensor",
        ],
        "What the exported model takes: uint8 images, float images, encoded image files or "
        "serialized tf.Examples. (image_and_boxes_tensor is for models not supported here.)",
    )
    flags.DEFINE_string("pipeline_config_path", None, "The model's pipeline.config.")
    flags.DEFINE_string(
        "trained_checkpoint_dir", None, "Training folder whose last checkpoint is exported."
    )
    flags.DEFINE_string("output_directory", None, "Where the export goes.")
    flags.DEFINE_string("config_override", "", "Text config that is merged over the file's.")
    flags.DEFINE_boolean("export_raw", False, "Also give out the internal tensors, as TFOD does.")
    flags.DEFINE_boolean("use_side_inputs", False, "For models with side inputs; none here has.")
    for name in ("side_input_shapes", "side_input_types", "side_input_names"):
        flags.DEFINE_string(name, "", "Goes with use_side_inputs.")
    flags.mark_flags_as_required(
        ["pipeline_config_path", "trained_checkpoint_dir", "output_directory"]
    )


def main(arguments):
    """Exports as the flags say; returns the exit code."""
    del arguments
    given = flags.FLAGS
    if given.use_side_inputs or any(
        given[name].value for name in ("side_input_shapes", "side_input_types", "side_input_names")
    ):
        logging.error(
            "use_side_inputs is not supported: Faster and Mask R-CNN take images only (side "
            "inputs belong to Context R-CNN). Leave the flag and the side_input_* flags out."
        )
        return 1
    import object_detection
    from object_detection.config import pipeline_file
    from object_detection.export import exporter

    origin = object_detection.__path__[0]
    logging.info("object_detection %s from %s", object_detection.__version__, origin)
    try:
        config = pipeline_file.load(given.pipeline_config_path, override_text=given.config_override)
        folder, label_map = exporter.export(
            config,
            given.trained_checkpoint_dir,
            given.output_directory,
            input_type=given.input_type,
            raw=given.export_raw,
        )
    except (ValueError, OSError) as fault:
        logging.error("%s", fault)
        return 1
    if label_map is None:
        logging.warning(
            "No label map could be read (label_map_path of the readers), so none travels with the "
            "model: give --label_map to object_detection.predict."
        )
    print(f"Exported to {folder}: saved_model/, checkpoint/ckpt-0, pipeline.config")
    return 0


def run():
    """The command."""
    define_flags()
    app.run(main)


if __name__ == "__main__":
    sys.exit(run())
