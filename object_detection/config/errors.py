"""The error of a config that cannot be used."""

from object_detection.errors import ObjectDetectionError


class ConfigError(ObjectDetectionError, ValueError):
    """A config that cannot be used. Its text is written for the person who wrote the config."""
