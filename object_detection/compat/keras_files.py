"""Weights of Keras applications: legacy `.h5` files and Keras 3's `.weights.h5`.

Both are given out as `<layer>/<leaf>` in the order of the model's layers, with the leaves that our
layers have: kernel, bias, gamma, beta, moving_mean, moving_variance.
"""

import re

import h5py

_NORM = {
    4: ("gamma", "beta", "moving_mean", "moving_variance"),
    3: ("beta", "moving_mean", "moving_variance"),  # without a scale
}
_CONV = {1: ("kernel",), 2: ("kernel", "bias")}


class KerasWeights:
    """Weights by `<layer>/<leaf>`, read one at a time.

    Attributes:
        shapes: {name: list of int}, in the order of the model's layers, as far as the file tells
            it: convolutions among themselves and norms among themselves.

    Raises:
        ValueError: the file has no weights of layers in it.
        OSError: it is no HDF5 file, or is cut off.
    """

    def __init__(self, path):
        self._path = path
        with h5py.File(path, "r") as file:
            group = file["model_weights"] if "model_weights" in file else file
            if "layer_names" in group.attrs:
                self._places = _legacy_places(group)
            elif "layers" in group:
                self._places = _numbered_places(group["layers"])
            else:
                raise ValueError(f"no layers in it; its top groups: {', '.join(file) or 'none'}")
            self.shapes = {name: list(file[place].shape) for name, place in self._places.items()}

    def read(self, name):
        """The value of a weight, an array."""
        with h5py.File(self._path, "r") as file:
            return file[self._places[name]][()]


def _legacy_places(group):
    """{layer/leaf: place in the file} where layers have names and weights too."""
    places = {}
    for layer in _texts(group.attrs["layer_names"]):
        for weight in _texts(group[layer].attrs["weight_names"]):
            leaf = weight.rsplit("/", 1)[-1].split(":")[0]
            places[f"{layer}/{leaf}"] = f"{group.name}/{layer}/{weight}"
    return places


def _numbered_places(layers):
    """{layer/leaf: place} where layers are numbered by class and weights by their order.

    Newer Keras notes each layer's own name beside it; elsewhere the group's name serves.
    """
    places = {}
    for group in sorted(layers, key=_class_and_number):
        weights = layers[group].get("vars", {})
        leaves = _leaves_of(group, len(weights))
        own_name = weights.attrs.get("name", group) if len(weights) else group
        for number, leaf in enumerate(leaves):
            places[f"{own_name}/{leaf}"] = f"{layers.name}/{group}/vars/{number}"
    return places


def _leaves_of(group, count):
    if group.startswith("batch_normalization"):
        return _NORM.get(count, ())
    return _CONV.get(count, ())


def _class_and_number(group):
    match = re.fullmatch(r"(.*?)(?:_(\d+))?", group)
    return match[1], int(match[2] or 0)


def _texts(values):
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values]
