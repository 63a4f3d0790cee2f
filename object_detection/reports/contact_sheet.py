"""HTML page with tables and drawn images, self-contained: it loads nothing from elsewhere.

The page's parts lie next to this file: `contact_sheet.html`, `.css` and `.js`.
"""

import html
from typing import NamedTuple

from object_detection.reports import page
from object_detection.reports.findings import ImageFacts


class Card(NamedTuple):
    """One image on the page."""

    facts: ImageFacts
    picture: str | None  # data URI; None if the image cannot be decoded


class View(NamedTuple):
    """One view of the images: a part of the page."""

    key: str  # short and unique
    title: str
    about: str  # a sentence
    tables: list  # of `statistics.Table`
    cards: list[Card]


def write(path, title, origin, views, classes):
    """Write the page, completely or not at all.

    Args:
        path: The HTML file.
        title: Of the page.
        origin: Lines on where the images come from.
        views: List of `View`s.
        classes: The `Classes`.
    """
    cards = [_card(view.key, card, classes) for view in views for card in view.cards]
    marks = {
        "TITLE": html.escape(title),
        "STYLE": page.part("contact_sheet.css"),
        "ORIGIN": "".join(f"<li>{html.escape(line)}</li>" for line in origin),
        "TABS": "".join(_tab(view) for view in views),
        "TABLES": "".join(_tables(view) for view in views),
        "SCRIPT": page.part("contact_sheet.js"),
        # Last: texts from the data may contain anything.
        "CARDS": page.as_script(cards),
    }
    page.write(path, "contact_sheet.html", marks)


def _card(view, card, classes):
    facts = card.facts
    objects = []
    for k, box in enumerate(facts.objects.boxes):
        objects.append(
            {
                "name": classes.name(facts.objects.classes[k]),
                "box": [round(float(side), 1) for side in box],
                "mask": None if facts.mask_area is None else round(float(facts.mask_area[k])),
                "crowd": bool(facts.objects.crowd[k]),
                "difficult": bool(facts.objects.difficult[k]),
            }
        )
    return {
        "view": view,
        "id": facts.id,
        "place": facts.place,
        "size": facts.size,
        "objects": objects,
        "findings": [[each.severity, each.reason, each.detail] for each in facts.findings],
        "picture": card.picture,
    }


def _tab(view):
    return (
        f'<button type="button" role="tab" class="tab" data-view="{view.key}">'
        f"{html.escape(view.title)}</button>"
    )


def _tables(view):
    inside = "".join(_table(table) for table in view.tables)
    return (
        f'<section class="tables" data-view="{view.key}" hidden>'
        f"<p>{html.escape(view.about)}</p>{inside}</section>"
    )


def _table(table):
    largest = max((row[1] for row in table.rows), default=0) or 1
    head = "".join(f"<th>{html.escape(text)}</th>" for text in table.header)
    body = ""
    for label, count, *cells in table.rows:
        share = f' class="bar" style="--share:{100 * count / largest:.1f}%"' if cells else ""
        body += f"<tr><th>{html.escape(str(label))}</th><td{share}>{count}</td>"
        body += "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>"
    note = f'<p class="note">{html.escape(table.note)}</p>' if table.note else ""
    return (
        f'<div class="table"><h3>{html.escape(table.title)}</h3><div class="scroll"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{note}</div>"
    )
