"""The error of a config that cannot be used."""


class ConfigError(ValueError):
    """A config that cannot be used. Its text is written for the person who wrote the config."""
