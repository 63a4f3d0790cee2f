"""Floor 11: doors for the users of other systems; each translates to a config and our commands."""


def __getattr__(name):
    """Loads `front_doors.COCODemo` on first use, so that importing a door is cheap."""
    if name == "COCODemo":
        from object_detection.training import quiet

        quiet.start_tensorflow()  # its import alone writes a dozen lines to standard error
        from object_detection.integrations.coco_demo import COCODemo

        return COCODemo
    raise AttributeError(f"module 'object_detection.integrations' has no attribute '{name}'")
