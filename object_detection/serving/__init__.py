"""A server of detection models over HTTP and gRPC; the command is `object_detection/serve.py`."""
