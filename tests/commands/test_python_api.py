"""Programs written for TFOD's Python functions run as they stand, here on small models."""

import importlib
import inspect
import os
import pathlib
import re
import shutil

import made_records
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tiny_models import PYRAMID

from object_detection import exporter_lib_v2, model_lib_v2
from object_detection.builders import model_builder
from object_detection.checkpoints import variables
from object_detection.errors import ConfigError
from object_detection.protos import pipeline_pb2
from object_detection.utils import config_util, label_map_util
from object_detection.utils import ops as utils_ops
from object_detection.utils import visualization_utils as viz_utils

LABEL_MAP = "".join(f"item {{ id: {k} name: 'kind_{k}' }}\n" for k in (1, 2, 3))
TRAINING = """
model { %s }
train_config { batch_size: 1 num_steps: 2 fine_tune_checkpoint_type: "detection"
  optimizer { momentum_optimizer { learning_rate { constant_learning_rate {
    learning_rate: 1e-4 } } } use_moving_average: false } }
train_input_reader { label_map_path: "%s" load_instance_masks: true mask_type: PNG_MASKS
  tf_record_input_reader { input_path: "%s" } }
eval_config { metrics_set: "coco_detection_metrics" metrics_set: "coco_mask_metrics" }
eval_input_reader { label_map_path: "%s" shuffle: false load_instance_masks: true
  mask_type: PNG_MASKS tf_record_input_reader { input_path: "%s" } }
"""


# Path, function, and the arguments that TFOD's programs give it by position or by name.
FUNCTIONS = [
    ("builders.model_builder", "build", ["model_config", "is_training", "add_summaries"]),
    (
        "utils.config_util",
        "get_configs_from_pipeline_file",
        ["pipeline_config_path", "config_override"],
    ),
    (
        "utils.config_util",
        "merge_external_params_with_configs",
        ["configs", "hparams", "kwargs_dict"],
    ),
    ("utils.config_util", "create_pipeline_proto_from_configs", ["configs"]),
    ("utils.config_util", "save_pipeline_config", ["pipeline_config", "directory"]),
    ("utils.label_map_util", "load_labelmap", ["path"]),
    ("utils.label_map_util", "get_label_map_dict", ["label_map_path_or_proto", "use_display_name"]),
    (
        "utils.label_map_util",
        "convert_label_map_to_categories",
        ["label_map", "max_num_classes", "use_display_name"],
    ),
    (
        "utils.label_map_util",
        "create_category_index_from_labelmap",
        ["label_map_path", "use_display_name"],
    ),
    ("utils.label_map_util", "create_category_index", ["categories"]),
    (
        "utils.ops",
        "reframe_box_masks_to_image_masks",
        ["box_masks", "boxes", "image_height", "image_width", "resize_method"],
    ),
    (
        "utils.visualization_utils",
        "draw_bounding_box_on_image_array",
        ["image", "ymin", "xmin", "ymax", "xmax", "color", "thickness", "display_str_list"],
    ),
    ("utils.visualization_utils", "draw_mask_on_image_array", ["image", "mask", "color", "alpha"]),
    ("utils.visualization_utils", "save_image_array_as_png", ["image", "output_path"]),
    ("utils.visualization_utils", "encode_image_array_as_png_str", ["image"]),
    *(("utils.dataset_util", f"{kind}_feature", ["value"]) for kind in ("int64", "bytes", "float")),
    *(
        ("utils.dataset_util", f"{kind}_list_feature", ["value"])
        for kind in ("int64", "bytes", "float")
    ),
    ("utils.dataset_util", "recursive_parse_xml_to_dict", ["xml"]),
    ("utils.dataset_util", "read_examples_list", ["path"]),
    (
        "dataset_tools.tf_record_creation_util",
        "open_sharded_output_tfrecords",
        ["exit_stack", "base_path", "num_shards"],
    ),
]


