"""Loads a parity case: config, a checkpoint with the reference's weights, inputs and outputs.

The `check_` functions below compare one stage each, on inputs of the stage before it that are the
same to 1e-6, so that the first one to fail names the stage that is wrong.
"""

import functools

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from reference_models import PARITY, checkpoint_of, make_weights
from undrawn import undrawn

from object_detection.builders import image_resizer_builder, model_builder
from object_detection.checkpoints.restore import restore
from object_detection.checkpoints.variables import variables_by_path
from object_detection.compat.outputs import named_losses, serving_outputs
from object_detection.modeling.faster_rcnn import fold, trim
from object_detection.ops.boxes import to_normalized
from object_detection.protos import pipeline_pb2
from object_detection.structures.batch import CroppedMasks, GroundTruth, Images, Proposals, Rois


class ParityCase:
    """Network, inputs and expected arrays of one case.

    Args:
        name: folder of the case.
        tmp_path_factory: pytest's, for the checkpoint.
        is_training: as TFOD's model builder had it.
    """

    def __init__(self, name, tmp_path_factory, *, is_training=False):
        self.root = PARITY
        self.case = self.root / name
        self.checkpoint = checkpoint_of(name, tmp_path_factory)
        self._inferences = {}
        self.config = text_format.Parse(
            (self.case / "pipeline.config").read_text(), pipeline_pb2.TrainEvalPipelineConfig()
        )
        self.is_training = is_training
        self.resizer = image_resizer_builder.build(self.config.model.faster_rcnn.image_resizer)

    @functools.cached_property
    def _restored(self):
        with undrawn():
            network = model_builder.build_network(self.config.model, self.is_training)
        return network, restore(network, self.checkpoint)

    @property
    def network(self):
        """The detector with the reference's weights."""
        return self._restored[0]

    @property
    def report(self):
        """What was restored."""
        return self._restored[1]

    def images(self, number):
        """`Images` of the case's image `number`, resized as the config says."""
        with np.load(self.root / "images.npz") as arrays:
            image = arrays[f"image{number}"].astype(np.float32)
        pixels, shape = self.resizer(tf.constant(image))
        return Images(pixels[tf.newaxis], shape[tf.newaxis, :2])

    def inference(self, number):
        """What the network makes of image `number`, with the masks of all classes."""
        if number not in self._inferences:
            images = self.images(number)
            self._inferences[number] = self.network(images, all_masks=self.network.has_masks)
        return self._inferences[number]

    def expected(self, number):
        """{name: array} of image `number`."""
        prefix = f"image{number}/"
        with np.load(self.case / "expected.npz") as arrays:
            return {k.removeprefix(prefix): arrays[k] for k in arrays if k.startswith(prefix)}

    def losses(self):
        """{name: array} of the training pass."""
        with np.load(self.case / "losses.npz") as arrays:
            return dict(arrays)

    def weights(self):
        """{key: array}, what the case's checkpoint holds."""
        return make_weights().weights(str(self.case))

    def keys(self):
        """The keys of the variables in the case's checkpoint."""
        lines = (self.case / "variables.tsv").read_text().splitlines()[1:]
        return {line.split("\t")[0] for line in lines}


