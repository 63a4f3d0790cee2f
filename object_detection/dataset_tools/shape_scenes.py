"""Draws scenes of overlapping shapes on photo-like ground, with the visible mask of each shape.

Everything in a scene comes from one random generator: the same seed gives the same scene. Positions
are pixels, x to the right and y down; colors are RGB from 0 to 1.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

LARGEST_SHARE = 0.21  # radius of the largest shape, as a share of the image's side
SIZE_RATIO = 4.0  # largest to smallest radius
LEAST_VISIBLE = 0.35  # share of a shape that later ones must leave to be seen
NEAR = 0.6  # probability that a shape is put near the one before, mostly over a part of it
LEAST_CONTRAST = 0.28  # distance of a shape's color to the ground under it, of at most sqrt(3)
TRIES = 30  # places tried for a shape before the scene goes on without it


class Shape(NamedTuple):
    """A shape in its place."""

    kind: str
    x: float
    y: float
    radius: float  # of the circle around it, in pixels
    angle: float  # radians
    aspect: float  # height to width of a box, 0.6 to 1


class Scene(NamedTuple):
    """A finished picture."""

    pixels: np.ndarray  # [size, size, 3] uint8
    kinds: tuple[str, ...]
    masks: np.ndarray  # [shapes, size, size] bool, what is visible of each; none is empty


def _disc(x, y, _):
    return np.hypot(x, y) - 1.0


def _box(x, y, aspect):
    half = 1.0 / np.hypot(1.0, aspect)  # its corners lie on the unit circle
    return np.maximum(np.abs(x) - half, np.abs(y) - aspect * half)


def _triangle(x, y, _):
    corners = np.pi * (1 / 2 + np.arange(3) * 2 / 3)
    return np.max([np.cos(a) * x + np.sin(a) * y for a in corners], axis=0) - 0.5


def _star(x, y, _):
    # Five points: fold the plane into the wedge of half a point, whose edge is one line.
    wedge = np.pi / 5
    angle = np.abs((np.arctan2(y, x) + wedge) % (2 * wedge) - wedge)
    along, across = np.hypot(x, y) * np.cos(angle), np.hypot(x, y) * np.sin(angle)
    inner = 0.45 * np.array([np.cos(wedge), np.sin(wedge)])
    edge = inner - np.array([1.0, 0.0])
    normal = np.array([edge[1], -edge[0]]) / np.hypot(*edge)
    return (along - 1.0) * normal[0] + across * normal[1]


# Kind -> signed distance to its outline, for a shape of radius 1 around the origin.
KINDS = {"disc": _disc, "box": _box, "triangle": _triangle, "star": _star}


def draw(seed, size=256, most=6):
    """One scene.

    Args:
        seed: anything `numpy.random.default_rng` takes.
        size: side of the picture in pixels.
        most: maximum number of shapes, at least 1; a scene has fewer where no space is left.
    """
    rng = np.random.default_rng(seed)
    pixels = _ground(rng, size)
    masks, shapes, least = np.zeros((0, size, size), bool), [], []
    light = rng.uniform(0, 2 * np.pi)
    for _ in range(rng.integers(1, most + 1)):
        shape, distance = _place(rng, size, shapes[-1:], masks, least)
        if shape is None:
            continue
        pixels = _paint(rng, pixels, shape, distance, light)
        inside = distance <= 0
        masks = np.concatenate([masks & ~inside, inside[np.newaxis]])
        shapes.append(shape)
        least.append(LEAST_VISIBLE * np.count_nonzero(inside))
    return Scene(_photographed(rng, pixels), tuple(shape.kind for shape in shapes), masks)


def _place(rng, size, before, masks, least):
    """A shape that hides none of those before too much, and its signed distance in pixels.

    Args:
        rng: the generator.
        size: side of the picture.
        before: list of the shape placed last, or an empty one.
        masks: [n, size, size] what is visible of each shape so far.
        least: [n] pixels of each that have to stay visible.

    Returns:
        The `Shape` and [size, size] distances, or two None where no try found a place.
    """
    for _ in range(TRIES):
        radius = LARGEST_SHARE * size / SIZE_RATIO ** rng.uniform(0, 1)
        inset = 0.3 * radius  # so far the center stays inside: some shapes cross the border
        x, y = rng.uniform(inset, size - inset, 2)
        if before and rng.random() < NEAR:
            angle = rng.uniform(0, 2 * np.pi)
            apart = rng.uniform(0.4, 1.0) * (radius + before[0].radius)
            x = np.clip(before[0].x + apart * np.cos(angle), inset, size - inset)
            y = np.clip(before[0].y + apart * np.sin(angle), inset, size - inset)
        kind = str(rng.choice(list(KINDS)))
        shape = Shape(kind, x, y, radius, rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.0))
        distance = _signed_distance(shape, size)
        left = (masks & (distance > 0)).sum(axis=(1, 2))
        if (distance <= 0).any() and (left >= least).all():
            return shape, distance
    return None, None


def _in_frame_of(shape, size):
    """Pixel centers [size, size] in the shape's own frame, where its radius is 1."""
    centers = np.arange(size) + 0.5
    dx, dy = (centers - shape.x)[np.newaxis], (centers - shape.y)[:, np.newaxis]
    cosine, sine = np.cos(shape.angle), np.sin(shape.angle)
    return (dx * cosine + dy * sine) / shape.radius, (dy * cosine - dx * sine) / shape.radius


