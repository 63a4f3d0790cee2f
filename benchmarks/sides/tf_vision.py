"""TF Vision's side of a comparison; `benchmarks/compare.py` runs it with a Python that has it.

    python tf_vision.py infer HEIGHT WIDTH

TF Vision is `official.vision` of the package tf-models-official. Height and width are multiples of
32, for that is what its configs take.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import models
import tensorflow as tf
import worker
from official.core import exp_factory
from official.vision.configs import maskrcnn  # noqa: F401  (registers the experiment)
from official.vision.serving import detection
from official.vision.tasks import maskrcnn as tasks  # noqa: F401  (registers the task)


def infer(height, width):
    """Runs the exported function of Mask R-CNN on ResNet-50 with a pyramid on one image."""
    experiment = exp_factory.get_exp_config("maskrcnn_resnetfpn_coco")
    task = experiment.task
    task.init_checkpoint = task.annotation_file = None
    task.model.input_size = [height, width, 3]
    task.model.norm_activation.use_sync_bn = False
    # Weights are random: without a threshold there are 100 detections.
    task.model.detection_generator.pre_nms_score_threshold = 0.0
    module = detection.DetectionModule(
        params=experiment,
        batch_size=1,
        input_image_size=[height, width],
        input_type="image_tensor",
    )
    specification = tf.TensorSpec((1, None, None, 3), tf.uint8)
    function = module.inference_from_image_tensors.get_concrete_function(specification)
    image = tf.constant(models.image(height, width))
    worker.serve(lambda: {name: value.numpy() for name, value in function(image).items()})


if __name__ == "__main__":
    {"infer": infer}[sys.argv[1]](*map(int, sys.argv[2:]))
