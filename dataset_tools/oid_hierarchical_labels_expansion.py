# The code is in the package: object_detection/dataset_tools/oid_hierarchical_labels_expansion.py
from object_detection.dataset_tools.oid_hierarchical_labels_expansion import __doc__, run  # noqa: F401

if __name__ == "__main__":
    run()
