"""The tour's pictures, one function each: `Inside` -> a PIL image."""

import numpy as np
from PIL import Image, ImageDraw

from object_detection.prediction import heat_maps
from object_detection.structures import drawing
from object_detection.structures.masks import paste_mask

GAP, MARGIN = 12, 6  # pixels between panels, and around them
PAPER, INK = "#ffffff", "#202124"
LINE = 2  # pixels


class Panel:
    """Picture to draw on in the coordinates of the image that it shows.

    Args:
        image: uint8 [h, w, 3].
        width: of the panel in pixels; the image is resized to it.
        smooth: bilinear; otherwise each pixel becomes a block.
    """

    def __init__(self, image, width, *, smooth=True):
        self.scale = width / image.shape[1]
        size = width, max(1, round(image.shape[0] * self.scale))
        how = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
        self.picture = Image.fromarray(image).resize(size, how)
        self._pen = ImageDraw.Draw(self.picture)

    def boxes(self, boxes, colors, thickness=LINE):
        """Draw boxes [n, 4], the first on top; `colors`: one for all, or n."""
        colors = [colors] * len(boxes) if isinstance(colors, str) else colors
        for box, color in reversed(list(zip(boxes, colors, strict=True))):
            top, left, bottom, right = (float(side) * self.scale for side in box)
            corners = [left, top, max(right, left), max(bottom, top)]
            self._pen.rectangle(corners, outline=color, width=thickness)
        return self

    def points(self, points, color, radius=3):
        """Draw discs with a dark rim at points [n, (y, x)]; single pixels if `radius` is 0."""
        for y, x in np.asarray(points).reshape(-1, 2) * self.scale:
            corners = [x - radius, y - radius, x + radius, y + radius]
            if radius:
                self._pen.ellipse(corners, fill=color, outline=INK)
            else:
                self._pen.point([x, y], fill=color)
        return self

    def arrows(self, starts, ends, color):
        """Draw lines from points [n, (y, x)] to others, with a disc at each end."""
        for (y, x), (v, u) in zip(starts, ends, strict=True):
            line = [x * self.scale, y * self.scale, u * self.scale, v * self.scale]
            self._pen.line(line, fill=color, width=LINE)
        return self.points(ends, color)

    def texts(self, boxes, texts, colors):
        """Write a text in the top left corner of each box, on its color."""
        font = drawing.font_of(14)
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
    """Arrange panels of one width in rows, each under its title; return a PIL image."""
    font = drawing.font_of(16)
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
    for index, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        row, column = divmod(index, columns)
        left, top = MARGIN + column * (width + GAP), MARGIN + row * (height + strip + GAP)
        pen.text((left, top + 3), title, fill=INK, font=font)
        paper.paste(picture, (left, top + strip))
    return paper


def fade(image):
    """Return an image [h, w, 3] in pale gray, on which colored lines stand out."""
    gray = image.astype(np.float32) @ np.float32([0.299, 0.587, 0.114])
    return np.uint8(np.repeat((0.55 * gray + 60)[..., np.newaxis], 3, axis=2))


def heat_colors(values, low=None, high=None):
    """Color values [h, w] as uint8 [h, w, 3], blue for `low` (default: minimum) to red."""
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    return heat_maps.colored((values - low) / max(high - low, 1e-12))


def channel_strength(features):
    """Return [h, w] of features [h, w, C]: the root of the mean square over the channels."""
    return np.sqrt(np.mean(np.square(features.astype(np.float32)), axis=-1))


def overlay(image, colors, share=0.6):
    """Lay colors [h', w', 3] over an image [h, w, 3], each pixel as a block."""
    size = image.shape[1], image.shape[0]
    blocks = np.asarray(Image.fromarray(colors).resize(size, Image.Resampling.NEAREST), np.float32)
    return np.uint8(np.rint(share * blocks + (1 - share) * image))


WIDE, NARROW = 470, 310  # pixels of a panel, two or three in a row
BEFORE, AFTER, FAINT = "#4fc3f7", "#ffee58", "#9e9e9e"
LEVEL_COLORS = ("#4fc3f7", "#aed581", "#ffee58", "#ffa726", "#f06292", "#ba68c8", "#ffffff")
FEW = 3  # anchors per level to show with their deltas
MANY, SOME = 40, 10  # proposals to show, of all levels and of each
SURE = 0.5  # minimum score of the detections to show


def photograph(inside, names):
    """Draw the input of the network and its annotations."""
    boxes, classes = inside.truth
    colors = [drawing.color_of(each) for each in classes]
    truth = Panel(inside.image, WIDE).boxes(boxes, colors)
    truth.texts(boxes, [names.get(int(each), str(each)) for each in classes], colors)
    title = f"{inside.image.shape[1]} x {inside.image.shape[0]} pixels"
    if not len(boxes):
        return sheet([Panel(inside.image, WIDE)], [title], 1)
    return sheet([Panel(inside.image, WIDE), truth], [title, "annotations"], 2)


