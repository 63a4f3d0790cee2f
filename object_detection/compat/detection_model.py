"""TFOD's `DetectionModel` face over our network, for programs that call a model by hand.

    detection_model = model_builder.build(config.model, is_training=True)
    detection_model.provide_groundtruth(groundtruth_boxes_list=..., groundtruth_classes_list=...)
    images, shapes = detection_model.preprocess(batch)
    prediction_dict = detection_model.predict(images, shapes)
    losses = detection_model.loss(prediction_dict, shapes)

Names, shapes, units and dtypes of the dictionaries are those of TFOD 2.8. `loss` and `postprocess`
read the tensors of the prediction dict and nothing else, so a program may pass it on as it likes.
"""

from types import SimpleNamespace

import tensorflow as tf

from object_detection.checkpoints import tfod_writer
from object_detection.checkpoints.names.tfod_tf1 import FIRST_STAGE, SECOND_STAGE, tf1_names
from object_detection.checkpoints.variables import variables_by_path
from object_detection.compat import outputs as named
from object_detection.compat.groundtruth_lists import GroundTruthLists
from object_detection.modeling.faster_rcnn import TrainingOutputs, to_detections, trim
from object_detection.structures.batch import BoxOutput, Images, Proposals, Rois, RPNOutput

CHECKPOINT_TYPES = ("classification", "detection", "full")


