"""What checkpoints of each origin call the variables of a network: one module an origin."""

from typing import NamedTuple

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"  # ends the keys of object-based checkpoints
NORM_LEAVES = ("gamma", "beta", "moving_mean", "moving_variance")


class VariableSource(NamedTuple):
    """Where the value of one of our variables comes from."""

    name: str  # in the file
    flip_input: bool = False  # the file's network takes blue first
    subtract: str = ""  # the name of a bias that our network lacks: the norm's mean takes it over
    axes: tuple[int, ...] | None = None  # the file's axes in the order of ours; None: the same
