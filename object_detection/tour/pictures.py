"""The tour's pictures, one function each: `Inside` -> a PIL image."""

import numpy as np
from PIL import Image

from object_detection.structures.masks import paste_mask
from object_detection.tour import drawing
from object_detection.tour.drawing import Panel, sheet
from object_detection.utils import visualization_utils

WIDE, NARROW = 470, 310  # pixels of a panel, two or three in a row
BEFORE, AFTER, FAINT = "#4fc3f7", "#ffee58", "#9e9e9e"
LEVEL_COLORS = ("#4fc3f7", "#aed581", "#ffee58", "#ffa726", "#f06292", "#ba68c8", "#ffffff")
FEW = 3  # anchors of a level that are shown with their deltas
MANY, SOME = 40, 10  # proposals that are shown, of all levels and of each
SURE = 0.5  # detections shown score so much


def photograph(inside, names):
    """The image as the network gets it, and its annotations."""
    boxes, classes = inside.truth
    colors = [visualization_utils.color_of(each) for each in classes]
    truth = Panel(inside.image, WIDE).boxes(boxes, colors)
    truth.texts(boxes, [names.get(int(each), str(each)) for each in classes], colors)
    title = f"{inside.image.shape[1]} x {inside.image.shape[0]} pixels"
    if not len(boxes):
        return sheet([Panel(inside.image, WIDE)], [title], 1)
    return sheet([Panel(inside.image, WIDE), truth], [title, "what is annotated"], 2)


def backbone(inside, names):
    """How strongly each stage of the backbone answers, place by place."""
    return _maps(inside.stages, "C")


def pyramid(inside, names):
    """Likewise the levels of the pyramid."""
    return _maps(inside.levels, "P")


def _maps(maps, letter):
    panels = [
        Panel(drawing.heat(drawing.strength(features)), NARROW, smooth=False)
        for features in maps.values()
    ]
    titles = [
        f"{letter}{level}: {'x'.join(str(side) for side in features.shape)}"
        for level, features in maps.items()
    ]
    return sheet(panels, titles, 3)


def anchors(inside, names):
    """The cells of each level, and the anchors of the one nearest to the middle."""
    faded = drawing.faded(inside.image)
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
        centres = grid.reshape(-1, 2) * stride + stride / 2
        nearest = int(np.argmin(np.square(centres - middle).sum(1)))
        panel = Panel(faded, NARROW).points(centres, color, radius=0 if level < 4 else 1.5)
        panels.append(panel.boxes(boxes[nearest * each : (nearest + 1) * each], color))
        titles.append(f"P{level}: {height} x {width} cells, {len(boxes)} anchors")
    return sheet(panels, titles, 3)


def scores(inside, names):
    """The score of the best anchor at each cell of every level."""
    panels, titles = [], []
    for (level, values), each in zip(
        inside.of_level(inside.proposed.scores).items(), inside.anchors_per_cell, strict=True
    ):
        height, width = inside.levels[level].shape[:2]
        best = values.reshape(height, width, each).max(-1)
        image = inside.image
        covered = np.zeros((height * 2**level, width * 2**level, 3), np.uint8)
        rows, columns = (min(a, b) for a, b in zip(covered.shape, image.shape[:2], strict=False))
        covered[:rows, :columns] = drawing.faded(image)[:rows, :columns]
        panel = Panel(drawing.over(covered, drawing.heat(best, 0, 1))[:rows, :columns], NARROW)
        panels.append(panel)
        titles.append(f"P{level}: best {values.max():.3f}, {np.sum(values > 0.5)} above 0.5")
    return sheet(panels, titles, 3)


def deltas(inside, names):
    """The best anchors of every level, and where their deltas move them."""
    faded = drawing.faded(inside.image)
    proposed = inside.proposed
    panels, titles = [], []
    anchors, moved = inside.of_level(proposed.anchors), inside.of_level(proposed.boxes)
    for level, values in inside.of_level(proposed.scores).items():
        best = np.argsort(-values, kind="stable")[:FEW]
        start, end = anchors[level][best], moved[level][best]
        panel = Panel(faded, NARROW).boxes(start, BEFORE).boxes(end, AFTER)
        panels.append(panel.arrows(_centres(start), _centres(end), "#ffffff"))
        titles.append(f"P{level}: scores {values[best[-1]]:.2f} to {values[best[0]]:.2f}")
    return sheet(panels, titles, 3)


def _centres(boxes):
    return np.stack([boxes[:, [0, 2]].mean(1), boxes[:, [1, 3]].mean(1)], 1)


def proposals(inside, names):
    """As many boxes before suppression as are left after it."""
    faded, proposed = drawing.faded(inside.image), inside.proposed
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
    """Yellow for what is sure, green for what may be, violet for the rest."""
    return AFTER if score > SURE else "#26a69a" if score > 0.1 else "#9575cd"


