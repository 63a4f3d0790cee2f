"""Every command as a program of its own: `od-predict` is `python -m object_detection.predict`.

`setup.py` makes them of `MODULES`: od- and the last part of the module's name, with dashes.
"""

import runpy

MODULES = (
    *("init", "doctor", "model_main_tf2", "model_main", "evaluate", "browse_data"),
    *("augmentation_sheet", "exporter_main_v2", "export_onnx", "export_tflite", "predict"),
    *("serve", "data_service", "tour"),
    *("front_doors.supervisely", "front_doors.azoda", "front_doors.webcam"),
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
    """A function that runs a module as `python -m` does, so that --help lists the same flags."""

    def run():
        from object_detection.cli import runner  # here, as setup.py runs this file on its own

        runner.guard_start()  # from here on Ctrl-C is one line, also during imports
        runpy.run_module(f"object_detection.{module}", run_name="__main__", alter_sys=True)

    return run


globals().update({module.rpartition(".")[2]: _program(module) for module in MODULES})
