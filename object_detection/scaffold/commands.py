"""The commands from annotations to pictures, as a script, and where its records will lie."""

import shlex
from pathlib import Path
from typing import NamedTuple

from object_detection.scaffold.data_set import NAME

VAL_FRACTION = 0.2


class Written(NamedTuple):
    """Records that a conversion will write."""

    train: tuple[str, ...]  # patterns
    val: tuple[str, ...]
    steps: tuple[tuple[str, ...], ...]  # commands, a tuple of words each


def conversion(dataset, folder, *, masks, val_fraction=VAL_FRACTION):
    """The commands that write a data set's records, and the patterns of these.

    Args:
        dataset: `DataSet`.
        folder: of the run: records go to `records` in it, the label map lies in it.
        masks: whether masks are written.
        val_fraction: of the images that are set aside where the data set has no split for it.
    """
    records = Path(folder, "records")
    divided = dataset.evaluated is None
    steps = []
    for each in dataset.conversions:
        words = ["python", "-m", f"object_detection.dataset_tools.{each.command}", *each.flags]
        words += _outputs(dataset.format, records, each.set_name)
        if dataset.format == "pets":
            pass  # whose bodies have masks by --faces_only=false
        elif dataset.format != "kitti":
            words.append(f"--include_masks={str(masks).lower()}")
        words.append(f"--label_map_path={Path(folder, 'label_map.pbtxt')}")
        words += ["--num_shards=1", "--num_workers=2"]
        if divided:
            words.append(f"--val_fraction={val_fraction}")
        steps.append(tuple(words))

    def patterns(splits, part=""):
        return tuple(str(records / _file_of(dataset.format, split, part)) for split in splits)

    if divided:
        splits = dataset.trained
        return Written(patterns(splits, "train"), patterns(splits, "val"), tuple(steps))
    return Written(patterns(dataset.trained), patterns([dataset.evaluated]), tuple(steps))


def _outputs(name, records, set_name):
    """The flags that say where the records go."""
    stem = f"{NAME}_{set_name}" if set_name else NAME
    if name == "voc":
        return [f"--output_path={records / stem}.record"]
    if name == "kitti":
        return [f"--output_path={records / NAME}"]
    if name in ("coco", "pets"):
        return [f"--output_dir={records}"]
    return [f"--output_dir={records}", f"--name={stem}"]


def _file_of(name, split, part):
    """The pattern of the files of a split, or of the part of it that was set aside."""
    stem = {"coco": "coco", "pets": "pets_fullbody_with_masks"}.get(name, NAME)
    suffix = "tfrecord" if name == "kitti" else "record"
    if name == "coco" and split == "test":
        split = "testdev"
    return "_".join(filter(None, [stem, split, part])) + f".{suffix}-?????-of-?????"


def script(folder, steps, *, masks, num_steps, images="'NEW_IMAGES/*.jpg'"):
    """The text of a shell script with all commands.

    Args:
        folder: of the run.
        steps: of the conversion, by `conversion`; none for records that exist.
        masks: whether masks are learned.
        num_steps: of the training.
        images: what to predict on, as the shell is to see it.
    """
    folder = Path(folder)
    run, config, exported = folder / "run", folder / "pipeline.config", folder / "exported"
    every = max(20, num_steps // 10)
    metric = f"Detection{'Masks' if masks else 'Boxes'}_Precision/mAP"
    parts = [
        ("Records, from the annotations. Read what it reports.", list(steps)),
        ("A look at what the model will be given, as a page in a browser.",
         [_module("browse_data", f"--pipeline_config_path={config}",
                  f"--output={folder / 'data.html'}")]),
        ("Training. Run the same command again to resume after an interruption.",
         [_module("model_main_tf2", f"--pipeline_config_path={config}", f"--model_dir={run}",
                  f"--eval_every_n_steps={every}", f"--best_metric={metric}")]),
        ("Evaluation of the best checkpoint.",
         [_module("model_main_tf2", f"--pipeline_config_path={config}", f"--model_dir={run}",
                  f"--checkpoint_dir={run / 'best'}", "--run_once")]),
        ("Export.",
         [_module("exporter_main_v2", f"--pipeline_config_path={config}",
                  f"--trained_checkpoint_dir={run / 'best'}", f"--output_directory={exported}")]),
        ("Pictures with what it finds. Fill in your images.",
         [_module("predict", f"--saved_model={exported}", f"--output={folder / 'drawn'}")]),
    ]  # fmt: skip
    lines = [
        "#!/bin/sh",
        "# From the data set to pictures: run these one by one, or all.",
        "set -e",
    ]
    for number, (title, commands) in enumerate([each for each in parts if each[1]], start=1):
        lines += ["", f"# {number}. {title}"]
        lines += [_shown(words) for words in commands]
    lines[-1] += f" \\\n    --images={images}"
    return "\n".join(lines) + "\n"


def _module(name, *flags):
    return ("python", "-m", f"object_detection.{name}", *flags)


def _shown(words):
    """A command over several lines."""
    return shlex.join(words[:3]) + "".join(f" \\\n    {shlex.quote(word)}" for word in words[3:])
