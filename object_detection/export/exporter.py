"""From a training folder to what others run: saved_model/, checkpoint/ and pipeline.config."""

import contextlib
import shutil
import tempfile
from pathlib import Path

from object_detection.builders import image_resizer_builder, model_builder
from object_detection.compat import checkpoint_map, checkpoint_reader, checkpoint_writer
from object_detection.config import pipeline_file
from object_detection.export import serving

PARTS = ("saved_model", "checkpoint", "pipeline.config")
LABEL_MAP = "label_map.pbtxt"


def export(config, checkpoint, output_directory, *, input_type="image_tensor", raw=False):
    """Writes saved_model/, checkpoint/ckpt-0 and pipeline.config, all or nothing.

    The label map that the config names travels in saved_model/assets, where it can be read.

    Args:
        config: TrainEvalPipelineConfig.
        checkpoint: a training folder, or whatever else `compat.checkpoint_reader` restores.
        output_directory: made if need be; an earlier export in it is replaced, other files stay.
        input_type: a key of `serving.INPUT_TYPES`.
        raw: also give out the internal tensors that TFOD's Mask R-CNN exports carry.

    Returns:
        The folder, and the label map that was put in (None where none could be read).

    Raises:
        ValueError: an input type or model that is not supported, a folder that can't take the
            export, or a checkpoint that does not fit.
    """
    module_class = serving.module_for(input_type)
    output = Path(output_directory)
    _check_target(output)
    network = model_builder.build_network(config.model, is_training=False)
    checkpoint_reader.restore(
        network,
        str(checkpoint),
        # What is evaluated is what is exported, as in TFOD.
        moving_averages=config.eval_config.use_moving_averages,
    )
    resizer = image_resizer_builder.build(config.model.faster_rcnn.image_resizer)
    source = label_map_of(config)
    output.parent.mkdir(parents=True, exist_ok=True)
    with _partial_folder(output) as partial:
        label_map = None
        if source is not None:  # under one name, whatever its own
            label_map = partial / LABEL_MAP
            shutil.copyfile(source, label_map)
        module = module_class(network, resizer, raw=raw, label_map=label_map)
        serving.save(module, partial / "saved_model")
        _write_checkpoint(network, config.model, partial / "checkpoint")
        pipeline_file.save(config, str(partial))
        _move_into_place(partial, output)
    return output, source


def label_map_of(config):
    """The first label map that the config's readers name and that is a file, or None."""
    readers = [*config.eval_input_reader, config.train_input_reader]
    named = [Path(reader.label_map_path) for reader in readers if reader.label_map_path]
    return next((path for path in named if path.is_file()), None)


def _check_target(output):
    """Raises where `output` cannot become an export folder."""
    if output.exists() and not output.is_dir():
        raise ValueError(f"--output_directory {output} is a file.")
    if (output / "checkpoint").is_file():
        raise ValueError(
            f"--output_directory {output} is a training folder (it holds checkpoints of its own); "
            f"choose another, for example {output / 'export'}."
        )


def _write_checkpoint(network, model_config, folder):
    """Writes ckpt-0 and the state file that names it: in TFOD's form where it is TFOD 2.x's model.

    TFOD 1.x's extractors have no such form; theirs is ours, which is what our own extractors have.
    """
    folder.mkdir()
    form = None
    if model_config.faster_rcnn.feature_extractor.type.endswith("_keras"):
        form = checkpoint_writer.form_of(network)
    if form is None:
        checkpoint_map.checkpoint_of(network).write(str(folder / "ckpt-0"))
    else:
        checkpoint_writer.write(folder / "ckpt-0", network, form)
    state = 'model_checkpoint_path: "ckpt-0"\nall_model_checkpoint_paths: "ckpt-0"\n'
    (folder / "checkpoint").write_text(state)


@contextlib.contextmanager
def _partial_folder(output):
    """A folder beside `output`, on the same disk, that is gone in the end whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.partial-", dir=output.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_into_place(partial, output):
    """Puts the finished parts into `output`; what stood there is put back if a move fails."""
    output.mkdir(exist_ok=True)
    former = partial / "former"
    former.mkdir()
    moved = []
    try:
        for part in PARTS:
            if (output / part).exists():
                (output / part).rename(former / part)
            moved.append(part)
            (partial / part).rename(output / part)
    except OSError:
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
