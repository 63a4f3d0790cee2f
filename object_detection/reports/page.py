"""Shared parts of the HTML pages: filled from parts next to this file, written as a whole."""

import html
import json
import os
from importlib import resources
from pathlib import Path

import object_detection


def part(name):
    """Return the text of a page's part, such as `contact_sheet.css`."""
    return resources.files("object_detection.reports").joinpath(name).read_text(encoding="utf-8")


def as_script(value):
    """Return JSON that is safe inside a script element, whatever texts it contains."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def write(path, template, marks):
    """Write a page, completely or not at all.

    Args:
        path: The HTML file.
        template: Name of the part with `<!--MARK-->`s.
        marks: {mark: HTML}, inserted one after the other; put texts from the data last. `VERSION`
            is added.
    """
    text = part(template)
    for mark, content in {"VERSION": html.escape(object_detection.__version__), **marks}.items():
        text = text.replace(f"<!--{mark}-->", content)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
