"""Which number each class has, and the config.json of a result that says it."""

import json
from pathlib import Path
from typing import NamedTuple

from object_detection import atomic
from object_detection.errors import SettingsError
from object_detection.integrations.supervisely.settings import load

NAME = "config.json"


class ClassIds(NamedTuple):
    """The classes of a model, by Supervisely's rule."""

    to_idx: dict[str, int]  # title -> id; background 0, the rest from 1 up
    background: str
    neutral: str | None

    @property
    def foreground(self):
        """title -> id without the background, as a label map has them."""
        return {title: idx for title, idx in self.to_idx.items() if idx}


def from_titles(titles, background, neutral):
    """Background 0, the others alphabetically from 1; neutral is no class."""
    others = sorted(set(titles) - {background, neutral})
    to_idx = {background: 0} | {title: number for number, title in enumerate(others, 1)}
    return ClassIds(to_idx, background, neutral)


def stored(folder):
    """title -> id by the config.json of a result.

    Raises:
        SettingsError: there is none, or it holds no such map.
    """
    path = Path(folder) / NAME
    if not path.is_file():
        raise SettingsError(
            f"{path} is missing: weights_init_type 'continue_training' goes on from a result of "
            "this command, which has one; 'transfer_learning' takes any weights"
        )
    to_idx = load(path).get("class_title_to_idx")
    if not isinstance(to_idx, dict) or not all(type(i) is int for i in to_idx.values()):
        raise SettingsError(f"{path}: class_title_to_idx is missing or no map from titles to ids")
    return to_idx


def of_stored(folder, found):
    """`found` with the numbers of a result, which has to have the same set of classes.

    Raises:
        SettingsError: it has others.
    """
    to_idx = stored(folder)
    mine = {title for title, idx in to_idx.items() if idx}
    theirs = set(found.foreground)
    if mine != theirs:
        raise SettingsError(
            f"weights_init_type is 'continue_training', but the sets of classes of model and "
            f"dataset do not match: {Path(folder) / NAME} has {sorted(mine)}, the project "
            f"{sorted(theirs)}; take 'transfer_learning' for other classes"
        )
    return found._replace(to_idx={found.background: 0} | {t: i for t, i in to_idx.items() if i})


def write(folder, found, colors, settings):
    """Writes config.json.

    Args:
        folder: of the result.
        found: `ClassIds`.
        colors: title -> "#RRGGBB".
        settings: the training JSON with its defaults.
    """
    classes = [
        {"title": title, "shape": "bitmap", "color": colors.get(title, "#000000")}
        for title in found.foreground
    ]
    content = {"settings": settings, "classes": classes, "class_title_to_idx": found.to_idx}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    atomic.write_text(Path(folder) / NAME, text + "\n")
