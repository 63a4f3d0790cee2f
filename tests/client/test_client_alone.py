"""The client stands alone: no TensorFlow, no Pillow, nothing of the rest of the package."""

import subprocess
import sys

CODE = """
import sys
import object_detection.client
import object_detection.client.grpc_client
heavy = {"tensorflow", "keras", "PIL", "grpc", "pycocotools", "absl"} & set(sys.modules)
assert not heavy, heavy
ours = {name for name in sys.modules if name.startswith("object_detection.")}
assert all(name.startswith("object_detection.client") for name in ours), ours
"""


def test_what_importing_it_brings():
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=60)