@pytest.mark.parametrize(("path", "function", "arguments"), FUNCTIONS)
def test_functions_stand_where_tfods_do_with_its_arguments(path, function, arguments):
    module = importlib.import_module(f"object_detection.{path}")
    taken = list(inspect.signature(getattr(module, function)).parameters)

    assert taken[: len(arguments)] == arguments


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds pipeline.config, label_map.pbtxt, a.record and an untrained export in my_model/."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "label_map.pbtxt").write_text(LABEL_MAP)
    boxes = [(0.1, 0.1, 0.6, 0.7), (0.3, 0.5, 0.9, 1.0)]
    serialized = [
        made_records.record(boxes, size=(64, 80), masks=True, seed=seed, label=[1, 2])
        for seed in range(3)
    ]
    record = made_records.write(folder / "a.record", serialized)
    labels = str(folder / "label_map.pbtxt")
    (folder / "pipeline.config").write_text(TRAINING % (PYRAMID, labels, record, labels, record))
    config = config_util.create_pipeline_proto_from_configs(
        config_util.get_configs_from_pipeline_file(str(folder / "pipeline.config"))
    )
    tf.keras.utils.set_random_seed(1)
    network = model_builder.build_network(config.model, is_training=False)
    for variable in network.variables:
        # With constant norms the residual blocks of random weights would double their input.
        if variable.path.endswith("conv2/gamma"):
            variable.assign(0.1 * tf.ones_like(variable))
    variables.checkpoint_of(network).write(str(folder / "start" / "ckpt-0"))
    exporter_lib_v2.export_inference_graph(
        input_type="image_tensor",
        pipeline_config=config,
        trained_checkpoint_dir=str(folder / "start"),
        output_directory=str(folder / "my_model"),
    )
    return folder


def test_the_inference_notebook(folder):
    image_np = made_records.picture(64, 80)
    Image.fromarray(image_np).save(folder / "image.png")
    category_index = label_map_util.create_category_index_from_labelmap(
        str(folder / "label_map.pbtxt"), use_display_name=True
    )
    # Old notebooks begin with this line.
    utils_ops.tf = tf.compat.v1
    model = tf.saved_model.load(str(pathlib.Path(folder) / "my_model" / "saved_model"))
    model_fn = model.signatures["serving_default"]

    image = np.array(Image.open(folder / "image.png"))
    input_tensor = tf.convert_to_tensor(image)[tf.newaxis, ...]
    output_dict = model_fn(input_tensor)
    # The notebook has no [0] here; NumPy takes only scalars for numbers since 2.4.
    num_detections = int(output_dict.pop("num_detections")[0])
    output_dict = {k: v[0, :num_detections].numpy() for k, v in output_dict.items()}
    output_dict["num_detections"] = num_detections
    output_dict["detection_classes"] = output_dict["detection_classes"].astype(np.int64)
    masks = utils_ops.reframe_box_masks_to_image_masks(
        output_dict["detection_masks"],
        output_dict["detection_boxes"],
        image.shape[0],
        image.shape[1],
    )
    output_dict["detection_masks_reframed"] = tf.cast(masks > 0.5, tf.uint8).numpy()
    viz_utils.visualize_boxes_and_labels_on_image_array(
        image,
        output_dict["detection_boxes"],
        output_dict["detection_classes"],
        output_dict["detection_scores"],
        category_index,
        instance_masks=output_dict.get("detection_masks_reframed", None),
        use_normalized_coordinates=True,
        min_score_thresh=0.0,
        line_thickness=8,
    )

    assert num_detections > 0
    assert output_dict["detection_masks_reframed"].shape == (num_detections, 64, 80)
    assert set(output_dict["detection_classes"]) <= category_index.keys()
    assert (image != image_np).any()


def test_the_other_inference_notebook(folder):
    """Which builds the model from the config and restores its checkpoint."""
    configs = config_util.get_configs_from_pipeline_file(str(folder / "my_model/pipeline.config"))
    detection_model = model_builder.build(model_config=configs["model"], is_training=False)
    ckpt = tf.compat.v2.train.Checkpoint(model=detection_model)
    ckpt.restore(os.path.join(folder, "my_model/checkpoint", "ckpt-0")).expect_partial()

    @tf.function
    def detect_fn(image):
        image, shapes = detection_model.preprocess(image)
        prediction_dict = detection_model.predict(image, shapes)
        detections = detection_model.postprocess(prediction_dict, shapes)
        return detections, prediction_dict, tf.reshape(shapes, [-1])

    image = made_records.picture(64, 80)[np.newaxis]
    detections, _, shapes = detect_fn(tf.convert_to_tensor(image, dtype=tf.float32))
    served = tf.saved_model.load(str(folder / "my_model/saved_model"))(tf.constant(image))

    assert shapes.numpy().tolist() == [64, 80, 3]
    for name in ("detection_boxes", "detection_scores"):
        np.testing.assert_allclose(detections[name], served[name], atol=1e-4)
    # At a box that ends on the image's border the last bit decides whether the last row is read.
    ends_inside = (served["detection_boxes"][0].numpy()[:, 2:] < 1).all(axis=1)
    assert ends_inside.sum() >= 5
    masks = (result["detection_masks"][0][ends_inside] for result in (detections, served))
    np.testing.assert_allclose(*masks, atol=1e-4)
    label_id_offset = 1
    classes = detections["detection_classes"][0].numpy().astype(int) + label_id_offset
    np.testing.assert_array_equal(classes, served["detection_classes"][0])


