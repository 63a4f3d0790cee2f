"""Client of a model server: returns detections, needs only NumPy and the standard library.

It does not import TensorFlow, so that a camera, a phone's backend or a notebook can use it. Drawing
needs Pillow, the gRPC protocol `grpcio`; both are imported when they are used.

    from object_detection.client import Client

    for detection in Client("http://127.0.0.1:8501").score("photo.jpg", prob=0.5):
        print(detection.label, detection.score, detection.box, detection.mask().sum())
"""

from object_detection.client.detections import Detection
from object_detection.client.rest import Client
from object_detection.errors import ServerError
from object_detection.structures.masks import paste_mask, unmold_mask
from object_detection.structures.run_lengths import decode as decode_rle

__all__ = [
    "Client",
    "Detection",
    "ServerError",
    "decode_rle",
    "paste_mask",
    "unmold_mask",
]
