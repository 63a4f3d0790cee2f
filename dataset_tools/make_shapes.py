# The code is in the package: object_detection/dataset_tools/make_shapes.py
from object_detection.dataset_tools.make_shapes import __doc__, run  # noqa: F401

if __name__ == "__main__":
    run()
