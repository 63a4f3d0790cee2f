"""The names of `backbones.BACKBONES`, for what must not wait for TensorFlow to start."""

EXTRACTORS = (
    "faster_rcnn_resnet50_keras",
    "faster_rcnn_resnet101_keras",
    "faster_rcnn_resnet152_keras",
    "faster_rcnn_resnet50_fpn_keras",
    "faster_rcnn_resnet101_fpn_keras",
    "faster_rcnn_resnet152_fpn_keras",
    "faster_rcnn_inception_resnet_v2_keras",
    "faster_rcnn_resnet50",
    "faster_rcnn_resnet101",
    "faster_rcnn_resnet152",
    "faster_rcnn_inception_v2",
    "faster_rcnn_inception_resnet_v2",
    "faster_rcnn_resnet18_fpn_keras",
)
