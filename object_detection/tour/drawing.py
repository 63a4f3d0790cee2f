"""What the tour's pictures are put together from: titled panels, boxes, points and heat maps."""

import numpy as np
from PIL import Image, ImageDraw

from object_detection.prediction import heat_maps
from object_detection.utils import visualization_utils

GAP, MARGIN = 12, 6  # pixels between panels, and around them
PAPER, INK = "#ffffff", "#202124"
LINE = 2  # pixels


class Panel:
    """A picture to draw on in the coordinates of the image that it shows.

    Args:
        image: uint8 [h, w, 3].
        width: pixels of the panel; it is enlarged or reduced to them.
        smooth: bilinear; else each pixel becomes a block.
    """

    def __init__(self, image, width, *, smooth=True):
        self.scale = width / image.shape[1]
        size = width, max(1, round(image.shape[0] * self.scale))
        how = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
        self.picture = Image.fromarray(image).resize(size, how)
        self._pen = ImageDraw.Draw(self.picture)

    def boxes(self, boxes, colors, thickness=LINE):
        """Outlines boxes [n, 4], the first on top; `colors`: one for all, or n."""
        colors = [colors] * len(boxes) if isinstance(colors, str) else colors
        for box, color in reversed(list(zip(boxes, colors, strict=True))):
            top, left, bottom, right = (float(side) * self.scale for side in box)
            corners = [left, top, max(right, left), max(bottom, top)]
            self._pen.rectangle(corners, outline=color, width=thickness)
        return self

    def points(self, points, color, radius=3):
        """Discs with a dark rim at points [n, (y, x)]; single pixels where `radius` is 0."""
        for y, x in np.asarray(points).reshape(-1, 2) * self.scale:
            corners = [x - radius, y - radius, x + radius, y + radius]
            if radius:
                self._pen.ellipse(corners, fill=color, outline=INK)
            else:
                self._pen.point([x, y], fill=color)
        return self

    def arrows(self, starts, ends, color):
        """Lines from points [n, (y, x)] to others, with a disc where each ends."""
        for (y, x), (v, u) in zip(starts, ends, strict=True):
            line = [x * self.scale, y * self.scale, u * self.scale, v * self.scale]
            self._pen.line(line, fill=color, width=LINE)
        return self.points(ends, color)

    def texts(self, boxes, texts, colors):
        """Writes a text inside the top left corner of each box, on its colour."""
        font = visualization_utils.font_of(14)
        for box, text, color in zip(boxes, texts, colors, strict=True):
            left, top = float(box[1]) * self.scale + 3, float(box[0]) * self.scale + 3
            corners = self._pen.textbbox((left + 3, top + 1), text, font=font)
            left -= max(0, corners[2] + 5 - self.picture.width)
            corners = self._pen.textbbox((left + 3, top + 1), text, font=font)
            ground = corners[0] - 3, corners[1] - 2, corners[2] + 3, corners[3] + 2
            self._pen.rectangle(ground, fill=color)
            self._pen.text((left + 3, top + 1), text, fill=INK, font=font)
        return self


def sheet(panels, titles, columns):
    """Panels of one width in rows, each under its title: a PIL image."""
    font = visualization_utils.font_of(16)
    pictures = [panel.picture for panel in panels]
    strip = font.size + 10
    width, height = pictures[0].width, max(each.height for each in pictures)
    rows = -(-len(pictures) // columns)
    paper = Image.new(
        "RGB",
        (
            2 * MARGIN + columns * width + (columns - 1) * GAP,
            2 * MARGIN + rows * (height + strip) + (rows - 1) * GAP,
        ),
        PAPER,
    )
    pen = ImageDraw.Draw(paper)
    for place, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        row, column = divmod(place, columns)
        left, top = MARGIN + column * (width + GAP), MARGIN + row * (height + strip + GAP)
        pen.text((left, top + 3), title, fill=INK, font=font)
        paper.paste(picture, (left, top + strip))
    return paper


def faded(image):
    """An image [h, w, 3] in pale grey, for coloured lines to stand out on."""
    grey = image.astype(np.float32) @ np.float32([0.299, 0.587, 0.114])
    return np.uint8(np.repeat((0.55 * grey + 60)[..., np.newaxis], 3, axis=2))


def heat(values, low=None, high=None):
    """Values [h, w] as colours uint8 [h, w, 3], blue for `low` to red for `high` (theirs)."""
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    return heat_maps.colored((values - low) / max(high - low, 1e-12))


def strength(features):
    """[h, w] of features [h, w, C]: the root of the mean square over the channels."""
    return np.sqrt(np.mean(np.square(features.astype(np.float32)), axis=-1))


def over(image, colors, share=0.6):
    """Colours [h', w', 3] laid over an image [h, w, 3], each pixel of them as a block."""
    size = image.shape[1], image.shape[0]
    blocks = np.asarray(Image.fromarray(colors).resize(size, Image.Resampling.NEAREST), np.float32)
    return np.uint8(np.rint(share * blocks + (1 - share) * image))
