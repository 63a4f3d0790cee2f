"""Preparation of an export: restores the network, applies the export options, verifies the result.

Both exporters begin here; they differ in the files that they write.
"""

import shutil
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from object_detection.builders import image_resizer_builder, model_builder
from object_detection.checkpoints.restore import restore as restore_weights
from object_detection.export import batching, model_info, options, serving, verification
from object_detection.modeling import precision
from object_detection.modeling.conv_block import ConvBlock, DenseBlock, SeparableConvBlock

LABEL_MAP = "label_map.pbtxt"
_TIMED_RUNS = 3


class Restored(NamedTuple):
    """A trained detector."""

    network: object  # `FasterRCNN`
    resizer: object  # `ops.image.Resizer`


class Export(NamedTuple):
    """A model with its weights, before and after the options changed it."""

    config: object  # TrainEvalPipelineConfig
    options: options.ExportOptions
    network: object  # the checkpoint's `FasterRCNN`
    resizer: object  # `ops.image.Resizer`
    label_map: Path | None  # source of the label map
    ids: tuple  # of the selected classes, () for all


class Expected(NamedTuple):
    """Outputs that the written model is compared with."""

    inputs: verification.VerificationInput
    outputs: dict  # {name: array} of the checkpoint's model, narrowed as the options say


class Served(NamedTuple):
    """A model that is ready to be saved."""

    module: serving.ServedModel
    expected: Expected | None  # None: not to be verified
    description: dict  # content of its model_info.json


def restore(config, checkpoint, selected):
    """Build the network of a config and restore its weights.

    Args:
        config: TrainEvalPipelineConfig.
        checkpoint: a training folder, or whatever else `checkpoints.restore` restores.
        selected: `ExportOptions`.

    Returns:
        `Export`.

    Raises:
        ExportError: options that do not fit, a model that is not supported, or a checkpoint that
            does not fit.
    """
    serving.module_for(selected.input_type)
    options.check(selected, config.model)
    source = label_map_of(config)
    ids = ()
    if selected.classes:
        ids = options.class_ids(selected.classes, config.model.faster_rcnn.num_classes, source)
    network, resizer = restore_network(config, checkpoint)
    return Export(config, selected, network, resizer, source, ids)


def restore_network(config, checkpoint) -> Restored:
    """Build the network and the resizer of a config, with the weights of a checkpoint."""
    network = model_builder.build_network(config.model, is_training=False)
    restore_weights(
        network,
        str(checkpoint),
        # What is evaluated is what is exported, as in TFOD.
        moving_averages=config.eval_config.use_moving_averages,
    )
    return Restored(network, image_resizer_builder.build(config.model.faster_rcnn.image_resizer))


def label_map_of(config):
    """Return the first label map of the config's readers that is a file, or None."""
    readers = [*config.eval_input_reader, config.train_input_reader]
    named = [Path(reader.label_map_path) for reader in readers if reader.label_map_path]
    return next((path for path in named if path.is_file()), None)


def served(export, folder, shape=(None, None, None)):
    """Return the module to save and the outputs it must give.

    This changes the network as the options say: call it after everything that needs the whole one.

    Args:
        export: from `restore`.
        folder: where the files that become assets are put.
        shape: (batch, height, width) that the written model takes, None where any is taken.

    Returns:
        `Served`.
    """
    selected, network, resizer = export.options, export.network, export.resizer
    detector, expected = batching.Detector(network, raw=selected.raw), None
    if selected.verify:
        inputs = verification.verification_input(selected.input_type, selected.test_image, shape)
        whole = verification.run_detector(detector, resizer, inputs.image)
        expected = Expected(inputs, verification.narrow_outputs(whole, selected, export.ids))
    if options.changes_the_network(selected):
        options.narrow(network, selected, export.ids)
        if selected.optimize:
            logging.info("%d norms folded into their convolutions", fold_norms(network))
        detector, selected = _in_precision(network, resizer, selected, expected)
    label_map = None
    if export.label_map is not None:  # under one name, whatever its own
        label_map = folder / LABEL_MAP
        shutil.copyfile(export.label_map, label_map)
    module = serving.module_for(selected.input_type)(
        detector,
        resizer,
        label_map=label_map,
        mask_format=selected.masks if selected.masks in serving.MASK_SIGNATURES else None,
    )
    description = model_info.describe(
        export.config,
        selected,
        network=network,
        resizer=resizer,
        module=module,
        label_map=label_map,
        ids=export.ids,
    )
    model_info.write(folder / model_info.NAME, description)
    module.add_asset("model_info", folder / model_info.NAME)
    return Served(module, expected, description)


