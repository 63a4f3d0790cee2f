"""From a config and a checkpoint to a model that is ready to be written, and what it has to answer.

Both exporters begin here; they differ in the files that they write.
"""

import shutil
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from object_detection.builders import image_resizer_builder, model_builder
from object_detection.compat import checkpoint_reader
from object_detection.export import batching, folding, model_info, options, serving, verification
from object_detection.modeling import precision

LABEL_MAP = "label_map.pbtxt"
_TIMED_RUNS = 3


class Export(NamedTuple):
    """A model with its weights, before and after the options changed it."""

    config: object  # TrainEvalPipelineConfig
    options: options.ExportOptions
    network: object  # the checkpoint's `FasterRCNN`
    resizer: object  # `ops.image.Resizer`
    label_map: Path | None  # source of the label map
    ids: tuple  # of the chosen classes, () for all


class Expected(NamedTuple):
    """What the written model is compared with."""

    asked: verification.Question
    wanted: dict  # {name: array} of the checkpoint's model, narrowed as the options say


class Served(NamedTuple):
    """A model that is ready to be saved."""

    module: serving.ServedModel
    expected: Expected | None  # None: it is not to be verified
    info: dict  # what travels with it as model_info.json


def restore(config, checkpoint, chosen):
    """Builds the network of a config and gives it its weights.

    Args:
        config: TrainEvalPipelineConfig.
        checkpoint: a training folder, or whatever else `compat.checkpoint_reader` restores.
        chosen: `ExportOptions`.

    Returns:
        `Export`.

    Raises:
        ValueError: options that do not fit, a model that is not supported, or a checkpoint that
            does not fit.
    """
    serving.module_for(chosen.input_type)
    options.check(chosen, config.model)
    source = label_map_of(config)
    ids = ()
    if chosen.classes:
        ids = options.class_ids(chosen.classes, config.model.faster_rcnn.num_classes, source)
    network = model_builder.build_network(config.model, is_training=False)
    checkpoint_reader.restore(
        network,
        str(checkpoint),
        # What is evaluated is what is exported, as in TFOD.
        moving_averages=config.eval_config.use_moving_averages,
    )
    resizer = image_resizer_builder.build(config.model.faster_rcnn.image_resizer)
    return Export(config, chosen, network, resizer, source, ids)


def label_map_of(config):
    """The first label map that the config's readers name and that is a file, or None."""
    readers = [*config.eval_input_reader, config.train_input_reader]
    named = [Path(reader.label_map_path) for reader in readers if reader.label_map_path]
    return next((path for path in named if path.is_file()), None)


def served(export, folder, shape=(None, None, None)):
    """The module to be saved, and what it has to answer.

    The network is changed as the options say: call this after everything that needs the whole one.

    Args:
        export: from `restore`.
        folder: where the files that become assets are put.
        shape: (batch, height, width) that the written model takes, None where any is taken.

    Returns:
        `Served`.
    """
    chosen, network, resizer = export.options, export.network, export.resizer
    detector, expected = batching.Detector(network, raw=chosen.raw), None
    if chosen.verify:
        asked = verification.question(chosen.input_type, chosen.test_image, shape)
        whole = verification.answer(detector, resizer, asked.image)
        expected = Expected(asked, verification.narrowed(whole, chosen, export.ids))
    if options.changes_the_network(chosen):
        options.narrow(network, chosen, export.ids)
        if chosen.optimize:
            logging.info("%d norms folded into their convolutions", folding.fold(network))
        detector, chosen = _in_precision(network, resizer, chosen, expected)
    label_map = None
    if export.label_map is not None:  # under one name, whatever its own
        label_map = folder / LABEL_MAP
        shutil.copyfile(export.label_map, label_map)
    module = serving.module_for(chosen.input_type)(
        detector,
        resizer,
        label_map=label_map,
        mask_form=chosen.masks if chosen.masks in serving.MASK_SIGNATURES else None,
    )
    info = model_info.describe(
        export.config,
        chosen,
        network=network,
        resizer=resizer,
        module=module,
        label_map=label_map,
        ids=export.ids,
    )
    model_info.write(folder / model_info.NAME, info)
    module.add_asset("model_info", folder / model_info.NAME)
    return Served(module, expected, info)


def _in_precision(network, resizer, chosen, expected):
    """The network's `Detector` in the precision that is asked for, and the options with it."""
    names = precision.PRECISIONS if chosen.precision == "auto" else (chosen.precision,)
    detectors, seconds = {}, {}
    for name in names:
        precision.compute_in(network, name)
        if chosen.optimize:
            precision.round_kernels(network)
        detectors[name] = batching.Detector(network, raw=chosen.raw)
        if len(names) > 1:
            seconds[name] = _seconds(detectors[name], resizer, expected)
    best = min(seconds, key=seconds.get) if seconds else chosen.precision
    if seconds:
        times = ", ".join(f"{name} {time:.3f} s" for name, time in seconds.items())
        print(f"precision=auto: an image takes {times} on this machine; {best} is exported")
    return detectors[best], chosen._replace(precision=best)


def _seconds(detector, resizer, expected):
    """The median time of one image."""
    image = expected.asked.image if expected else verification.question("image_tensor").image
    pixels, true_shape = resizer(tf.constant(image)[tf.newaxis])
    times = []
    for _ in range(_TIMED_RUNS + 1):
        start = time.perf_counter()
        outputs = detector(pixels, true_shape[tf.newaxis])
        _ = {name: value.numpy() for name, value in outputs.items()}
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])  # the first call plans the graph


def verify(export, served_model, folder, frozen_graph=None):
    """Compares what was written with the checkpoint's model.

    Args:
        export: from `restore`.
        served_model: from `served`; without `expected` nothing is done.
        folder: of the SavedModel.
        frozen_graph: path of a frozen graph that was written too, or None.

    Returns:
        What was compared, a dict for model_info.json.

    Raises:
        ExportError: they differ, or the files cannot be run.
    """
    module, expected, info = served_model
    if expected is None:
        return {"verified": False}
    found = verification.ask_files(folder, expected.asked, frozen_graph)
    wanted, tolerance, report = expected.wanted, verification.FLOAT32, {}
    if info["precision"] == precision.BFLOAT16:
        own = verification.answer(module.detector, export.resizer, expected.asked.image)
        report["bfloat16_beside_float32"] = verification.agreement(own, wanted)
        print(f"bfloat16 beside float32 on the test image: {report['bfloat16_beside_float32']}")
        wanted, tolerance = own, verification.BFLOAT16
    verification.compare(found, wanted, tolerance, more_allowed=bool(export.ids))
    return {"verified": True, "tolerance": tolerance._asdict()} | report