class DetectionModel(tfod_writer.Node):
    """What TFOD's users call on a built model; `.network` is the Keras model itself.

    It can stand in a `tf.train.Checkpoint(model=...)`: its variables are found under TFOD's names
    and ours, so checkpoints of both are restored.

    Args:
        network: `FasterRCNN`.
        resizer: [h, w, 3] float32 -> (resized image, true shape [2]).
        is_training: whether `predict` samples rois for `loss`.

    Call arguments:
        images: [B, h, w, 3] float in 0..255.

    Returns:
        What `postprocess` gives.
    """

    def __init__(self, network, resizer, *, is_training):
        super().__init__(*tfod_writer.children_of(network))
        self.network = network
        self._resizer = resizer
        self._is_training = is_training
        self._truth = None

    def __call__(self, images):
        preprocessed, shapes = self.preprocess(tf.cast(images, tf.float32))
        return self.postprocess(self.predict(preprocessed, shapes), shapes)

    @property
    def num_classes(self):
        """C, background not counted."""
        return self.network.num_classes

    @property
    def variables(self):
        """All variables of the network."""
        return self.network.variables

    weights = variables

    @property
    def trainable_variables(self):
        """The network's; `.path` tells where each belongs."""
        return self.network.trainable_variables

    @property
    def feature_extractor(self):
        """Has `classification_backbone`, for checkpoints of classifiers."""
        return SimpleNamespace(classification_backbone=tfod_writer.backbone_of(self.network))

    _feature_extractor = feature_extractor

    def preprocess(self, inputs):
        """Resizes a batch and scales it as the network's weights want it.

        Args:
            inputs: [B, h, w, 3] float in 0..255.

        Returns:
            Preprocessed images [B, H, W, 3] and their true shapes [B, 3] int32.
        """
        inputs = tf.cast(inputs, tf.float32)
        if inputs.shape[0] is None:
            kinds = (tf.TensorSpec([None, None, 3], tf.float32), tf.TensorSpec([2], tf.int32))
            pixels, shapes = tf.map_fn(self._resizer, inputs, fn_output_signature=kinds)
        else:
            resized = [self._resizer(image) for image in tf.unstack(inputs)]
            pixels = tf.stack([image for image, _ in resized])
            shapes = tf.stack([shape[:2] for _, shape in resized])
        return self.network.preprocess(pixels), tf.pad(shapes, [[0, 0], [0, 1]], constant_values=3)

    def provide_groundtruth(
        self, groundtruth_boxes_list, groundtruth_classes_list, *further, **lists
    ):
        """Keeps the ground truth for the next `predict` and `loss`.

        Args:
            groundtruth_boxes_list: per image [G, 4] normalized boxes.
            groundtruth_classes_list: per image [G, C] one-hot, without background.
            further, lists: TFOD's further arguments, in its order or by name. Of these
                `groundtruth_masks_list` (per image [G, h, w] of 0 and 1: of the padded image, or of
                the true one in any size) and `groundtruth_weights_list` (per image [G]) are learned
                from; the rest is only kept, see `compat.groundtruth_lists`.
        """
        self._truth = GroundTruthLists.from_call(
            (groundtruth_boxes_list, groundtruth_classes_list, *further), lists
        )

    def groundtruth_lists(self, field):
        """What `provide_groundtruth` was given, by TFOD's name of the field ("boxes", "masks"...).

        Raises:
            RuntimeError: it was not given.
        """
        if self._truth is None:
            raise RuntimeError("there is no ground truth: call provide_groundtruth first")
        return self._truth[field]

    def groundtruth_has_field(self, field):
        """Whether `groundtruth_lists` has this field."""
        return self._truth is not None and field in self._truth

    def predict(self, preprocessed_inputs, true_image_shapes, **side_inputs):
        """TFOD's prediction dict.

        In training, with ground truth, the second stage sees sampled rois; else all proposals.

        Args:
            preprocessed_inputs: [B, H, W, 3] as `preprocess` gives them.
            true_image_shapes: [B, 3] int32.
            side_inputs: without meaning here (they belong to Context R-CNN).
        """
        del side_inputs
        network = self.network
        images = Images(preprocessed_inputs, tf.cast(true_image_shapes[:, :2], tf.int32))
        features = network.extract(images, training=self._is_training, preprocessed=True)
        if self._is_training:
            prediction = self._predict_for_training(features, images)
        else:
            inference = network.detect(features, images, all_masks=network.has_masks)
            prediction = named.raw_outputs(inference, images)
            if network.has_masks:
                prediction |= self._detections(inference.detections, images.true_shape)
                prediction |= named.final_features(inference.final_crops, inference.final_trunk)
        return prediction | named.feature_maps(features)

    def _predict_for_training(self, features, images):
        """The prediction dict on anchors inside the image and on sampled rois, without lists."""
        network, shape = self.network, tf.shape(images.pixels)
        rpn, valid_anchors = network.rpn.place_anchors(features.rpn, shape[1:3], sampling=True)
        rpn = RPNOutput(
            tf.boolean_mask(rpn.objectness, valid_anchors, axis=1),
            tf.boolean_mask(rpn.deltas, valid_anchors, axis=1),
            tf.boolean_mask(rpn.anchors, valid_anchors),
        )
        prediction = named.first_stage_outputs(rpn, shape)
        if network.roi_stage is None:
            return prediction
        proposals = network.rpn.propose(rpn, _all_count(rpn), images.true_shape)
        rois = Rois(proposals.boxes, proposals.valid)
        if self._truth is not None:
            truth = trim(self._truth.to_ground_truth(images.true_shape, shape[1:3]))
            rois = network.roi_stage.sample(proposals, truth, _draw_seed())
        output, trunk = network.roi_stage(
            features.levels, rois, shape[1:3], training=True, seed=_draw_seed()
        )
        prediction |= named.second_stage_outputs(rois, output, trunk, shape)
        if network.has_masks:
            prediction["mask_predictions"] = network.mask_stage.logits_of_all_rois(
                features.levels,
                rois.boxes,
                trunk,
                network.roi_stage.cropper,
                shape[1:3],
                training=True,
            )
        return prediction

    def postprocess(self, prediction_dict, true_image_shapes):
        """Detections by TFOD's names; classes are 0-based here, as in TFOD.

        Of a Mask R-CNN that is not training they come with all tensors of the prediction dict.
        """
        if "detection_boxes" in prediction_dict:
            return {k: v for k, v in prediction_dict.items() if not isinstance(v, list | tuple)}
        network, prediction = self.network, _Prediction(prediction_dict)
        images = prediction.canvas(true_image_shapes)
        if network.roi_stage is None:
            rpn = prediction.rpn()
            proposals = network.rpn.propose(rpn, _all_count(rpn), images.true_shape)
            outputs = self._detections(to_detections(proposals, rpn), images.true_shape)
            del outputs["detection_classes"]  # TFOD's proposals have none
            return outputs
        rois = prediction.rois()
        detections = network.roi_stage.detect(prediction.box_output(), rois, images.true_shape)
        if network.has_masks:
            levels = prediction.levels(network)
            detections = network.mask_stage.predict(levels, detections, network.roi_stage, images)
        outputs = self._detections(detections, images.true_shape)
        if any(network.final_features):
            features = network.features_of_final_boxes(
                prediction.levels(network), detections.boxes, images
            )
            outputs |= named.final_features(*features)
        return outputs

    def _detections(self, detections, true_shape):
        outputs = named.detection_outputs(detections, true_shape)
        return outputs | {"detection_classes": outputs["detection_classes"] - 1.0}

    def loss(self, prediction_dict, true_image_shapes):
        """{TFOD's loss name: scalar}, each times its weight in the config, without regularization.

        Raises:
            RuntimeError: no ground truth was provided.
        """
        if self._truth is None:
            raise RuntimeError("there is no ground truth: call provide_groundtruth before predict")
        network, prediction = self.network, _Prediction(prediction_dict)
        images = prediction.canvas(true_image_shapes)
        shape = tf.shape(images.pixels)[1:3]
        truth, rpn = trim(self._truth.to_ground_truth(images.true_shape, shape)), prediction.rpn()
        outputs = TrainingOutputs(rpn, _all_count(rpn))
        if network.roi_stage is not None:
            sampled = prediction.rois()
            rois = network.roi_stage.with_targets(sampled.boxes, sampled.valid, truth)
            outputs = outputs._replace(rois=rois, boxes=prediction.box_output())
            if network.has_masks:
                logits, rows = network.mask_stage.training_logits(
                    prediction.levels(network),
                    rois,
                    prediction.by_image("box_classifier_features"),
                    network.roi_stage.cropper,
                    tf.shape(images.pixels)[1:3],
                    self._is_training,
                )
                outputs = outputs._replace(mask_logits=logits, mask_rows=rows)
        losses = network.losses_of(images, truth, outputs, seed=_draw_seed())
        return {named.LOSS_NAMES[k]: v for k, v in losses._asdict().items() if v is not None}

    def regularization_losses(self):
        """A list with the one regularization loss."""
        return [self.network.regularization_loss()]

    def updates(self):
        """TFOD's list of operations to run with each step; live norms run theirs by themselves."""
        return []

    def restore_from_objects(self, fine_tune_checkpoint_type="detection"):
        """What to restore, for `tf.train.Checkpoint(**model.restore_from_objects(...))`.

        Args:
            fine_tune_checkpoint_type: "detection" (both feature extractors), "full" (the whole
                model) or "classification" (the backbone, from a classifier's checkpoint).

        Raises:
            ValueError: another type.
        """
        if fine_tune_checkpoint_type == "classification":
            return {"feature_extractor": self.feature_extractor.classification_backbone}
        if fine_tune_checkpoint_type == "detection":
            parts = tfod_writer.children_of(self.network, extractors_only=True)
            return {"model": tfod_writer.Node(*parts)}
        if fine_tune_checkpoint_type == "full":
            return {"model": self}
        raise ValueError(_type_fault(fine_tune_checkpoint_type))

    def restore_map(
        self, fine_tune_checkpoint_type="detection", load_all_detection_checkpoint_vars=False
    ):
        """{name in a TF1 checkpoint: variable}, for `tf.compat.v1.train.Saver` and the like.

        Args:
            fine_tune_checkpoint_type: "detection", or "classification" for slim's checkpoints.
            load_all_detection_checkpoint_vars: the heads too.

        Raises:
            ValueError: another type, or a network that TFOD's TF1 models have not got.
        """
        if fine_tune_checkpoint_type not in CHECKPOINT_TYPES:
            raise ValueError(_type_fault(fine_tune_checkpoint_type))
        variables = {path: v.value for path, v in variables_by_path(self.network).items()}
        by_name = {name: variables[path] for path, name in tf1_names(list(variables)).items()}
        scopes = (f"{FIRST_STAGE}/", f"{SECOND_STAGE}/")
        of_extractors = {name: v for name, v in by_name.items() if name.startswith(scopes)}
        if not of_extractors:
            raise ValueError(
                "restore_map is for TF1 extractors; this model restores its checkpoints with "
                "tf.train.Checkpoint(**model.restore_from_objects(...))"
            )
        if fine_tune_checkpoint_type == "classification":
            return {name.split("/", 1)[1]: v for name, v in of_extractors.items()}
        everything = load_all_detection_checkpoint_vars or fine_tune_checkpoint_type == "full"
        return by_name if everything else of_extractors


