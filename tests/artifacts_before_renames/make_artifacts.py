"""Makes the run and the export that tests resume, restore and serve.

It was run once, in a checkout of the commit before the checkpoints package (5ef2282):

    PYTHONPATH=tests python make_artifacts.py FOLDER

Weights that are frozen follow a short pattern, so that 11 million of them compress to nothing.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import made_records
import numpy as np
import tensorflow as tf

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
CONFIG = """
model { faster_rcnn {
  number_of_stages: 3
  num_classes: 2
  image_resizer { fixed_shape_resizer { height: 64 width: 64 } }
  feature_extractor {
    type: "faster_rcnn_resnet18_fpn_keras"
    fpn { min_level: 2 max_level: 5 additional_layer_depth: 8 }
  }
  first_stage_anchor_generator { multiscale_anchor_generator {
    min_level: 2 max_level: 5 anchor_scale: 4 scales_per_octave: 1
    aspect_ratios: [0.5, 1.0, 2.0] } }
  first_stage_box_predictor_conv_hyperparams {
    initializer { random_normal_initializer { stddev: 0.1 } } }
  first_stage_box_predictor_depth: 8
  first_stage_minibatch_size: 32
  first_stage_max_proposals: 20
  fpn_paper_levels: true
  add_groundtruth_to_proposals: true
  first_stage_localization_loss_weight: 2.0
  first_stage_objectness_loss_weight: 1.0
  initial_crop_size: 3 maxpool_kernel_size: 1 maxpool_stride: 1
  second_stage_batch_size: 16
  second_stage_box_predictor { mask_rcnn_box_predictor {
    fc_hyperparams { op: FC initializer { random_normal_initializer { stddev: 0.01 } } }
    conv_hyperparams { initializer { variance_scaling_initializer { } } }
    predict_instance_masks: true
    spatial_mask_branch: true
    mask_crop_size: 5
    mask_height: 10 mask_width: 10
    mask_prediction_conv_depth: 4
  } }
  second_stage_post_processing {
    batch_non_max_suppression {
      iou_threshold: 0.6 max_detections_per_class: 5 max_total_detections: 8 }
    score_converter: SOFTMAX }
} }
train_config {
  batch_size: 2
  num_steps: 4
  optimizer {
    momentum_optimizer {
      learning_rate { manual_step_learning_rate {
        initial_learning_rate: 0.002 schedule { step: 3 learning_rate: 0.004 } } }
      momentum_optimizer_value: 0.9 }
    use_moving_average: true moving_average_decay: 0.9 }
  gradient_clipping_by_norm: 10
  data_augmentation_options { random_horizontal_flip { } }
  freeze_variables: ["^backbone/", "^roi_stage/box_trunk/"]
}
train_input_reader { label_map_path: "labels.pbtxt" load_instance_masks: true mask_type: PNG_MASKS
  tf_record_input_reader { input_path: "train.record" } }
eval_config { metrics_set: "coco_mask_metrics" num_visualizations: 0 use_moving_averages: true }
eval_input_reader { label_map_path: "labels.pbtxt" load_instance_masks: true mask_type: PNG_MASKS
  tf_record_input_reader { input_path: "train.record" } }
