"""A page of drawn examples, made of a few cards, for tests."""

import numpy as np

from object_detection.reports import contact_sheet, findings, pictures, statistics
from object_detection.reports.contact_sheet import Card, View
from object_detection.reports.data_browser import Classes
from object_detection.reports.findings import FACT, LOOK, LOST, Finding, ImageFacts, undecodable
from object_detection.structures.instances import Instances

NASTY = "</script><b>\"cat\" & 'Ärger'"  # a class that would break a careless page
CLASSES = Classes({}, {1: "dog", 2: NASTY, 3: "nobody"}, "made for a test", True)


def facts(identity, classes, remarks=()):
    """Of an image of 60 x 80 with one box for each class."""
    boxes = np.float32([[5 + 5 * k, 10, 35 + 5 * k, 50] for k in range(len(classes))])
    none = np.zeros(len(classes), bool)
    return ImageFacts(
        id=identity,
        place=f"some.record, record {identity[-1]}",
        size=(60, 80),
        objects=Instances(
            60, 80, boxes.reshape(-1, 4), np.int32(classes), crowd=none, difficult=none
        ),
        mask_area=np.full(len(classes), 600),
        findings=tuple(remarks),
    )


def picture(color):
    """A data URI of an image of one color."""
    return pictures.data_uri(np.full((60, 80, 3), color, np.uint8))


def write(path, *, model_view=True):
    """Writes a page of five stored images and, if wanted, two of the model's view."""
    tiny = Finding(LOOK, findings.TINY, "#1")
    stored = [
        Card(facts("image-0", [1]), picture((200, 30, 30))),
        Card(facts("image-1", [1, 2], [tiny]), picture((30, 200, 30))),
        Card(facts("image-2", [], [Finding(FACT, findings.NO_OBJECTS)]), picture((9, 9, 200))),
        Card(undecodable("image-3", "r 3", (Finding(LOST, "no image", "<i>odd</i>"),)), None),
        Card(facts("image-4", [2, 2], [tiny]), picture((99, 99, 99))),
    ]
    seen = [stored[0], stored[4]]
    views = [View("stored", "As stored", "Five.", _tables(stored), stored)]
    if model_view:
        views.append(View("model", "As the model sees them", "Two.", _tables(seen), seen))
    contact_sheet.write(path, "Data: <some> & such", ["a.record", "b.record"], views, CLASSES)
    return path


def _tables(cards):
    return statistics.tables([card.facts for card in cards], CLASSES)
