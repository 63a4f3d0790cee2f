"""The client imports neither TensorFlow nor Pillow, and of the package only what needs neither."""

import subprocess
import sys

CODE = """
import sys
import object_detection.client
import object_detection.client.grpc_client
heavy = {"tensorflow", "keras", "PIL", "grpc", "pycocotools", "absl"} & set(sys.modules)
assert not heavy, heavy
ours = {name for name in sys.modules if name.startswith("object_detection.")}
allowed = ("object_detection.client", "object_detection.errors", "object_detection.structures")
assert all(name.startswith(allowed) for name in ours), ours
assert "object_detection.structures.batch" not in ours
"""


WITHOUT = """
import sys
sys.modules[{module!r}] = None
try:
    from object_detection.client.grpc_client import GrpcClient
    GrpcClient("127.0.0.1:1")
except ModuleNotFoundError as error:
    print(error)
"""


def test_grpc_names_what_it_needs():
    for module, package in (
        ("google", "protobuf"),
        ("google.protobuf", "protobuf"),
        ("grpc", "grpcio"),
    ):
        code = WITHOUT.format(module=module)
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True
        )
        assert done.stdout.strip() == (
            f"GrpcClient needs grpcio and protobuf, and {package} is not installed: "
            "pip install grpcio protobuf"
        )


def test_what_importing_it_brings():
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=60)
