"""One step of a small detector on a batch of two images, shared by one, two or two remote devices.

`python detector_step.py one|mirrored|worker [per_replica]` prints losses, the gradient's norm and a
checksum of every weight after the step.
"""

import sys

import numpy as np
import tensorflow as tf

# Minibatches so large that nothing is sampled away; batch norms are frozen as they stand.
OVERRIDES = """
faster_rcnn {
  first_stage_minibatch_size: 100000
  first_stage_positive_balance_fraction: 1.0
  second_stage_batch_size: 23
  second_stage_balance_fraction: 1.0
  add_groundtruth_to_proposals: true
  second_stage_box_predictor { mask_rcnn_box_predictor { mask_loss_per_replica: %s } }
}
"""


def main(how, *, per_replica=False):
    """Makes the step and prints what came of it."""
    if how == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)
    from object_detection.training import distribution

    strategy = {
        "one": tf.distribute.get_strategy,
        "mirrored": lambda: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]),
        "worker": lambda: distribution.choose_strategy(num_workers=2),
    }[how]()
    network, optimizer, batches = _parts(strategy, per_replica)
    from object_detection.training import train_step

    step = train_step.build_train_step(network, optimizer, train_step.StepSettings(), strategy)
    result = step(_iterator(strategy, batches), tf.constant(0, tf.int64))
    for name, value in sorted(result.losses.items()):
        print("RESULT", name, float(value))
    print("RESULT gradient_norm", float(result.gradient_norm))
    for path, weight in optimizer.weights.items():
        print("RESULT", path, float(np.linalg.norm(weight.numpy())))


def _parts(strategy, per_replica):
    import tiny_models

    from object_detection.builders.optimizer_builder import Momentum, OptimizerPlan
    from object_detection.checkpoints.variables import path_of
    from object_detection.structures.batch import Batch
    from object_detection.training.optimizer import Optimizer

    with strategy.scope():
        network = tiny_models.network_of(OVERRIDES % str(per_replica).lower())
        weights = {path_of(v): v.value for v in network.trainable_variables}
        plan = OptimizerPlan(Momentum(0.0), lambda step: tf.constant(0.1), None)
        optimizer = Optimizer(plan, weights)
    images = tiny_models.images_of_shapes([(64, 64), (64, 64)])
    # The first image has many objects, the second one alone: their numbers of positives differ.
    boxes = np.array(
        [[[4, 4, 36, 36], [20, 24, 60, 60], [30, 2, 62, 30]], [[10, 10, 40, 40], [0] * 4, [0] * 4]]
    )
    truth = tiny_models.truth_of(boxes, valid=[[True] * 3, [True, False, False]])
    ids = tf.constant([b"a", b"b"])
    return network, optimizer, Batch(images, truth, ids, images.true_shape)


def _iterator(strategy, batch):
    from object_detection.training import distribution

    flat = [part for part in tf.nest.flatten(batch) if part is not None]

    def build(shard_index, num_shards):
        def whole(*parts):
            rest = iter(parts)
            filled = [None if part is None else next(rest) for part in tf.nest.flatten(batch)]
            return tf.nest.pack_sequence_as(batch, filled)

        rows = tf.data.Dataset.from_tensor_slices(tuple(flat)).shard(num_shards, shard_index)
        size = 2 // strategy.num_replicas_in_sync
        return rows.batch(size, drop_remainder=True).map(whole).repeat()

    return distribution.iterate(strategy, build)


if __name__ == "__main__":
    main(sys.argv[1], per_replica="per_replica" in sys.argv)
