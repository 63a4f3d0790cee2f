"""Integrations with other systems; each translates to a config and the commands of this project."""


def __getattr__(name):
    """Load `COCODemo` on first use, so that importing the package is fast."""
    if name == "COCODemo":
        from object_detection.training.tensorflow_start import import_tensorflow_quietly

        import_tensorflow_quietly()  # importing TensorFlow writes a dozen lines to standard error
        from object_detection.integrations.coco_demo import COCODemo

        return COCODemo
    raise AttributeError(f"module 'object_detection.integrations' has no attribute '{name}'")
