"""Export of a trained model: writes saved_model/, checkpoint/ and pipeline.config."""

import contextlib
import shutil
import tempfile
from pathlib import Path

from object_detection import addresses
from object_detection.checkpoints import tfod_writer, variables
from object_detection.config import pipeline_file
from object_detection.errors import ExportError
from object_detection.export import model_info, preparation, serving
from object_detection.export.options import ExportOptions

PARTS = ("saved_model", "checkpoint", "pipeline.config")
FROZEN_GRAPH = "frozen_inference_graph.pb"
# Further parts of an export of TFOD 1.x; the files of its checkpoint are `model.ckpt.*`.
GRAPH_PARTS = (
    FROZEN_GRAPH,
    "inference_graph.pbtxt",
    "model.ckpt.data-00000-of-00001",
    "model.ckpt.index",
    "model.ckpt.meta",
)
DEFAULTS = ExportOptions()
label_map_of = preparation.label_map_of


def export(config, checkpoint, output_directory, options=DEFAULTS):
    """Write saved_model/, checkpoint/ckpt-0 and pipeline.config, all or nothing.

    The label map of the config and a description of the model (model_info.json) are copied to
    saved_model/assets. The export is loaded in a process of its own and compared with the
    checkpoint's model before it is moved into place, unless `options.verify` is off.

    Args:
        config: TrainEvalPipelineConfig.
        checkpoint: a training folder, or whatever else `checkpoints.restore` restores.
        output_directory: created if missing; an earlier export is replaced, other files stay.
        options: `ExportOptions`.

    Returns:
        The folder, and the label map that was copied (None if none could be read).

    Raises:
        ExportError: options or a model that are not supported, a folder that cannot hold the
            export, or a checkpoint that does not fit.
        ExportError: the written model differs from the checkpoint's model.
    """
    serving.module_for(options.input_type)
    check_target(output_directory)
    output = Path(output_directory)
    model = preparation.restore(config, checkpoint, options)
    with partial_folder(output) as partial:
        _write_checkpoint(model.network, config.model, partial / "checkpoint")
        served = preparation.served(model, partial)
        serving.save(served.module, partial / "saved_model")
        pipeline_file.save(config, str(partial))
        finish(model, served, partial)
        move_into_place(partial, output)
    return output, model.label_map


def finish(model, served, partial, frozen_graph=None):
    """Verify the model in `partial` and add the result to its description.

    Args:
        model: `preparation.Export`.
        served: `preparation.Served`.
        partial: folder with saved_model/.
        frozen_graph: path of a frozen graph that was written too, or None.
    """
    report = preparation.verify(model, served, partial / "saved_model", frozen_graph)
    path = partial / "saved_model" / "assets" / model_info.NAME
    model_info.write(path, served.description | {"verification": report})


def check_target(output_directory):
    """Check that a folder can become an export folder.

    Raises:
        ExportError: it is a file or a training folder.
    """
    addresses.refuse(output_directory, "--output_directory")
    output = Path(output_directory)
    if output.exists() and not output.is_dir():
        raise ExportError(f"--output_directory {output} is a file.")
    if (output / "checkpoint").is_file() and not (output / FROZEN_GRAPH).is_file():
        raise ExportError(
            f"--output_directory {output} is a training folder (it holds checkpoints of its own); "
            f"choose another, for example {output / 'export'}."
        )
    pipeline_file.name_to_write(output)  # raises if both names are the user's


def _write_checkpoint(network, model_config, folder):
    """Write ckpt-0 and its state file, in TFOD's format for models of TFOD 2.x.

    TFOD 1.x's and our own extractors have no such format and are written in ours.
    """
    folder.mkdir()
    form = None
    if model_config.faster_rcnn.feature_extractor.type.endswith("_keras"):
        form = tfod_writer.layout_of(network)
    if form is None:
        variables.checkpoint_of(network).write(str(folder / "ckpt-0"))
    else:
        tfod_writer.write(folder / "ckpt-0", network, form)
    state = 'model_checkpoint_path: "ckpt-0"\nall_model_checkpoint_paths: "ckpt-0"\n'
    (folder / "checkpoint").write_text(state)


@contextlib.contextmanager
def partial_folder(output):
    """Create a temporary folder next to `output`, on the same disk; it is always removed."""
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.partial-", dir=output.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move_into_place(partial, output):
    """Move the finished parts into `output`; restore the former ones if a move fails.

    A pipeline.config of the user's stays, and the export's is written under its other name.
    """
    output.mkdir(exist_ok=True)
    config = pipeline_file.name_to_write(output)
    (partial / pipeline_file.NAME).rename(partial / config)
    former = partial / "former"
    former.mkdir()
    names = (*PARTS, pipeline_file.RESOLVED, *GRAPH_PARTS)
    parts = [part for part in names if (partial / part).exists()]
    # Nothing of an earlier export stays, of either kind.
    stale = []
    if (output / FROZEN_GRAPH).exists():
        stale = [part for part in GRAPH_PARTS if part not in parts]
    if config == pipeline_file.NAME and pipeline_file.is_ours(output / pipeline_file.RESOLVED):
        stale.append(pipeline_file.RESOLVED)
    moved = []
    try:
        for part in (*stale, *parts):
            if (output / part).exists():
                (output / part).rename(former / part)
            moved.append(part)
            if part in parts:
                (partial / part).rename(output / part)
    except BaseException:  # Ctrl-C as well
        for part in moved:
            if (former / part).exists():
                _remove(output / part)
                (former / part).rename(output / part)
        raise


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