def backbone(inside, names):
    """Draw the strength of each stage of the backbone by position."""
    return _maps(inside.stages, "C")


def pyramid(inside, names):
    """Draw the strength of each level of the pyramid by position."""
    return _maps(inside.levels, "P")


def _maps(maps, letter):
    panels = [
        Panel(heat_colors(channel_strength(features)), NARROW, smooth=False)
        for features in maps.values()
    ]
    titles = [
        f"{letter}{level}: {'x'.join(str(side) for side in features.shape)}"
        for level, features in maps.items()
    ]
    return sheet(panels, titles, 3)


def anchors(inside, names):
    """Draw the cells of each level, and the anchors of the cell nearest to the center."""
    faded = fade(inside.image)
    middle = np.array(faded.shape[:2]) / 2
    panels, titles = [], []
    for color, (level, boxes), each in zip(
        LEVEL_COLORS,
        inside.of_level(inside.proposed.anchors).items(),
        inside.anchors_per_cell,
        strict=False,
    ):
        height, width = inside.levels[level].shape[:2]
        stride = 2**level
        grid = np.stack(np.meshgrid(range(height), range(width), indexing="ij"), -1)
        centers = grid.reshape(-1, 2) * stride + stride / 2
        nearest = int(np.argmin(np.square(centers - middle).sum(1)))
        panel = Panel(faded, NARROW).points(centers, color, radius=0 if level < 4 else 1.5)
        panels.append(panel.boxes(boxes[nearest * each : (nearest + 1) * each], color))
        titles.append(f"P{level}: {height} x {width} cells, {len(boxes)} anchors")
    return sheet(panels, titles, 3)


def scores(inside, names):
    """Draw the score of the best anchor at each cell of every level."""
    panels, titles = [], []
    for (level, values), each in zip(
        inside.of_level(inside.proposed.scores).items(), inside.anchors_per_cell, strict=True
    ):
        height, width = inside.levels[level].shape[:2]
        best = values.reshape(height, width, each).max(-1)
        image = inside.image
        covered = np.zeros((height * 2**level, width * 2**level, 3), np.uint8)
        rows, columns = (min(a, b) for a, b in zip(covered.shape, image.shape[:2], strict=False))
        covered[:rows, :columns] = fade(image)[:rows, :columns]
        panel = Panel(overlay(covered, heat_colors(best, 0, 1))[:rows, :columns], NARROW)
        panels.append(panel)
        titles.append(f"P{level}: best {values.max():.3f}, {np.sum(values > 0.5)} above 0.5")
    return sheet(panels, titles, 3)


def deltas(inside, names):
    """Draw the best anchors of every level, and where their deltas move them."""
    faded = fade(inside.image)
    proposed = inside.proposed
    panels, titles = [], []
    anchors, moved = inside.of_level(proposed.anchors), inside.of_level(proposed.boxes)
    for level, values in inside.of_level(proposed.scores).items():
        best = np.argsort(-values, kind="stable")[:FEW]
        start, end = anchors[level][best], moved[level][best]
        panel = Panel(faded, NARROW).boxes(start, BEFORE).boxes(end, AFTER)
        panels.append(panel.arrows(_centers(start), _centers(end), "#ffffff"))
        titles.append(f"P{level}: scores {values[best[-1]]:.2f} to {values[best[0]]:.2f}")
    return sheet(panels, titles, 3)


def _centers(boxes):
    return np.stack([boxes[:, [0, 2]].mean(1), boxes[:, [1, 3]].mean(1)], 1)


def proposals(inside, names):
    """Draw the best boxes before suppression and after it."""
    faded, proposed = fade(inside.image), inside.proposed
    count = min(MANY, len(proposed.kept))
    before = np.argsort(-proposed.scores, kind="stable")[:count]
    panels = [
        Panel(faded, WIDE).boxes(boxes, [_by_score(score) for score in values], 1)
        for boxes, values in (
            (proposed.boxes[before], proposed.scores[before]),
            (proposed.kept[:count], proposed.kept_scores[:count]),
        )
    ]
    titles = [
        f"before: the best {count} of {len(proposed.boxes)}",
        f"after: the best {count} of {len(proposed.kept)}",
    ]
    return sheet(panels, titles, 2)


def _by_score(score):
    """Return yellow for scores above 0.5, green above 0.1, violet otherwise."""
    return AFTER if score > SURE else "#26a69a" if score > 0.1 else "#9575cd"


def levels(inside, names):
    """Draw the proposals by the level that they are cropped from."""
    faded, proposed = fade(inside.image), inside.proposed
    panels, titles = [], []
    for color, level in zip(LEVEL_COLORS, inside.levels, strict=False):
        own = proposed.kept[proposed.kept_levels == level]
        panels.append(Panel(faded, NARROW).boxes(own[:SOME], color))
        sides = np.sqrt((own[:, 2] - own[:, 0]) * (own[:, 3] - own[:, 1]))
        range_ = f", sides {sides.min():.0f} to {sides.max():.0f}" if len(own) else ""
        titles.append(f"P{level}: {len(own)} proposals{range_}")
    return sheet(panels, titles, 3)


