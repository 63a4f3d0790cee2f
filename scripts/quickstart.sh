#!/usr/bin/env bash
# From nothing to drawn masks: the commands a project of your own would take, one after another.
#
#     make quickstart                        (in the environment .venv)
#     PYTHON=python3 scripts/quickstart.sh   (in one that has the package)
#
# Further arguments go to the training command (--num_train_steps=20 to see the way alone).
# Everything lands in quickstart_run/. A second run goes on where the first one stopped; remove the
# folder to start afresh.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
out=quickstart_run
config=samples/configs/mask_rcnn_resnet18_fpn_shapes.config
started=$SECONDS

step() { printf '\n== %d:%02d  %s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)) "$*"; }

step "1/6 a synthetic data set, as COCO: $out/shapes"
"$python" dataset_tools/make_shapes.py --num_train=480 --output_dir=$out/shapes

step "2/6 its annotations as records, with masks: $out/data"
"$python" dataset_tools/create_coco_tf_record.py --include_masks --num_shards=2 \
    --train_image_dir=$out/shapes/train --train_annotations_file=$out/shapes/train.json \
    --val_image_dir=$out/shapes/val --val_annotations_file=$out/shapes/val.json \
    --output_dir=$out/data

step "3/6 training: $out/model"
"$python" -m object_detection.model_main_tf2 --pipeline_config_path=$config --model_dir=$out/model \
    "$@"

step "4/6 evaluation on the held-out images"
"$python" -m object_detection.model_main_tf2 --pipeline_config_path=$config --model_dir=$out/model \
    --checkpoint_dir=$out/model --run_once

step "5/6 export: $out/exported"
"$python" -m object_detection.exporter_main_v2 --pipeline_config_path=$config \
    --trained_checkpoint_dir=$out/model --output_directory=$out/exported

step "6/6 prediction on the held-out images: $out/predictions"
"$python" -m object_detection.predict --saved_model=$out/exported/saved_model \
    --images="$out/shapes/val/*.jpg" --output=$out/predictions

step "done"
"$python" scripts/print_metrics.py $out/model
echo "pictures with the predicted masks: $out/predictions/*.png"
echo "charts: pip install tensorboard, then tensorboard --logdir=$out/model"
