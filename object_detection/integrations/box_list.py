"""What COCODemo found, with the names by which users of maskrcnn-benchmark ask for it."""

import numpy as np


class BoxList:
    """Objects of one image: numpy where maskrcnn-benchmark has torch.

    Args:
        prediction: `Prediction`.
        heat_maps: whether the field `mask` holds probabilities, float32 in 0..1, instead of bool.

    Attributes:
        prediction: the `Prediction`, for what this class has no name for.
        bbox: [n, (xmin, ymin, xmax, ymax)] float32 pixels.
        size: (width, height) of the image.
        mode: "xyxy".
    """

    mode = "xyxy"

    def __init__(self, prediction, heat_maps=False):
        self.prediction, self._heat_maps = prediction, heat_maps
        self.bbox = prediction.boxes[:, [1, 0, 3, 2]]
        self.size = prediction.width, prediction.height

    def __len__(self):
        """How many objects there are."""
        return len(self.prediction)

    def __getitem__(self, chosen):
        """The objects that an index, a slice, numbers or a bool of each choose."""
        chosen = [chosen] if isinstance(chosen, (int, np.integer)) else chosen
        return BoxList(self.prediction.select(chosen), self._heat_maps)

    def fields(self):
        """Names for `get_field`."""
        return ["labels", "scores", *(["mask"] if self.prediction.has_masks else [])]

    def has_field(self, field):
        """Whether `get_field` has it: a model without masks has no `mask`."""
        return field in self.fields()

    def get_field(self, field):
        """`labels` [n] int32, `scores` [n] float32, or `mask` [n, 1, height, width].

        Masks are made when asked for, and large.

        Raises:
            KeyError: another field.
        """
        if not self.has_field(field):
            raise KeyError(f"there is no field {field!r}; there are {', '.join(self.fields())}")
        if field != "mask":
            return self.prediction.classes if field == "labels" else self.prediction.scores
        masks = [self.mask(place) for place in range(len(self))]
        kind = np.float32 if self._heat_maps else bool
        return np.array(masks, kind).reshape(len(self), 1, *self.size[::-1])

    def mask(self, index):
        """The mask of one object, [height, width] as `get_field` has it; None without masks."""
        if self._heat_maps:
            return self.prediction.heat_map(index)
        return self.prediction.full_mask(index)

    def __repr__(self):
        """The form of maskrcnn-benchmark's."""
        width, height = self.size
        return (
            f"BoxList(num_boxes={len(self)}, image_width={width}, image_height={height}, mode=xyxy)"
        )