"""


def records():
    """Six pictures of two flat boxes each."""
    made = []
    for seed in range(6):
        generator = np.random.default_rng(seed)
        pixels = np.full((64, 64, 3), 40 + 20 * seed, np.uint8)
        boxes = []
        for _ in range(2):
            top, left = generator.integers(2, 36, 2)
            height, width = generator.integers(12, 26, 2)
            pixels[top : top + height, left : left + width] = generator.integers(0, 255, 3)
            boxes.append((top / 64, left / 64, (top + height) / 64, (left + width) / 64))
        made.append(
            made_records.record(
                boxes,
                size=(64, 64),
                masks=True,
                seed=seed,
                encoded=made_records.image_bytes(pixels),
                label=[1, 2],
            )
        )
    return made


def pattern(name, value):
    """Values that repeat after a few numbers, of the size that an initializer gives."""
    if value.dtype != np.float32 or not name.startswith("model/"):
        return value
    if "gamma" in name or "moving_variance" in name:
        return np.full_like(value, 0.1 if "conv2..gamma" in name else 1.0)
    if value.ndim < 2:
        return np.zeros_like(value)
    fan_in = np.float32(np.prod(value.shape[:-1]))
    if name.startswith(("model/backbone", "model/roi_stage..box_trunk")):
        period = np.random.default_rng(0).uniform(-1, 1, 997).astype(np.float32)
        return np.resize(period, value.size).reshape(value.shape) * np.sqrt(1 / fan_in)
    generator = np.random.default_rng(value.size)
    return generator.normal(0, 0.2 / np.sqrt(fan_in), value.shape).astype(np.float32)


def command(*arguments):
    """Runs a command of the package."""
    subprocess.run([sys.executable, "-m", *arguments], check=True)


def train(config, model_dir, steps, *flags):
    """Trains up to a step."""
    command(
        "object_detection.model_main_tf2",
        f"--pipeline_config_path={config}",
        f"--model_dir={model_dir}",
        f"--num_train_steps={steps}",
        "--log_every_n_steps=1",
        *flags,
    )


def entries(prefix):
    """{name: array} of a checkpoint."""
    reader = tf.train.load_checkpoint(str(prefix))
    names = reader.get_variable_to_shape_map()
    return {name: np.asarray(reader.get_tensor(name)) for name in names}


def digest(values):
    """{name: [sum, sum of magnitudes]} of what a run trains."""
    return {
        name.removesuffix(SUFFIX): [float(value.astype(float).sum()), float(abs(value).sum())]
        for name, value in sorted(values.items())
        if value.dtype in (np.float32, np.int64) and value.size and "save_counter" not in name
    }


def losses(folder):
    """{step: {tag: number}} of the event files of a training."""
    found = {}
    for path in sorted(Path(folder).glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.tag.startswith("Loss/"):
                    number = float(tf.make_ndarray(value.tensor))
                    found.setdefault(int(event.step), {})[value.tag] = number
    return found


def main(folder):
    """Makes everything in a folder."""
    folder.mkdir(parents=True)
    made_records.write(folder / "train.record", records())
    (folder / "labels.pbtxt").write_text("item { id: 1 name: 'a' }\nitem { id: 2 name: 'b' }\n")
    (folder / "pipeline.config").write_text(CONFIG)
    os.chdir(folder)
    train("pipeline.config", "start", 1)
    values = {name: pattern(name, v) for name, v in entries("start/ckpt-1").items()}
    tf.raw_ops.SaveV2(
        prefix="weights",
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=[tf.constant(v) for v in values.values()],
    )
    start = 'train_config.fine_tune_checkpoint="weights"'
    kind = 'train_config.fine_tune_checkpoint_type="full"'
    evaluating = ["--eval_every_n_steps=1", "--best_metric=Loss/total_loss"]
    flags = [f"--config_override={start}", f"--config_override={kind}"]
    train("pipeline.config", "run", 2, *flags, *evaluating)
    shutil.rmtree("run/train")
    shutil.copytree("run", "kept")
    shutil.rmtree("kept/eval")
    for path in [*Path("kept").glob("ckpt-1.*"), *Path("kept").glob("ckpt-2.*")]:
        path.unlink()
    command(
        "object_detection.exporter_main_v2",
        "--pipeline_config_path=pipeline.config",
        "--trained_checkpoint_dir=run",
        "--output_directory=export",
    )
    (Path("run") / "pipeline.config").unlink()
    train("pipeline.config", "run", 4, *evaluating)
    last = tf.train.latest_checkpoint("run")
    image = np.frombuffer(bytes(range(256)) * 48, np.uint8).reshape(1, 64, 64, 3)
    outputs = tf.saved_model.load("export/saved_model")(tf.constant(image))
    expected = {
        "resumed_losses": losses("run/train"),
        "resumed_entries": digest(entries(last)),
        "best": json.loads(Path("run/best/best.json").read_text()),
        "outputs": {
            name: digest({name: value.numpy()})[name] for name, value in sorted(outputs.items())
        },
        "scores": outputs["detection_scores"].numpy().tolist(),
        "boxes": outputs["detection_boxes"].numpy().tolist(),
    }
    Path("expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
