"""Times one training step and its peak memory, in a process of its own.

    python benchmarks/train_step.py [--config FILE] [--height 640 --width 640] [--batch 1]
                                    [--steps 5] [--objects 7]
                                    [--precision float32|bfloat16|both] [--gradient_checkpointing]
                                    [--train_layers heads|5+|4+|3+|all]

Without --config it is Mask R-CNN on ResNet-50 C4 with 90 classes, 300 proposals, 64 rois a step
and 33 x 33 masks from four convolutions: the model that is usually compared. The batch is random
pixels with elliptic objects; the optimizer is SGD with momentum. Prints the median of the steps
after two for warming up, and the process' peak memory. With --precision both two models step in
turns, and the ratio of their times is printed.
"""

import argparse
import resource
import statistics
import time

import numpy as np
import tensorflow as tf
from google.protobuf import text_format

from object_detection.builders import model_builder
from object_detection.modeling import recomputation
from object_detection.modeling.precision import PRECISIONS
from object_detection.protos import model_pb2
from object_detection.structures.batch import CroppedMasks, GroundTruth, Images
from object_detection.training import trained_weights

RESNET50_C4_MASKS = """
faster_rcnn {
  number_of_stages: 3
  num_classes: 90
  image_resizer { fixed_shape_resizer { height: 640 width: 640 } }
  feature_extractor { type: "faster_rcnn_resnet50_keras" }
  first_stage_anchor_generator { grid_anchor_generator {
    scales: [0.25, 0.5, 1.0, 2.0] aspect_ratios: [0.5, 1.0, 2.0]
    height_stride: 16 width_stride: 16 } }
  first_stage_box_predictor_conv_hyperparams {
    initializer { truncated_normal_initializer { stddev: 0.01 } } }
  first_stage_max_proposals: 300
  first_stage_minibatch_size: 256
  initial_crop_size: 14 maxpool_kernel_size: 2 maxpool_stride: 2
  second_stage_batch_size: 64
  second_stage_balance_fraction: 0.25
  second_stage_box_predictor { mask_rcnn_box_predictor {
    fc_hyperparams { op: FC initializer { variance_scaling_initializer {
      factor: 1.0 uniform: true mode: FAN_AVG } } }
    conv_hyperparams { initializer { truncated_normal_initializer { stddev: 0.01 } } }
    predict_instance_masks: true
    mask_height: 33 mask_width: 33
    mask_prediction_conv_depth: 0 mask_prediction_num_conv_layers: 4 } }
  second_stage_post_processing {
    batch_non_max_suppression { iou_threshold: 0.6 max_detections_per_class: 100
                                max_total_detections: 100 }
    score_converter: SOFTMAX }
  second_stage_mask_prediction_loss_weight: 4.0
}
"""


def random_batch(batch, height, width, objects, classes, seed=0):
    """`Images` and `GroundTruth` with elliptic masks at image size."""
    generator = np.random.default_rng(seed)
    boxes = np.zeros((batch, objects, 4), np.float32)
    masks = np.zeros((batch, objects, height, width), np.uint8)
    rows, columns = np.mgrid[:height, :width]
    for image in range(batch):
        for k in range(objects):
            cy, cx = generator.uniform(0.2, 0.8, 2) * (height, width)
            ry, rx = generator.uniform(0.05, 0.2, 2) * (height, width)
            boxes[image, k] = cy - ry, cx - rx, cy + ry, cx + rx
            masks[image, k] = ((rows - cy) / ry) ** 2 + ((columns - cx) / rx) ** 2 <= 1
    shape = np.tile([[height, width]], (batch, 1)).astype(np.int32)
    pixels = generator.uniform(0, 255, (batch, height, width, 3)).astype(np.float32)
    truth = GroundTruth(
        boxes=tf.constant(boxes),
        classes=tf.constant(generator.integers(1, classes + 1, (batch, objects)), tf.int32),
        valid=tf.ones([batch, objects], tf.bool),
        weights=tf.ones([batch, objects]),
        crowd=tf.zeros([batch, objects], tf.bool),
        difficult=tf.zeros([batch, objects], tf.bool),
        area=tf.zeros([batch, objects]),
        masks=CroppedMasks(tf.constant(masks), tf.constant(shape)),
    )
    return Images(tf.constant(pixels), tf.constant(shape)), truth


