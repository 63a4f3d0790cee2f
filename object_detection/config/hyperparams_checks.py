"""Hyperparams that say of a layer what its place does not let it be."""

from object_detection.config.findings import Finding, Findings, warnings
from object_detection.protos import hyperparams_pb2

_CONV, _DENSE = hyperparams_pb2.Hyperparams.CONV, hyperparams_pb2.Hyperparams.FC
_USUAL = (hyperparams_pb2.Hyperparams.RELU, hyperparams_pb2.Hyperparams.RELU_6)


def check(look) -> Findings:
    """Findings about all hyperparams of a `Look` at a FasterRcnn message."""
    head = look.child("second_stage_box_predictor").child("mask_rcnn_box_predictor")
    proposals = look.child("first_stage_box_predictor_conv_hyperparams")
    dense = head.child("fc_hyperparams")
    places = (
        (proposals, _CONV),
        (look.child("feature_extractor").child("conv_hyperparams"), _CONV),
        (dense, _DENSE),
        (head.child("conv_hyperparams"), _CONV),
    )
    found = Findings()
    for place, kind in places:
        found = found.and_also(warnings(_operation(place, kind)))
    found = found.and_also(warnings(_activation(proposals, "that of the RPN is ReLU6")))
    return found.and_also(warnings(_activation(dense, "the heads for class and box have none")))


def _operation(place, kind):
    if place.message.HasField("op") and place.message.op != kind:
        name = hyperparams_pb2.Hyperparams.Op.Name
        problem = f"is {name(place.message.op)} but has no effect: these layers are {name(kind)}"
        yield Finding(place.at("op"), problem)


def _activation(place, what_is):
    activation = place.message.activation
    if place.message.HasField("activation") and activation not in _USUAL:
        name = hyperparams_pb2.Hyperparams.Activation.Name(activation)
        yield Finding(place.at("activation"), f"is {name} but has no effect: {what_is}")
