"""Every command as a program: `od-predict` is `python -m object_detection.predict`.

`setup.py` makes them from `MODULES`: od- and the last part of the module's name, with dashes.
"""

import runpy

MODULES = (
    *("init", "doctor", "model_main_tf2", "model_main", "evaluate", "browse_data"),
    *("augmentation_sheet", "exporter_main_v2", "export_onnx", "export_tflite", "predict"),
    *("serve", "data_service", "tour"),
    *("integrations.supervisely", "integrations.azoda", "integrations.webcam"),
    *("dataset_tools.make_shapes", "dataset_tools.oid_hierarchical_labels_expansion"),
    *(
        f"dataset_tools.create_{name}_tf_record"
        for name in (
            *("cityscapes", "coco", "csv", "cvat", "instance_folders", "kitti", "labelme", "lvis"),
            *("oid", "pascal", "pet", "supervisely", "via", "voc_masks", "yolo"),
        )
    ),
)


def _program(module):
    """Return a function that runs a module like `python -m`, so that --help is the same."""

    def run():
        from object_detection.cli import runner  # here: setup.py executes this file

        runner.guard_start()  # makes Ctrl-C one line, also during imports
        runpy.run_module(f"object_detection.{module}", run_name="__main__", alter_sys=True)

    return run


globals().update({module.rpartition(".")[2]: _program(module) for module in MODULES})