def levels(inside, names):
    """The proposals by the level that they are cropped from."""
    faded, proposed = drawing.faded(inside.image), inside.proposed
    panels, titles = [], []
    for color, level in zip(LEVEL_COLORS, inside.levels, strict=False):
        own = proposed.kept[proposed.kept_levels == level]
        panels.append(Panel(faded, NARROW).boxes(own[:SOME], color))
        sides = np.sqrt((own[:, 2] - own[:, 0]) * (own[:, 3] - own[:, 1]))
        range_ = f", sides {sides.min():.0f} to {sides.max():.0f}" if len(own) else ""
        titles.append(f"P{level}: {len(own)} proposals{range_}")
    return sheet(panels, titles, 3)


def roi_align(inside, names):
    """The box that is cut out, where its map is read, and what comes of it."""
    crops = inside.crops
    on_image = Panel(inside.image, NARROW).boxes([crops.box], AFTER)
    on_image.points(crops.points, AFTER, radius=2)
    strength = drawing.strength(inside.levels[crops.level])
    on_map = Panel(drawing.heat(strength), NARROW, smooth=False)
    on_map.points(crops.readings + 0.5, "#ffffff", radius=2)  # a block's middle is its reading
    own = drawing.strength(crops.features)
    low, high = float(strength.min()), float(strength.max())
    crop = Panel(drawing.heat(own, low, high), on_map.picture.height, smooth=False)
    crop.picture = _centred(crop.picture, on_map.picture.size)
    height, width = strength.shape
    side = len(own)
    titles = ["the best detection", f"on P{crops.level}: {height} x {width} cells"]
    return sheet([on_image, on_map, crop], [*titles, f"its crop: {side} x {side}"], 3)


def _centred(picture, size):
    whole = Image.new("RGB", size, drawing.PAPER)
    whole.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
    return whole


def box_head(inside, names):
    """The proposals of the detections, and the detections."""
    found = inside.found
    sure = found.scores >= SURE
    colors = [visualization_utils.color_of(each) for each in found.classes[sure]]
    start = inside.proposed.kept[found.proposal[sure]]
    faded = drawing.faded(inside.image)
    before = Panel(faded, WIDE).boxes(start, colors)
    labels = [f"{inside.proposed.kept_scores[row]:.2f}" for row in found.proposal[sure]]
    before.texts(start, labels, colors)
    after = Panel(faded, WIDE).boxes(found.boxes[sure], colors)
    labels = [
        f"{names.get(int(label), label)} {score:.2f}"
        for label, score in zip(found.classes[sure], found.scores[sure], strict=True)
    ]
    after.texts(found.boxes[sure], labels, colors)
    titles = ["proposals and their objectness", "classified, moved and suppressed by class"]
    return sheet([before, after], titles, 2)


def mask_head(inside, names):
    """The small mask of each detection, and all of them in the image."""
    found = inside.found
    sure = np.flatnonzero(found.scores >= SURE)
    height, width = inside.image.shape[:2]
    whole = [paste_mask(found.masks[k], found.boxes[k], height, width) > 0.5 for k in sure]
    drawn = visualization_utils.draw_objects(
        inside.image,
        found.boxes[sure],
        [""] * len(sure),
        [visualization_utils.color_of(found.classes[k]) for k in sure],
        whole,
        line_thickness=2,
    )
    big = Panel(drawn, NARROW)
    panels, titles = [big], ["put into the image, above 0.5"]
    for k in sure[:5]:
        small = Panel(drawing.heat(found.masks[k], 0, 1), big.picture.height, smooth=False)
        small.picture = _centred(small.picture, big.picture.size)
        panels.append(small)
        side = "x".join(str(each) for each in found.masks[k].shape)
        titles.append(f"{names.get(int(found.classes[k]), found.classes[k])}: {side}")
    return sheet(panels, titles, 3 if len(panels) > 4 else 2)


def losses(inside, names):
    """The rois that a training step samples, and the mask target of one; None without them."""
    trained = inside.trained
    if trained is None:
        return None
    objects = trained.classes > 0
    faded = drawing.faded(inside.image)
    rois = Panel(faded, NARROW).boxes(trained.rois[~objects], FAINT, 1)
    colors = [visualization_utils.color_of(each) for each in trained.classes[objects]]
    rois.boxes(trained.rois[objects], colors, 1)
    panels = [rois]
    titles = [f"{objects.sum()} rois with an object, {(~objects).sum()} without"]
    for values, title in (
        (trained.mask_targets[:1], "mask target of one of them"),
        (trained.mask_probabilities[:1], "what the mask head gives there"),
    ):
        for one in values:
            small = Panel(drawing.heat(one, 0, 1), rois.picture.height, smooth=False)
            small.picture = _centred(small.picture, rois.picture.size)
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
    """Writes every picture as NAME.jpg; the paths.

    Args:
        inside: `Inside`.
        names: {class: name}.
        folder: made where it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for draw in ALL:
        picture = draw(inside, names)
        if picture is not None:
            paths.append(folder / f"{draw.__name__}.jpg")
            picture.save(paths[-1], quality=82, optimize=True)
    return paths