def _signed_distance(shape, size):
    x, y = _in_frame_of(shape, size)
    return KINDS[shape.kind](x, y, shape.aspect) * shape.radius


def _noise(rng, size, first, last, fade=0.55):
    """Noise in -1..1 of octaves from 2**first to 2**last cells a side, each `fade` as strong."""
    total = np.zeros((size, size), np.float32)
    for octave in range(first, last + 1):
        cells = 2**octave + 1
        grid = Image.fromarray(rng.normal(0, 1, (cells, cells)).astype(np.float32))
        total += fade ** (octave - first) * np.asarray(grid.resize((size, size), Image.BICUBIC))
    return total / np.abs(total).max()


def _blurred(field, radius):
    """A [h, w] field of 0..1 after a Gaussian blur."""
    image = Image.fromarray(np.uint8(np.clip(field, 0, 1) * 255))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255


def _ground(rng, size):
    """A background: mixed colors, sometimes an edge across, soft blobs, light from one side."""
    tones = rng.uniform(0.15, 0.85, (3, 3)).astype(np.float32)
    mix = 0.5 + 0.5 * _noise(rng, size, 1, 5)[..., np.newaxis]
    pixels = tones[0] * mix + tones[1] * (1 - mix)
    if rng.random() < 0.5:  # as of a table: a straight edge is no object either
        plane = Shape("box", *rng.uniform(0, size, 2), size, rng.uniform(0, 2 * np.pi), 1.0)
        beyond = _in_frame_of(plane, size)[0][..., np.newaxis] > 0
        pixels = np.where(beyond, 0.5 * (pixels + tones[2]), pixels)
    for _ in range(rng.integers(2, 6)):
        blob = Shape("disc", *rng.uniform(0, size, 2), rng.uniform(0.05, 0.25) * size, 0.0, 1.0)
        soft = _blurred(_signed_distance(blob, size) <= 0, 0.04 * size)[..., np.newaxis]
        pixels += rng.uniform(0.2, 0.6) * soft * (rng.uniform(0, 1, 3) - pixels)
    x, y = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 + rng.uniform(0.05, 0.3) * (x * np.cos(angle) + y * np.sin(angle))
    grain = 1 + 0.12 * _noise(rng, size, 4, 7, fade=0.8)
    return (pixels * (light * grain)[..., np.newaxis]).astype(np.float32)


def _color(rng, ground):
    """A color that stands off the ground [n, 3] under the shape."""
    mean = ground.mean(axis=0)
    color = rng.uniform(0.05, 0.95, 3)
    while np.linalg.norm(color - mean) < LEAST_CONTRAST:
        color = rng.uniform(0.05, 0.95, 3)
    return color


def _texture(rng, shape, size):
    """Brightness of the shape's surface around 1: grain, or stripes under grain."""
    surface = 1 + rng.uniform(0.05, 0.2) * _noise(rng, size, 3, 6, fade=0.7)
    if rng.random() < 0.3:
        x, _ = _in_frame_of(shape, size)
        surface *= 1 + 0.15 * np.sin(x * rng.uniform(6, 16))
    return surface


def _paint(rng, pixels, shape, distance, light):
    """The picture with the shape on it: shadow on the ground, shaded surface, soft edge."""
    size = len(pixels)
    color = _color(rng, pixels[distance <= 0])
    reach = 0.12 * shape.radius
    shadow = shape._replace(x=shape.x - reach * np.cos(light), y=shape.y - reach * np.sin(light))
    dark = _blurred(_signed_distance(shadow, size) <= 0, 0.1 * shape.radius)
    pixels = pixels * (1 - 0.45 * dark[..., np.newaxis])
    x, y = _in_frame_of(shape, size)
    towards_light = x * np.cos(light - shape.angle) + y * np.sin(light - shape.angle)
    rim = np.clip(-distance / (0.25 * shape.radius), 0, 1)
    shade = (1 + 0.25 * np.clip(towards_light, -1, 1)) * (0.75 + 0.25 * rim)
    surface = color * (shade * _texture(rng, shape, size))[..., np.newaxis]
    cover = np.clip(0.5 - distance, 0, 1)[..., np.newaxis]
    return pixels * (1 - cover) + surface * cover


def _photographed(rng, pixels):
    """What a camera makes of it: a little blur, exposure, sensor noise, eight bits."""
    exposed = np.clip(pixels * rng.uniform(0.8, 1.15), 0, 1)
    image = Image.fromarray(np.uint8(exposed * 255))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9)))
    noisy = np.asarray(image, np.float32) + rng.normal(0, rng.uniform(1, 5), pixels.shape)
    return np.uint8(np.clip(np.round(noisy), 0, 255))
