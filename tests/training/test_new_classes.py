"""`fine_tune_new_classes`: as many classes as the checkpoint has, but others."""

import numpy as np
import pytest
from google.protobuf import text_format
from tiny_models import network_of

from object_detection.checkpoints import restore, variables
from object_detection.protos import train_pb2

HEADS = {
    "roi_stage/head/classes/kernel",
    "roi_stage/head/classes/bias",
    "roi_stage/head/boxes/kernel",
    "roi_stage/head/boxes/bias",
    "masks/head/masks/kernel",
    "masks/head/masks/bias",
}


@pytest.mark.parametrize("anew", [False, True])
def test_only_the_layers_of_the_classes_start_anew(tmp_path, anew):
    stored = network_of()
    for variable in stored.variables:
        variable.assign(np.full(variable.shape, 0.25, np.float32))
    prefix = variables.checkpoint_of(stored).write(str(tmp_path / "ckpt-0"))
    network = network_of()
    before = {path: v.numpy() for path, v in variables.variables_by_path(network).items()}
    text = f"fine_tune_checkpoint_type: 'full' fine_tune_new_classes: {str(anew).lower()}"
    config = text_format.Parse(text, train_pb2.TrainConfig(fine_tune_checkpoint=prefix))
    restore.restore_for_fine_tuning(network, config)
    kept = {
        path
        for path, v in variables.variables_by_path(network).items()
        if (v.numpy() == before[path]).all()
    }
    assert kept == (HEADS if anew else set())
