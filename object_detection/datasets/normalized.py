"""Objects of formats that state places as shares of the image's sides, brought to pixels."""

from object_detection.datasets.record import Polygons, Stretched, Union


def in_pixels(image, height, width):
    """The objects of an `AnnotatedImage` with boxes, polygons and areas in pixels.

    Args:
        image: where it is not `normalized`, its objects are given back as they are.
        height: of the image itself, in pixels.
        width: of the image itself, in pixels.
    """
    if not image.normalized:
        return image.objects
    return tuple(_scaled(found, height, width) for found in image.objects)


def _scaled(found, height, width):
    box, area = found.box, found.area
    if box is not None:
        box = (box[0] * height, box[1] * width, box[2] * height, box[3] * width)
    if area is not None:
        area = area * height * width
    return found._replace(box=box, mask=_scaled_mask(found.mask, height, width), area=area)


def _scaled_mask(mask, height, width):
    if isinstance(mask, Union):
        return Union(tuple(_scaled_mask(piece, height, width) for piece in mask.masks))
    if isinstance(mask, Stretched):
        return mask._replace(height=height, width=width)
    if not isinstance(mask, Polygons):
        return mask
    parts, holes = (
        tuple(
            tuple(value * (height if place % 2 else width) for place, value in enumerate(part))
            for part in group
        )
        for group in mask
    )
    return Polygons(parts, holes)
