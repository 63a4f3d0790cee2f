"""TFOD's `exporter_lib_v2` for programs that export a model themselves."""

from object_detection.errors import ExportError
from object_detection.training import commands


def export_inference_graph(
    input_type,
    pipeline_config,
    trained_checkpoint_dir,
    output_directory,
    use_side_inputs=False,
    side_input_shapes="",
    side_input_types="",
    side_input_names="",
):
    """Writes saved_model/, checkpoint/ckpt-0 and pipeline.config.

    Args:
        input_type: what the exported model takes; a key of `export.serving.INPUT_TYPES`.
        pipeline_config: a TrainEvalPipelineConfig.
        trained_checkpoint_dir: a training folder, whose newest checkpoint is taken, or a
            checkpoint.
        output_directory: made if need be.
        use_side_inputs: must be False: side inputs belong to Context R-CNN.
        side_input_shapes, side_input_types, side_input_names: go with use_side_inputs.

    Raises:
        ExportError: side inputs, faults of the config, an input type that is not supported, a
            checkpoint that does not fit, or a written model that answers otherwise than its.
    """
    del side_input_shapes, side_input_types, side_input_names
    if use_side_inputs:
        raise ExportError(
            "use_side_inputs is not supported: Faster and Mask R-CNN take images only"
        )
    commands.checked(pipeline_config, purpose="export", reads=(), source="pipeline_config")
    from object_detection.export import exporter

    options = exporter.ExportOptions(input_type=input_type)
    exporter.export(pipeline_config, trained_checkpoint_dir, output_directory, options)