def train_step_of(network, rate=1e-4, momentum=0.9, layers="all"):
    """A compiled SGD step with momentum: (images, truth, seed) -> total loss.

    Args:
        layers: the group of layers that is trained, as in --train_layers.
    """
    variables = list(trained_weights.select(network, stages=layers).values())
    slots = [tf.Variable(tf.zeros_like(v), trainable=False) for v in variables]

    @tf.function(reduce_retracing=True, autograph=False)
    def step(images, truth, seed):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            outputs = network(images, truth, training=True, seed=seed)
            losses = network.losses_of(images, truth, outputs, seed=seed)
            total = tf.add_n([x for x in losses if x is not None])
        for variable, slot, gradient in zip(
            variables, slots, tape.gradient(total, variables), strict=True
        ):
            slot.assign(momentum * slot - rate * tf.convert_to_tensor(gradient))
            variable.assign_add(slot)
        return total

    return step


def tame(network):
    """Makes random residual blocks small: with constant norms they would double their input."""
    for variable in network.variables:
        if variable.path.endswith(("conv3/gamma", "block1/conv2/gamma")):
            variable.assign(0.1 * tf.ones_like(variable))


def main():
    """Builds, steps, prints."""
    options = options_of_command_line()
    names = PRECISIONS if options.precision == "both" else (options.precision,)
    if options.config:
        from object_detection.config import pipeline_file

        config = pipeline_file.load(options.config).model
    else:
        config = text_format.Parse(RESNET50_C4_MASKS, model_pb2.DetectionModel())
    images, truth = random_batch(
        options.batch,
        options.height,
        options.width,
        options.objects,
        config.faster_rcnn.num_classes,
    )
    steps, seconds, cpu = {}, {name: [] for name in names}, {name: [] for name in names}
    for name in names:
        tf.keras.utils.set_random_seed(0)
        network = model_builder.build_network(config, is_training=True, precision=name)
        tame(network)
        if options.gradient_checkpointing:
            recomputation.turn_on(network)
        steps[name] = train_step_of(network, layers=options.train_layers)
    for number in range(options.steps + 2):
        for name, step in steps.items():  # in turns, so that a busy machine slows both
            start, start_cpu = time.perf_counter(), time.process_time()
            loss = float(step(images, truth, tf.constant([0, number])))
            seconds[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - start_cpu)
            print(
                f"{name} step {number}: {seconds[name][-1]:.2f} s, "
                f"{cpu[name][-1]:.2f} s of CPU, loss {loss:.4f}",
                flush=True,
            )
    report(options, seconds, cpu)


def options_of_command_line():
    """The options, see the top."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", help="a pipeline.config; its model is timed")
    parser.add_argument("--height", type=int, default=640)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--objects", type=int, default=7)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument(
        "--precision",
        choices=(*PRECISIONS, "both"),
        default=PRECISIONS[0],
        help="of convolutions and matrix products; both: two models in turns, and their ratio",
    )
    parser.add_argument("--train_layers", choices=trained_weights.TRAINABLE_STAGES, default="all")
    parser.add_argument(
        "--gradient_checkpointing",
        action="store_true",
        help="compute activations again in the backward pass instead of keeping them",
    )
    return parser.parse_args()


def report(options, seconds, cpu):
    """Prints medians, the ratio of two precisions and the peak memory.

    Of CPU time too: on a busy machine it says more.
    """
    medians = {}
    for name, all_of_them in seconds.items():
        timed = all_of_them[2:]
        medians[name] = statistics.median(timed)
        print(
            f"{options.height}x{options.width} batch {options.batch} {name}: median "
            f"{medians[name]:.2f} s a step (min {min(timed):.2f}, max {max(timed):.2f}, "
            f"first {all_of_them[0]:.1f}), of CPU {statistics.median(cpu[name][2:]):.2f} s"
        )
    if len(medians) > 1:
        best = {name: min(all_of_them[2:]) for name, all_of_them in seconds.items()}
        print(
            f"float32 / bfloat16: {medians['float32'] / medians['bfloat16']:.2f} of the medians, "
            f"{best['float32'] / best['bfloat16']:.2f} of the fastest"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB{' of both together' if len(medians) > 1 else ''}")


if __name__ == "__main__":
    main()
