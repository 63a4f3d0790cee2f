"""Times each exact rewrite alone: the whole model with all of them, and with all but that one.

    python benchmarks/rewrites.py [--only NAME ...] [--work detect train] [--runs 5]
                                  [--height 600 --width 1024] [--detections 100]

NAME is a field of `object_detection.modeling.rewrites.Rewrites`; without it all are timed. The
model is that of `benchmarks/train_step.py`, Mask R-CNN on ResNet-50 C4; for
`convolution_before_crop` it is the one on Inception-ResNet v2 (stride 8, crops of 17 x 17, no
pool), which alone has such a convolution, for `taps_before_repeat` one with a mask branch of the
papers' form (14 x 14 crops of the map, 28 x 28 masks). `detect` is an image to detections with
masks, `train` the losses of an image and their gradients of all weights. Both forms run in turns in
one process, after one run each to warm up. Of each is printed the median, in seconds and in CPU
seconds (which say more on a busy machine), the ratio of the CPU seconds, and how far the numbers
are apart.
"""

import argparse
import statistics
import time

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from train_step import RESNET50_C4_MASKS, random_batch, tame

from object_detection.builders import model_builder
from object_detection.modeling.rewrites import FAST, Rewrites, use_rewrites
from object_detection.protos import model_pb2

INCEPTION_RESNET = """
faster_rcnn {
  feature_extractor { type: "faster_rcnn_inception_resnet_v2_keras"
                      first_stage_features_stride: 8 }
  first_stage_anchor_generator { grid_anchor_generator { height_stride: 8 width_stride: 8 } }
  first_stage_atrous_rate: 2
  initial_crop_size: 17 maxpool_kernel_size: 1 maxpool_stride: 1
}
"""
REPEATED_CELLS = """
faster_rcnn { second_stage_box_predictor { mask_rcnn_box_predictor {
  spatial_mask_branch: true mask_crop_size: 14 convolve_then_upsample_masks: true
  mask_height: 28 mask_width: 28 mask_prediction_conv_depth: 256 } } }
"""
OVERRIDES = {
    "convolution_before_crop": INCEPTION_RESNET,
    "taps_before_repeat": REPEATED_CELLS,
}


def model_for(rewrite, detections):
    """The network that a rewrite is timed in."""
    config = text_format.Parse(RESNET50_C4_MASKS, model_pb2.DetectionModel())
    text_format.Merge(OVERRIDES.get(rewrite, ""), config)
    processing = config.faster_rcnn.second_stage_post_processing.batch_non_max_suppression
    processing.max_detections_per_class = processing.max_total_detections = detections
    tf.keras.utils.set_random_seed(0)
    network = model_builder.build_network(config, is_training=True)
    tame(network)
    return network


def detection_of(network, images, truth):
    """A graph from pixels to detections."""
    del truth
    detect = tf.function(lambda: network(images).detections, autograph=False)
    return lambda: {name: x.numpy() for name, x in zip("bsm", _parts(detect()), strict=True)}


def _parts(detections):
    return detections.boxes, detections.scores, detections.masks


def gradient_of(network, images, truth):
    """A graph from pixels to losses and the gradients of all weights."""
    variables, seed = [v.value for v in network.trainable_variables], tf.constant([1, 2])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            outputs = network(images, truth, training=True, seed=seed)
            losses = network.losses_of(images, truth, outputs, seed=seed)
            total = tf.add_n([x for x in losses if x is not None])
        gradients = tape.gradient(total, variables)
        norms = [tf.norm(tf.convert_to_tensor(x)) for x in gradients]
        return total, tf.stack(norms)

    return lambda: dict(zip(("loss", "norms"), (x.numpy() for x in step()), strict=True))


WORK = {"detect": detection_of, "train": gradient_of}


def timed(function):
    """(seconds, CPU seconds, result) of a call."""
    start, used = time.perf_counter(), time.process_time()
    result = function()
    return time.perf_counter() - start, time.process_time() - used, result


def compare(rewrite, work, given):
    """Prints the times of a rewrite's two forms."""
    images, truth = random_batch(1, given.height, given.width, 7, 90)
    network = model_for(rewrite, given.detections)
    forms = {"fast": FAST, "plain": FAST._replace(**{rewrite: False})}
    functions, first = {}, {}
    for name, rewrites in forms.items():
        use_rewrites(network, rewrites)
        functions[name] = WORK[work](network, images, truth)
        first[name] = functions[name]()  # traced here, with these rewrites
    times = {name: [] for name in forms}
    for _ in range(given.runs):
        for name, function in functions.items():  # in turns, so that a busy machine slows both
            times[name].append(timed(function)[:2])
    median = {
        name: [statistics.median(x) for x in zip(*rows, strict=True)]
        for name, rows in times.items()
    }
    off = max(
        float(np.max(np.abs(want - first["fast"][name])) / max(np.max(np.abs(want)), 1e-6))
        for name, want in first["plain"].items()
    )
    (fast, fast_cpu), (plain, plain_cpu) = median["fast"], median["plain"]
    print(
        f"{rewrite} {work}: plain {plain:.2f} s ({plain_cpu:.2f} of CPU), fast {fast:.2f} s "
        f"({fast_cpu:.2f} of CPU): {plain_cpu / fast_cpu:.2f} times; numbers differ by "
        f"{off:.0e} of the largest",
        flush=True,
    )


def main():
    """Prints a line for each rewrite and kind of work."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=Rewrites._fields, default=Rewrites._fields)
    parser.add_argument("--work", nargs="+", choices=WORK, default=list(WORK))
    for name, default in (("height", 600), ("width", 1024), ("runs", 5), ("detections", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    for rewrite in given.only:
        for work in given.work:
            if (rewrite, work) != ("stored_mask_targets", "detect"):  # there are none
                compare(rewrite, work, given)


if __name__ == "__main__":
    main()
