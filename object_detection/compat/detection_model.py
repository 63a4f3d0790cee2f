"""TFOD's `DetectionModel` face over our network, for colabs that fine-tune by hand.

detection_model = model_builder.build(config.model, is_training=True)
detection_model.provide_groundtruth(groundtruth_boxes_list=..., groundtruth_classes_list=...)
images, shapes = detection_model.preprocess(batch)
prediction_dict = detection_model.predict(images, shapes)
losses = detection_model.loss(prediction_dict, shapes)
"""

import tensorflow as tf

from object_detection.compat.outputs import LOSS_NAMES, raw_outputs, serving_outputs
from object_detection.structures import GroundTruth, Images


class DetectionModel:
    """What TFOD's users call on a built model; `.network` is the Keras model itself.

    Args:
        network: `FasterRCNN`.
        resizer: [h, w, 3] float32 -> (resized image, true shape [2]).
        is_training: whether `predict` samples rois for `loss`.
    """

    def __init__(self, network, resizer, *, is_training):
        self.network = network
        self._resizer = resizer
        self._is_training = is_training
        self._truth = None

    @property
    def num_classes(self):
        """C, background not counted."""
        return self.network.num_classes

    @property
    def trainable_variables(self):
        """The network's."""
        return self.network.trainable_variables

    def preprocess(self, inputs):
        """Resizes a batch and subtracts the means.

        Args:
            inputs: [B, h, w, 3] float in 0..255.

        Returns:
            Preprocessed images [B, H, W, 3] and their true shapes [B, 3] int32.
        """
        resized = [self._resizer(image) for image in tf.unstack(tf.cast(inputs, tf.float32))]
        pixels = tf.stack([image for image, _ in resized])
        shapes = tf.stack([tf.concat([shape[:2], [3]], 0) for _, shape in resized])
        return self.network.preprocess(pixels), shapes

    def provide_groundtruth(
        self,
        groundtruth_boxes_list,
        groundtruth_classes_list,
        groundtruth_masks_list=None,
        groundtruth_weights_list=None,
    ):
        """Keeps the ground truth for the next `predict` and `loss`.

        Args:
            groundtruth_boxes_list: per image [G, 4] normalized boxes.
            groundtruth_classes_list: per image [G, C] one-hot, without background.
            groundtruth_masks_list: per image [G, h, w] of 0 and 1.
            groundtruth_weights_list: per image [G].
        """
        self._truth = {
            "boxes": groundtruth_boxes_list,
            "classes": groundtruth_classes_list,
            "masks": groundtruth_masks_list,
            "weights": groundtruth_weights_list,
        }

    def predict(self, preprocessed_inputs, true_image_shapes):
        """TFOD's prediction dict; in training of sampled rois, else of all proposals."""
        images = self._images(preprocessed_inputs, true_image_shapes)
        if not self._is_training:
            return {"inference": self.network(images), "images": images}
        seed = tf.random.uniform([2], maxval=tf.int32.max, dtype=tf.int32)
        truth = self._groundtruth(images)
        outputs = self.network(images, truth, training=True, seed=seed)
        return {"outputs": outputs, "images": images, "truth": truth, "seed": seed}

    def postprocess(self, prediction_dict, true_image_shapes):
        """Detections in TFOD's words; classes are 0-based here, as in TFOD."""
        del true_image_shapes
        outputs = serving_outputs(prediction_dict["inference"], prediction_dict["images"])
        outputs["detection_classes"] -= 1.0
        return outputs

    def raw_predictions(self, prediction_dict):
        """The internal tensors of an inference `predict`, by TFOD's names."""
        return raw_outputs(prediction_dict["inference"], prediction_dict["images"])

    def loss(self, prediction_dict, true_image_shapes):
        """{TFOD's loss name: scalar} of a training `predict`."""
        del true_image_shapes
        losses = self.network.losses_of(
            prediction_dict["images"],
            prediction_dict["truth"],
            prediction_dict["outputs"],
            seed=prediction_dict["seed"],
        )
        return {LOSS_NAMES[k]: v for k, v in losses._asdict().items() if v is not None}

    def regularization_losses(self):
        """A list with the one regularization loss."""
        return [self.network.regularization_loss()]

    def _images(self, preprocessed, true_image_shapes):
        """`Images` whose pixels the network's own preprocessing turns into `preprocessed`."""
        means = -self.network.preprocess(tf.zeros([1, 1, 1, 3]))
        return Images(preprocessed + means, tf.cast(true_image_shapes[:, :2], tf.int32))

    def _groundtruth(self, images):
        if self._truth is None:
            raise ValueError("call provide_groundtruth before predict while training")
        size = tf.cast(images.true_shape, tf.float32)
        scale = tf.tile(size, [1, 2])[:, tf.newaxis]
        counts = tf.stack([tf.shape(b)[0] for b in self._truth["boxes"]])
        valid = tf.sequence_mask(counts)
        one_hot = _pad(self._truth["classes"])
        weights = self._truth["weights"]
        masks = self._truth["masks"]
        shape = tf.shape(valid)
        return GroundTruth(
            boxes=_pad(self._truth["boxes"]) * scale,
            classes=tf.where(valid, tf.argmax(one_hot, -1, output_type=tf.int32) + 1, 0),
            valid=valid,
            weights=tf.cast(valid, tf.float32) if weights is None else _pad(weights),
            crowd=tf.zeros(shape, tf.bool),
            difficult=tf.zeros(shape, tf.bool),
            area=tf.zeros(shape),
            masks=None if masks is None else tf.cast(_pad(masks) > 0, tf.uint8),
            mask_shape=None if masks is None else tf.stack([tf.shape(m)[1:3] for m in masks]),
        )


def _pad(tensors):
    """Stacks tensors of one rank, padded with zeros at the end of each axis."""
    ragged = [tf.convert_to_tensor(t, tf.float32) for t in tensors]
    most = tf.reduce_max(tf.stack([tf.shape(t) for t in ragged]), 0)
    return tf.stack(
        [tf.pad(t, tf.stack([tf.zeros_like(most), most - tf.shape(t)], 1)) for t in ragged]
    )