def assert_close(got, expected, name, tolerance, rows=None):
    """Compares with a stored tensor, whole or sampled.

    Args:
        got: our tensor.
        expected: {name: array}, the sampled ones under `<name>__sample` and so on.
        name: of the tensor.
        tolerance: relative to the spread of the stored tensor.
        rows: [n] bool, which rows of the first dimension to compare; None for all.
    """
    got = np.asarray(got, np.float64)
    rows = np.ones(len(got), bool) if rows is None else rows
    if name in expected:
        want = expected[name].astype(np.float64)
        spread = max(want.std(), 1e-6)
        assert got.shape == want.shape, (name, got.shape, want.shape)
        got, want = got[rows], want[rows]
    else:
        assert list(got.shape) == expected[f"{name}__shape"].tolist(), name
        spread = expected[f"{name}__stats"][1]
        sampled = np.linspace(0, got.size - 1, 8192).astype(np.int64)
        compared = rows[sampled // (got.size // len(got))]
        got = got.reshape(-1)[sampled][compared]
        want = expected[f"{name}__sample"].astype(np.float64)[compared]
    worst = np.abs(got - want).max() / spread
    assert worst <= tolerance, f"{name}: off by {worst:.2e} of its spread"


def seen_alike(got_normalized, want_normalized, feature_shape, size=14):
    """Bool [n]: whether crops at two sets of boxes [n, 4] see the same part of the map.

    A box that ends on the image's border is read at the map's last pixel or, an ulp further,
    outside it, where crops are zero; so rounding of 1e-7 in a box may change a whole row of
    features. Such rows cannot be compared with numbers from another build of TensorFlow.
    """
    ones = tf.ones([1, *feature_shape, 1])

    def seen(boxes):
        owner = tf.zeros([len(boxes)], tf.int32)
        return tf.image.crop_and_resize(ones, boxes, owner, [size, size]).numpy() > 0

    alike = seen(np.asarray(got_normalized)) == seen(np.asarray(want_normalized))
    return alike.all(axis=(1, 2, 3))


def crops_alike(case, images, levels, boxes_px, want_normalized):
    """`seen_alike` for our boxes [n, 4] in pixels, in all maps of `levels` {level: features}."""
    ours = to_normalized(boxes_px, *images.pixels.shape[1:3])
    size = case.config.model.faster_rcnn.initial_crop_size
    alike = np.ones(len(want_normalized), bool)
    for features in levels.values():
        alike &= seen_alike(ours, want_normalized, features.shape[1:3], size)
    return alike


def check_first_stage(case, number):
    """Preprocessing, features, raw predictions and anchors of the RPN."""
    images, expected = case.images(number), case.expected(number)
    inference = case.inference(number)
    outputs = serving_outputs(inference, images, raw=True)
    features = inference.features

    assert_close(case.network.preprocess(images.pixels), expected, "preprocessed", 1e-6)
    assert images.true_shape.numpy().tolist() == expected["true_image_shapes"][:, :2].tolist()
    for index, level in enumerate(sorted(features.levels)):
        name = f"predict/rpn_features_to_crop_{index}"
        assert_close(features.levels[level], expected, name, 1e-4)
        name = f"predict/rpn_box_predictor_features_{index}"
        assert_close(features.rpn_hidden[index], expected, name, 1e-4)
    for name in ("rpn_box_encodings", "rpn_objectness_predictions_with_background"):
        assert_close(outputs[name], expected, f"predict/{name}", 1e-4)
    assert_close(outputs["anchors"], expected, "predict/anchors", 1e-6)


def check_proposals(case, number):
    """The proposals, row by row: equal scores are ranked as the reference ranks them."""
    images, expected = case.images(number), case.expected(number)
    inference = case.inference(number)

    got = to_normalized(inference.proposals.boxes, *images.pixels.shape[1:3])
    want = expected["predict/proposal_boxes_normalized"]
    np.testing.assert_allclose(got, want, atol=1e-5)
    count = inference.proposals.valid.numpy().sum(1)
    np.testing.assert_array_equal(count, expected["predict/num_proposals"])


def check_second_stage(case, number, *, most_unlike=1):
    """Trunk, deltas and class logits on the reference's own proposals.

    Args:
        most_unlike: how many of them may be left out by `seen_alike`: the reference crops at the
            normalized boxes, and the pixels it stores, which go in here, are rounded from those.
    """
    images, expected = case.images(number), case.expected(number)
    proposals = tf.constant(expected["predict/proposal_boxes"])
    features = case.inference(number).features
    rois = Rois(proposals, tf.ones(proposals.shape[:2], tf.bool))
    shape = tf.shape(images.pixels)[1:3]
    output, trunk = case.network.roi_stage(features.levels, rois, shape)

    want = expected["predict/proposal_boxes_normalized"][0]
    alike = crops_alike(case, images, features.levels, proposals[0], want)
    assert (~alike).sum() <= most_unlike
    for name, got in (
        ("box_classifier_features", trunk[0]),
        ("refined_box_encodings", output.deltas[0]),
        ("class_predictions_with_background", output.class_logits[0]),
    ):
        assert_close(got, expected, f"predict/{name}", 1e-4, rows=alike)


def check_detections(case, number, *, most_unlike=2):
    """Detections, their masks, and the tensors beside them.

    Args:
        most_unlike: how many proposals, and how many detections, may be left out of comparisons
            of their features, by `seen_alike`.
    """
    images, expected = case.images(number), case.expected(number)
    has_masks = case.network.has_masks
    inference = case.inference(number)
    outputs = serving_outputs(inference, images, raw=True)

    want = expected["predict/proposal_boxes_normalized"][0]
    levels = inference.features.levels
    alike = crops_alike(case, images, levels, inference.proposals.boxes[0], want)
    assert (~alike).sum() <= most_unlike
    np.testing.assert_allclose(outputs["final_anchors"][0], want, atol=1e-5)
    for name in ("raw_detection_boxes", "raw_detection_scores"):
        got, want = outputs[name][0], expected[f"post/{name}"][0]
        np.testing.assert_allclose(got[alike], want[alike], atol=1e-4)

    assert outputs["num_detections"].numpy() == expected["post/num_detections"]
    ours, theirs = _matched_detections(outputs, expected, alike)
    for name in ("detection_boxes", "detection_scores", "detection_multiclass_scores"):
        got, want = outputs[name][0].numpy(), expected[f"post/{name}"][0]
        np.testing.assert_allclose(got[ours], want[theirs], atol=1e-4)
    if has_masks:
        _check_masks(case, images, inference, outputs, expected, (ours, theirs), most_unlike)


def _matched_detections(outputs, expected, alike):
    """Rows of our detections and of the reference's that are of the same proposal and class.

    All of them, in the same order, if all proposals see alike. One that does not moves its own
    detections up or down, and may drive another out at the end.
    """
    classes = outputs["detection_classes"][0].numpy() - 1
    anchors = outputs["detection_anchor_indices"][0].numpy()
    got = list(zip(anchors.tolist(), classes.tolist(), strict=True))
    anchors, classes = (
        expected[f"post/{name}"][0].tolist()
        for name in ("detection_anchor_indices", "detection_classes")
    )
    want = list(zip(anchors, classes, strict=True))
    if alike.all():
        assert got == want
        return np.arange(len(got)), np.arange(len(want))
    count = int(expected["post/num_detections"][0])
    theirs = [i for i in range(count) if alike[int(want[i][0])] and want[i] in got[:count]]
    strangers = [pair for pair in want[:count] if alike[int(pair[0])] and pair not in got[:count]]
    assert len(strangers) <= (~alike).sum(), strangers
    return np.array([got.index(want[i]) for i in theirs]), np.array(theirs)


def _check_masks(case, images, inference, outputs, expected, matched, most_unlike):
    ours, theirs = matched
    boxes = tf.gather(inference.detections.boxes[0], ours)
    want = expected["post/detection_boxes"][0][theirs]
    alike = crops_alike(case, images, inference.features.levels, boxes, want)
    assert (~alike).sum() <= most_unlike
    masks, want = outputs["detection_masks"][0].numpy(), expected["post/detection_masks"][0]
    np.testing.assert_allclose(masks[ours[alike]], want[theirs[alike]], atol=1e-3)
    logits = outputs["mask_predictions"]
    if len(ours) == len(masks):
        assert_close(logits, expected, "predict/mask_predictions", 1e-3, rows=alike)
    classes = tf.cast(outputs["detection_classes"][0], tf.int32) - 1
    own = tf.gather(logits, classes, batch_dims=1)
    np.testing.assert_allclose(tf.sigmoid(own), masks, atol=1e-4)


def training_inputs(case):
    """`Images` and `GroundTruth` of the training pass."""
    expected, images = case.losses(), case.images(0)
    scale = tf.cast(tf.tile(images.true_shape, [1, 2]), tf.float32)
    count = len(expected["groundtruth/boxes"])
    masks = expected["groundtruth/masks"]
    return images, GroundTruth(
        boxes=expected["groundtruth/boxes"][np.newaxis] * scale,
        classes=tf.constant(expected["groundtruth/classes"].argmax(1)[np.newaxis] + 1, tf.int32),
        valid=tf.ones([1, count], tf.bool),
        weights=tf.constant(expected["groundtruth/weights"][np.newaxis]),
        crowd=tf.zeros([1, count], tf.bool),
        difficult=tf.zeros([1, count], tf.bool),
        area=tf.zeros([1, count]),
        masks=CroppedMasks(
            tf.constant((masks > 0).astype(np.uint8)[np.newaxis]),
            tf.constant([masks.shape[1:]], tf.int32),
        ),
    )


def check_losses_and_gradients(case, keys_of, monkeypatch):
    """Losses and the norm of each variable's gradient, on the reference's own proposals.

    No gradient flows through proposals. With ours the rounding of a run decides now and then
    whether a box on the border reads the last row of the map (see `seen_alike`), which moves
    gradient norms by 2e-3; so ours are only held near the reference's.

    Args:
        case: built for training.
        keys_of: our paths -> {path: key in the checkpoint}.
    """
    network, expected = case.network, case.losses()
    images, truth = training_inputs(case)
    seed = tf.constant([0, 0])
    boxes = tf.constant(expected["train_predict/proposal_boxes"])
    every = tf.ones(boxes.shape[:2], tf.bool)
    proposals = Proposals(boxes, tf.ones(boxes.shape[:2]), every)
    propose, ours = network.rpn.propose, []

    def take_the_references(*arguments):
        ours.append(propose(*arguments))
        return proposals

    monkeypatch.setattr(network.rpn, "propose", take_the_references)

    variables = variables_by_path(network)
    paths = {key: path for path, key in keys_of(list(variables)).items()}
    keys = expected["grad/keys"].tolist()
    trainable = {id(v) for v in network.trainable_variables}
    assert {id(variables[paths[key]]) for key in keys} == trainable
    with tf.GradientTape() as tape:
        outputs = network(images, truth, training=True, seed=seed)
        losses = network.losses_of(images, truth, outputs, seed=seed)
        total = tf.add_n(list(losses))
    rois = network.roi_stage.sample(ours[0], trim(truth), fold(seed, 1))
    np.testing.assert_allclose(rois.boxes, boxes, atol=1e-2)
    for name, value in named_losses(losses).items():
        if name != "Loss/total_loss":
            np.testing.assert_allclose(value, expected[f"loss/{name}"], rtol=1e-4, err_msg=name)
    gradients = tape.gradient(total, [variables[paths[key]] for key in keys])
    norms = np.array([float(tf.norm(tf.convert_to_tensor(g))) for g in gradients])
    off = np.abs(norms / expected["grad/l2"] - 1.0)
    worst = int(off.argmax())
    assert off[worst] <= 1e-3, f"gradient of {keys[worst]}: norm off by {off[worst]:.2e} of itself"