class _Prediction:
    """The tensors of a prediction dict as our structures."""

    def __init__(self, tensors):
        self._tensors = tensors

    def canvas(self, true_image_shapes):
        """`Images` of the right shapes; their pixels are not looked at any more."""
        return Images(
            tf.zeros(self._tensors["image_shape"]), tf.cast(true_image_shapes[:, :2], tf.int32)
        )

    def rpn(self):
        """`RPNOutput`, anchors placed."""
        return RPNOutput(
            self._tensors["rpn_objectness_predictions_with_background"],
            self._tensors["rpn_box_encodings"],
            self._tensors["anchors"],
        )

    def rois(self):
        """`Proposals` without scores."""
        boxes = self._tensors["proposal_boxes"]
        valid = tf.sequence_mask(self._tensors["num_proposals"], tf.shape(boxes)[1])
        return Proposals(boxes, tf.zeros(tf.shape(valid)), valid)

    def box_output(self):
        """`BoxOutput` of the rois."""
        return BoxOutput(
            self.by_image("class_predictions_with_background"),
            self.by_image("refined_box_encodings"),
        )

    def by_image(self, name):
        """[B * R, ...] -> [B, R, ...]."""
        tensor, boxes = self._tensors[name], self._tensors["proposal_boxes"]
        count = boxes.shape[1] or -1
        return tf.reshape(tensor, [tf.shape(boxes)[0], count, *tensor.shape[1:]])

    def levels(self, network):
        """{level: [B, h, w, C]}."""
        maps = self._tensors["rpn_features_to_crop"]
        return dict(zip(sorted(network.channels), maps, strict=True))


def _all_count(rpn):
    return tf.ones(tf.shape(rpn.anchors)[:1], tf.bool)


def _draw_seed():
    return tf.random.uniform([2], maxval=tf.int32.max, dtype=tf.int32)


def _type_fault(given):
    return f"fine_tune_checkpoint_type is {given!r}; allowed: {', '.join(CHECKPOINT_TYPES)}"