def test_the_fine_tuning_notebook(folder):
    """A few images, a loop of one's own."""
    configs = config_util.get_configs_from_pipeline_file(str(folder / "pipeline.config"))
    model_config = configs["model"]
    model_config.faster_rcnn.num_classes = 1
    detection_model = model_builder.build(model_config=model_config, is_training=True)
    parts = detection_model.restore_from_objects(fine_tune_checkpoint_type="detection")
    ckpt = tf.compat.v2.train.Checkpoint(**parts)
    ckpt.restore(str(folder / "my_model/checkpoint/ckpt-0")).expect_partial()
    restored = {variables.path_of(v): v.numpy() for v in detection_model.variables}

    # Run the model once, as the notebook does, so that its variables are there.
    image, shapes = detection_model.preprocess(tf.zeros([1, 64, 80, 3]))
    prediction_dict = detection_model.predict(image, shapes)
    _ = detection_model.postprocess(prediction_dict, shapes)

    images_np = [made_records.picture(64, 80, seed) for seed in (1, 2)]
    gt_boxes = [tf.constant([[0.1, 0.1, 0.6, 0.7]]), tf.constant([[0.3, 0.5, 0.9, 1.0]])]
    gt_classes = [tf.one_hot([0], 1)] * 2
    gt_masks = [tf.ones([1, 64, 80])] * 2
    to_fine_tune = [v for v in detection_model.trainable_variables if "/head/" in v.path]
    optimizer = tf.keras.optimizers.SGD(learning_rate=1e-3, momentum=0.9)

    @tf.function
    def train_step(image_tensors, boxes, classes, masks):
        shapes = tf.constant([[64, 80, 3]] * 2, dtype=tf.int32)
        detection_model.provide_groundtruth(
            groundtruth_boxes_list=boxes,
            groundtruth_classes_list=classes,
            groundtruth_masks_list=masks,
        )
        with tf.GradientTape() as tape:
            preprocessed = [detection_model.preprocess(image)[0] for image in image_tensors]
            preprocessed_images = tf.concat(preprocessed, axis=0)
            prediction_dict = detection_model.predict(preprocessed_images, shapes)
            losses_dict = detection_model.loss(prediction_dict, shapes)
            total_loss = tf.add_n(list(losses_dict.values()))
            gradients = tape.gradient(total_loss, to_fine_tune)
        optimizer.apply_gradients(zip(gradients, to_fine_tune, strict=True))
        return total_loss

    tensors = [tf.constant(image[np.newaxis], dtype=tf.float32) for image in images_np]
    losses = [float(train_step(tensors, gt_boxes, gt_classes, gt_masks)) for _ in range(12)]

    assert np.isfinite(losses).all() and np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    start = tf.train.load_checkpoint(str(folder / "start/ckpt-0"))
    names = {name.split("/.A")[0]: name for name in start.get_variable_to_shape_map()}
    for path, value in restored.items():
        stored = names[f"model/{path.replace('/', '..')}"]
        if path.startswith("backbone/") or path.startswith("roi_stage/box_trunk/"):
            np.testing.assert_array_equal(value, start.get_tensor(stored), err_msg=path)
    moved = {variables.path_of(v) for v in to_fine_tune}
    for variable in detection_model.variables:
        path = variables.path_of(variable)
        if path not in moved:
            np.testing.assert_array_equal(variable, restored[path], err_msg=path)


