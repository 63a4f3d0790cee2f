"""A real network, exported and served: its answers are those of the network itself."""

import numpy as np
import pytest
from asking import b64, post
from made_models import file_of
from tiny_models import network_of

from object_detection.export import serving
from object_detection.ops import image as resizers


@pytest.mark.slow
@pytest.mark.parametrize("input_type", ["image_tensor", "encoded_image_string_tensor"])
def test_answers_are_those_of_the_network(start, tmp_path, input_type):
    resize = resizers.KeepAspectRatio(min_dimension=64, max_dimension=96)
    network = network_of(is_training=False)
    module = serving.module_for(input_type)(network, resize)
    serving.save(module, tmp_path / "model")
    image = np.random.default_rng(0).integers(0, 256, [50, 70, 3], np.uint8)
    alone = serving.module_for("image_tensor")(network, resize)(image[np.newaxis])

    with start({"m": tmp_path / "model"}) as server:
        body = {"instances": [b64(file_of(image))] * 3}
        status, message = post(server, "/v1/models/m:predict", body)
        score_response = post(server, "/score?prob=0.0", file_of(image))[1]

    assert status == 200 and len(message["predictions"]) == 3
    count = int(alone["num_detections"][0])
    assert count > 0 and len(score_response) == count
    for row in message["predictions"]:
        for name in ("detection_boxes", "detection_scores", "detection_classes", "detection_masks"):
            np.testing.assert_allclose(
                np.array(row[name])[:count], alone[name][0, :count], atol=1e-4, err_msg=name
            )
    np.testing.assert_allclose(
        [result["mask"] for result in score_response],
        alone["detection_masks"][0, :count],
        atol=1e-4,
    )
