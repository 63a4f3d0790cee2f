"""What all HTML pages share: filled from parts that stand beside this file, written as a whole."""

import html
import json
import os
from importlib import resources
from pathlib import Path

import object_detection


def part(name):
    """The text of a page's part, such as `contact_sheet.css`."""
    return resources.files("object_detection.reports").joinpath(name).read_text(encoding="utf-8")


def as_script(value):
    """JSON that may stand inside a script element, whatever texts are in it."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def write(path, template, marks):
    """Writes a page; it appears complete or not at all.

    Args:
        path: the HTML file.
        template: name of the part that holds `<!--MARK-->`s.
        marks: {mark: HTML}, put in one after the other: what holds the data's own texts is best
            the last one. `VERSION` need not be given.
    """
    text = part(template)
    for mark, content in {"VERSION": html.escape(object_detection.__version__), **marks}.items():
        text = text.replace(f"<!--{mark}-->", content)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
