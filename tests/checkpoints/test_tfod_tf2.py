"""Keys in TF2 checkpoints against the variable lists of the reference."""

import pytest
from reference import needs_reference
from variable_lists import built, listed_shapes

from object_detection.checkpoints.names.tfod_tf2 import tfod_keys

LISTS = (
    "h_tf2_resnet101",
    "g_tf2_resnet50_fpn",
    "variable_lists/tf2_mask_resnet101",
    "variable_lists/tf2_mask_resnet152",
    "variable_lists/tf2_resnet101_fpn",
    "variable_lists/tf2_resnet152_fpn",
)


@needs_reference
@pytest.mark.slow
@pytest.mark.parametrize("name", LISTS)
def test_every_variable_of_a_list_has_its_path(name):
    """And none of ours is missing in it."""
    shapes = built(name)
    keys = tfod_keys(list(shapes))
    listed = {k: v for k, v in listed_shapes(name).items() if k.startswith("model/")}

    assert {keys[path]: shape for path, shape in shapes.items()} == listed
