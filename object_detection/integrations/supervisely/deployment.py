"""A model served under an inference JSON: our server, with POST /annotate besides."""

from pathlib import Path

from object_detection.integrations.supervisely import devices, infer_settings
from object_detection.integrations.supervisely.annotator import Annotator
from object_detection.integrations.supervisely.pipelines import EXPORT


def run(given):
    """Serves until told to end; the exit code.

    Args:
        given: absl's flags: those of `object_detection.serve`, and `config`.

    Raises:
        SettingsError: what is wrong with the JSON.
    """
    from object_detection import serve

    settings = infer_settings.read(given.config)
    if settings.values["mode"]["name"] == infer_settings.BBOXES:
        raise settings.error(
            "mode.name",
            "is 'bboxes', which looks at the objects of a project: use infer; deploy takes images "
            "alone",
        )
    devices.choose(f"{settings.path}: model.gpu_device", [settings.values["model"]["gpu_device"]])
    annotator = Annotator(settings, given.model)
    exported = Path(given.model) / EXPORT
    if exported.is_dir():
        given.model = str(exported)
    return serve.main(["deploy"], annotate=annotation_by(annotator))


def annotation_by(annotator):
    """The function from pixels to an annotation as Supervisely's JSON has it."""

    def annotate(pixels):
        height, width = pixels.shape[:2]
        found = annotator.look_at(pixels, "sent")
        return {
            "description": "",
            "size": {"height": height, "width": width},
            "tags": [],
            "objects": found.objects,
        }

    return annotate
