"""What an object is made of, as nested tuples that compare: to see whether two were built alike."""

import dataclasses
import functools
import types

import keras
import numpy as np
from google.protobuf.message import Message


class Anything:
    """Stands for what is of no interest: every attribute and every result of it is it itself."""

    def __init__(self, **attributes):
        vars(self).update(attributes)

    def __getattr__(self, name):
        return self

    def __call__(self, *args, **kwargs):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return None

    def __int__(self):
        return 0

    def __iter__(self):
        return iter(())


ANYTHING = Anything()


_PLAIN = (int, float, str, bytes, bool, type(None))


def fingerprint(value, seen=()):
    """Nested tuples of what a value holds, functions by what they close over.

    Raises:
        AssertionError: a function closes over a message: what of it counts can't be seen then.
    """
    if isinstance(value, _PLAIN):
        return value
    if id(value) in seen:
        return "itself"
    below = functools.partial(fingerprint, seen=(*seen, id(value)))
    if isinstance(value, Message | Anything):
        return type(value).__name__
    if isinstance(value, dict):
        return tuple((below(key), below(one)) for key, one in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return (type(value).__name__, *map(below, value))
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, functools.partial):
        return (below(value.func), below(value.args), below(value.keywords))
    if isinstance(value, types.FunctionType):
        return (value.__qualname__, *(below(_not_a_message(value, c)) for c in _cells(value)))
    if isinstance(value, types.MethodType):
        return (value.__func__.__qualname__, below(value.__self__))
    if isinstance(value, keras.initializers.Initializer):
        return (type(value).__name__, below(value.get_config()))
    if dataclasses.is_dataclass(value) or hasattr(value, "__dict__"):
        if isinstance(value, type | types.ModuleType):
            return repr(value)
        return (type(value).__name__, below(vars(value)))
    text = repr(value)
    return type(value).__name__ if " at 0x" in text else text


def _cells(function):
    return [cell.cell_contents for cell in function.__closure__ or ()]


def _not_a_message(function, content):
    assert not isinstance(content, Message), (
        f"{function.__qualname__} of {function.__module__} closes over a {type(content).__name__}; "
        "let it close over the values it needs"
    )
    return content