def _in_precision(network, resizer, selected, expected):
    """The network's `Detector` in the precision that is asked for, and the options with it."""
    names = precision.PRECISIONS if selected.precision == "auto" else (selected.precision,)
    detectors, seconds = {}, {}
    for name in names:
        precision.compute_in(network, name)
        if selected.optimize:
            precision.round_kernels(network)
        detectors[name] = batching.Detector(network, raw=selected.raw)
        if len(names) > 1:
            seconds[name] = _seconds(detectors[name], resizer, expected)
    best = min(seconds, key=seconds.get) if seconds else selected.precision
    if seconds:
        times = ", ".join(f"{name} {time:.3f} s" for name, time in seconds.items())
        print(f"precision=auto: {times} per image on this machine; exporting {best}")
    return detectors[best], selected._replace(precision=best)


def _seconds(detector, resizer, expected):
    """Return the median time for one image."""
    image = expected.inputs.image if expected else verification.drawn_picture(480, 640)
    pixels, true_shape = resizer(tf.constant(image)[tf.newaxis])
    times = []
    for _ in range(_TIMED_RUNS + 1):
        start = time.perf_counter()
        outputs = detector(pixels, true_shape[tf.newaxis])
        _ = {name: value.numpy() for name, value in outputs.items()}
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])  # the first call plans the graph


def verify(export, served_model, folder, frozen_graph=None):
    """Compare the written files with the checkpoint's model.

    Args:
        export: from `restore`.
        served_model: from `served`; without `expected` nothing is done.
        folder: of the SavedModel.
        frozen_graph: path of a frozen graph that was written too, or None.

    Returns:
        The result of the comparison, a dict for model_info.json.

    Raises:
        ExportError: they differ, or the files cannot be run.
    """
    module, expected, description = served_model
    if expected is None:
        return {"verified": False}
    signatures = verification.run_export(folder, expected.inputs, frozen_graph)
    outputs, tolerance, report = expected.outputs, verification.FLOAT32, {}
    if description["precision"] == precision.BFLOAT16:
        own = verification.run_detector(module.detector, export.resizer, expected.inputs.image)
        report["bfloat16_beside_float32"] = verification.precision_effect(own, outputs)
        print(f"bfloat16 compared with float32: {report['bfloat16_beside_float32']}")
        outputs, tolerance = own, verification.BFLOAT16
    verification.check_outputs(signatures, outputs, tolerance, allow_more=bool(export.ids))
    return {"verified": True, "tolerance": tolerance._asdict()} | report


# The smallest normal number of float32 and bfloat16. Added to anything that matters (above 1e-30)
# it changes nothing.
_LEAST = np.finfo(np.float32).tiny


def fold_norms(network) -> int:
    """Fold the batch norms of a network's convolutions in place; it can't be trained any more.

    `conv(x, w) * s + b = conv(x, w * s) + b`: exact except for rounding. `ConvBlock` folds on the
    fly, in every call; with the weights folded only a convolution and an addition remain, which
    TensorFlow fuses into one operation. TensorFlow fuses no convolution without a bias, and removes
    a bias of zeros before: biases of zeros become `_LEAST`, the smallest number not taken for zero.

    Group norms, which depend on the features, and norms after a dense layer's activation stay.

    Returns:
        The number of folded norms.
    """
    layers = list(network._flatten_layers(include_self=False))
    blocks = [
        layer
        for layer in layers
        if isinstance(layer, ConvBlock) and layer.norm is not None and layer.norm.kind != "group"
    ]
    for block in blocks:
        _fold(block)
    for layer in layers:
        if isinstance(layer, ConvBlock | DenseBlock) and layer.bias is not None:
            _keep_alive(layer.bias)
    return len(blocks)


def _keep_alive(bias):
    if not np.any(bias):
        bias.assign(np.full(bias.shape, _LEAST))


def _fold(block):
    scale, shift = block.folded_norm()
    kernel = block.pointwise_kernel if isinstance(block, SeparableConvBlock) else block.kernel
    # A gain multiplies the kernel, and inside `folded_norm` the bias; the norm comes after it.
    kernel.assign(tf.convert_to_tensor(kernel) * scale * block.gain)
    # A variable that the network has already: it is saved with it.
    block.moving_mean.assign(shift)
    block.bias = block.moving_mean
    block.gain = 1.0
    block.norm = None