def roi_align(inside, names):
    """Draw a box to crop, where its map is read, and the crop."""
    crops = inside.crops
    on_image = Panel(inside.image, NARROW).boxes([crops.box], AFTER)
    on_image.points(crops.points, AFTER, radius=2)
    strength = channel_strength(inside.levels[crops.level])
    on_map = Panel(heat_colors(strength), NARROW, smooth=False)
    on_map.points(crops.readings + 0.5, "#ffffff", radius=2)  # a block's center is its reading
    own = channel_strength(crops.features)
    low, high = float(strength.min()), float(strength.max())
    crop = Panel(heat_colors(own, low, high), on_map.picture.height, smooth=False)
    crop.picture = _centered(crop.picture, on_map.picture.size)
    height, width = strength.shape
    side = len(own)
    titles = ["the best detection", f"on P{crops.level}: {height} x {width} cells"]
    return sheet([on_image, on_map, crop], [*titles, f"its crop: {side} x {side}"], 3)


def _centered(picture, size):
    whole = Image.new("RGB", size, PAPER)
    whole.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
    return whole


def box_head(inside, names):
    """Draw the proposals of the detections, and the detections."""
    heads = inside.heads
    sure = heads.scores >= SURE
    colors = [drawing.color_of(each) for each in heads.classes[sure]]
    start = inside.proposed.kept[heads.proposal[sure]]
    faded = fade(inside.image)
    before = Panel(faded, WIDE).boxes(start, colors)
    labels = [f"{inside.proposed.kept_scores[row]:.2f}" for row in heads.proposal[sure]]
    before.texts(start, labels, colors)
    after = Panel(faded, WIDE).boxes(heads.boxes[sure], colors)
    labels = [
        f"{names.get(int(label), label)} {score:.2f}"
        for label, score in zip(heads.classes[sure], heads.scores[sure], strict=True)
    ]
    after.texts(heads.boxes[sure], labels, colors)
    titles = ["proposals and their objectness", "classified, moved and suppressed by class"]
    return sheet([before, after], titles, 2)


def mask_head(inside, names):
    """Draw the small mask of each detection, and all of them in the image."""
    heads = inside.heads
    sure = np.flatnonzero(heads.scores >= SURE)
    height, width = inside.image.shape[:2]
    whole = [paste_mask(heads.masks[k], heads.boxes[k], height, width) > 0.5 for k in sure]
    drawn = drawing.draw_objects(
        inside.image,
        heads.boxes[sure],
        [""] * len(sure),
        [drawing.color_of(heads.classes[k]) for k in sure],
        whole,
        line_thickness=2,
    )
    big = Panel(drawn, NARROW)
    panels, titles = [big], ["in the image, above 0.5"]
    for k in sure[:5]:
        small = Panel(heat_colors(heads.masks[k], 0, 1), big.picture.height, smooth=False)
        small.picture = _centered(small.picture, big.picture.size)
        panels.append(small)
        side = "x".join(str(each) for each in heads.masks[k].shape)
        titles.append(f"{names.get(int(heads.classes[k]), heads.classes[k])}: {side}")
    return sheet(panels, titles, 3 if len(panels) > 4 else 2)


def losses(inside, names):
    """Draw the rois that a training step samples and a mask target; None without annotations."""
    trained = inside.trained
    if trained is None:
        return None
    objects = trained.classes > 0
    faded = fade(inside.image)
    rois = Panel(faded, NARROW).boxes(trained.rois[~objects], FAINT, 1)
    colors = [drawing.color_of(each) for each in trained.classes[objects]]
    rois.boxes(trained.rois[objects], colors, 1)
    panels = [rois]
    titles = [f"{objects.sum()} rois with an object, {(~objects).sum()} without"]
    for values, title in (
        (trained.mask_targets[:1], "mask target of one of them"),
        (trained.mask_probabilities[:1], "output of the mask head"),
    ):
        for one in values:
            small = Panel(heat_colors(one, 0, 1), rois.picture.height, smooth=False)
            small.picture = _centered(small.picture, rois.picture.size)
            panels.append(small)
            titles.append(title)
    return sheet(panels, titles, 3)


ALL = (
    photograph,
    backbone,
    pyramid,
    anchors,
    scores,
    deltas,
    proposals,
    levels,
    roi_align,
    box_head,
    mask_head,
    losses,
)


def write(inside, names, folder):
    """Write every picture as NAME.jpg; return the paths.

    Args:
        inside: `Inside`.
        names: {class: name}.
        folder: created if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for draw in ALL:
        picture = draw(inside, names)
        if picture is not None:
            paths.append(folder / f"{draw.__name__}.jpg")
            picture.save(paths[-1], quality=82, optimize=True)
    return paths
