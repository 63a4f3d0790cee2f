from object_detection.core.standard_fields import (
    BoxListFields,
    DetectionResultFields,
    InputDataFields,
    TfExampleFields,
)


def test_names_are_those_that_clients_of_tfod_write_out():
    assert DetectionResultFields.detection_boxes == "detection_boxes"
    assert DetectionResultFields.num_detections == "num_detections"
    assert DetectionResultFields.detection_offsets == "detection_temporal_offsets"
    assert InputDataFields.groundtruth_instance_masks == "groundtruth_instance_masks"
    assert InputDataFields.true_image_shape == "true_image_shape"
    assert BoxListFields.is_crowd == "is_crowd"
    assert TfExampleFields.object_bbox_ymin == "image/object/bbox/ymin"


def test_no_two_fields_share_a_name():
    for fields in (InputDataFields, DetectionResultFields, BoxListFields, TfExampleFields):
        names = [value for key, value in vars(fields).items() if not key.startswith("_")]
        assert len(names) == len(set(names)) > 15