def test_the_config_calls_of_azoda(folder, tmp_path):
    """As its training package makes them, with its names."""
    configs = config_util.get_configs_from_pipeline_file(str(folder / "pipeline.config"))
    override_dict = {
        "num_classes": 2,
        "train_steps": 500,
        "batch_size": 4,
        "label_map_path": "tf_label_map.pbtxt",
        "train_input_path": "train.record",
        "eval_input_path": "test.record",
        "train_config.fine_tune_checkpoint": "models/checkpoint/ckpt-0",
        "train_config.fine_tune_checkpoint_type": "detection",
        "train_config.fine_tune_checkpoint_version": "V2",
        "model.faster_rcnn.first_stage_nms_iou_threshold": 0.6,
        "model.faster_rcnn.first_stage_max_proposals": 150,
    }
    configs = config_util.merge_external_params_with_configs(
        configs, None, kwargs_dict=override_dict
    )
    pipeline_config = config_util.create_pipeline_proto_from_configs(configs)
    config_util.save_pipeline_config(pipeline_config, str(tmp_path))

    saved = config_util.create_pipeline_proto_from_configs(
        config_util.get_configs_from_pipeline_file(str(tmp_path / "pipeline.config"))
    )
    assert saved == pipeline_config
    assert saved.model.faster_rcnn.num_classes == 2
    assert saved.model.faster_rcnn.first_stage_max_proposals == 150
    assert round(saved.model.faster_rcnn.first_stage_nms_iou_threshold, 6) == 0.6
    assert saved.train_config.num_steps == 500 and saved.train_config.batch_size == 4
    assert saved.train_config.fine_tune_checkpoint == "models/checkpoint/ckpt-0"
    assert saved.train_input_reader.tf_record_input_reader.input_path == ["train.record"]
    assert saved.eval_input_reader[0].tf_record_input_reader.input_path == ["test.record"]
    assert saved.eval_input_reader[0].label_map_path == "tf_label_map.pbtxt"


@pytest.mark.slow
def test_training_and_evaluation_are_functions_too(folder, tmp_path):
    config, run = str(folder / "pipeline.config"), tmp_path / "run"
    override = pipeline_pb2.TrainEvalPipelineConfig()
    override.train_config.batch_size = 2
    assert (
        model_lib_v2.train_loop(
            pipeline_config_path=config,
            model_dir=str(run),
            config_override=override,
            train_steps=2,
            checkpoint_every_n=2,
            learning_rate=1e-5,
        )
        == 0
    )
    code = model_lib_v2.eval_continuously(
        pipeline_config_path=config,
        model_dir=str(run),
        train_steps=2,
        sample_1_of_n_eval_examples=1,
        checkpoint_dir=str(run),
        wait_interval=1,
        timeout=5,
    )

    assert code == 0 and list((run / "eval").rglob("metrics-2.json"))
    saved = config_util.get_configs_from_pipeline_file(str(run))["train_config"]
    assert (saved.batch_size, saved.num_steps) == (2, 2)


@pytest.mark.slow
def test_the_examples_of_the_manual(folder, tmp_path, monkeypatch):
    """Those of docs/python.md, one after another, as it says."""
    page = pathlib.Path(__file__).parents[2] / "docs" / "python.md"
    examples = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    for name in ("pipeline.config", "label_map.pbtxt"):
        shutil.copy(folder / name, tmp_path)
    shutil.copytree(folder / "my_model", tmp_path / "exported")
    Image.fromarray(made_records.picture(64, 80)).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)

    assert len(examples) == 5
    for example in examples:
        file = tmp_path / "example.py"  # tf.function wants its source
        file.write_text(example)
        exec(compile(example, str(file), "exec"), {"__name__": "example"})
    for made in ("drawn.png", "tuned/ckpt-1.index", "changed/pipeline.config", "run/eval"):
        assert (tmp_path / made).exists()
    assert (tmp_path / "exported_again/saved_model").is_dir()
    assert len(list(tmp_path.glob("my.record-0000?-of-00002"))) == 2


def test_faults_are_raised_at_once(folder, tmp_path):
    config = str(folder / "pipeline.config")
    with pytest.raises(ValueError, match="TPUs are not supported"):
        model_lib_v2.train_loop(config, str(tmp_path), use_tpu=True)
    with pytest.raises(ValueError, match="give checkpoint_dir"):
        model_lib_v2.eval_continuously(config)
    with pytest.raises(ConfigError, match="num_clases"):
        model_lib_v2.train_loop(
            config, str(tmp_path), config_override="model { faster_rcnn { num_clases: 1 } }"
        )
    with pytest.raises(ValueError, match="use_side_inputs is not supported"):
        exporter_lib_v2.export_inference_graph("image_tensor", None, "", "", use_side_inputs=True)
