"""The one look-up that builders share."""

import pytest

from object_detection.builders.pick import pick
from object_detection.config.errors import ConfigError
from object_detection.protos import image_resizer_pb2

TABLE = {"fixed_shape_resizer": lambda config: config.height, "identity_resizer": lambda config: 0}


def test_the_row_of_the_member_that_is_set_builds_it():
    message = image_resizer_pb2.ImageResizer()
    message.fixed_shape_resizer.height = 7

    assert pick(message, "image_resizer_oneof", TABLE) == 7


def test_a_member_without_a_row_is_refused_with_what_is_supported():
    message = image_resizer_pb2.ImageResizer()
    message.pad_to_multiple_resizer.multiple = 7

    with pytest.raises(
        ConfigError,
        match="ImageResizer.image_resizer_oneof is pad_to_multiple_resizer, which is not "
        "supported; supported: fixed_shape_resizer, identity_resizer",
    ):
        pick(message, "image_resizer_oneof", TABLE)


def test_nothing_set_is_refused():
    with pytest.raises(ConfigError, match="is not set; supported"):
        pick(image_resizer_pb2.ImageResizer(), "image_resizer_oneof", TABLE)
