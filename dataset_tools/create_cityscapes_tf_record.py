# The code is in the package: object_detection/dataset_tools/create_cityscapes_tf_record.py
from object_detection.dataset_tools.create_cityscapes_tf_record import __doc__, run  # noqa: F401

if __name__ == "__main__":
    run()
