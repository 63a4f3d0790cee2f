"""Exports with the flags of TFOD's TF1 exporter, and writes what that writes: see --help.

    --pipeline_config_path=pipeline.config --trained_checkpoint_prefix=run/model.ckpt-1000
    --output_directory=exported

frozen_inference_graph.pb with TFOD's tensor names (`image_tensor:0`, `detection_boxes:0`, ...),
model.ckpt.*, checkpoint, pipeline.config, and saved_model/ whose one input is called `inputs`.
"""

import os
import sys

if not __package__:  # run as a file: Python then looks in this folder, not in the one above
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from absl import flags, logging  # noqa: E402

from object_detection.errors import ExportError  # noqa: E402
from object_detection.export import options
from object_detection.training import commands  # noqa: E402

FLAGS = flags.FLAGS


def define_flags():
    """Define TFOD's flags and ours."""
    flags.DEFINE_string(
        "input_type",
        "image_tensor",
        "Input of the exported model: image_tensor, float_image_tensor, "
        "encoded_image_string_tensor or tf_example.",
    )
    flags.DEFINE_string("pipeline_config_path", None, "Path of the model's pipeline.config.")
    flags.DEFINE_string(
        "trained_checkpoint_prefix", None, "Path prefix of the checkpoint, of TF1 or TF2."
    )
    flags.DEFINE_string("output_directory", None, "Folder to write the export to.")
    flags.DEFINE_list(
        "input_shape",
        [],
        "Shape of the graph's input, such as 1,600,600,3; -1 for any size. Default: any number of "
        "images of any size.",
    )
    flags.DEFINE_string("config_override", "", "Text in the config's own format to merge into it.")
    flags.DEFINE_boolean(
        "write_inference_graph", False, "Also write the graph with its variables, as text."
    )
    flags.DEFINE_list(
        "additional_output_tensor_names",
        [],
        "Additional outputs of the frozen graph: TFOD's internal tensors by name, such as "
        "proposal_boxes or rpn_box_encodings.",
    )
    options.define_side_inputs()
    options.define_flags()
    flags.mark_flags_as_required(
        ["pipeline_config_path", "trained_checkpoint_prefix", "output_directory"]
    )


def command():
    """Export as the flags say; return the exit code."""
    refused = options.side_inputs_in_flags(FLAGS)
    if refused:
        return commands.refuse(
            refused.removeprefix("--"),
            "side inputs (use_side_inputs is not supported) belong to Context R-CNN; Faster and "
            "Mask R-CNN take images only.",
        )
    from object_detection.config import pipeline_file

    config = pipeline_file.load(FLAGS.pipeline_config_path, override_text=FLAGS.config_override)
    commands.checked(config, purpose="export", reads=(), source=FLAGS.pipeline_config_path)
    commands.start_tensorflow()
    from object_detection.export import frozen_graph

    folder, label_map = frozen_graph.export(
        config,
        FLAGS.trained_checkpoint_prefix,
        FLAGS.output_directory,
        options.options_from_flags(FLAGS, input_type=FLAGS.input_type),
        frozen_graph.GraphOptions(
            input_shape=_shape(FLAGS.input_shape),
            write_inference_graph=FLAGS.write_inference_graph,
            additional_outputs=tuple(FLAGS.additional_output_tensor_names),
        ),
    )
    if label_map is None:
        logging.warning("No label map could be read: the export contains no class names.")
    print(
        f"Exported to {folder}: frozen_inference_graph.pb, saved_model/, model.ckpt.* and "
        "pipeline.config"
    )
    return 0


def _shape(sides):
    try:
        return tuple(int(side) for side in sides)
    except ValueError:
        raise ExportError(
            f"input_shape is {','.join(sides)}; it must be four whole numbers"
        ) from None


def main():
    """The command."""
    commands.run(command, define_flags)


if __name__ == "__main__":
    main()
