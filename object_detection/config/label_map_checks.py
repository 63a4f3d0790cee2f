"""What is wrong with a label map, and with it and the model together."""

from collections import defaultdict

from object_detection.config.findings import Finding, Findings, faults, listed, warnings
from object_detection.errors import LabelMapError
from object_detection.utils import label_map_util
from object_detection.utils.messages import shorten


def check(path, num_classes) -> Findings:
    """Findings about the label map in a file.

    Args:
        path: the file.
        num_classes: of the model; 0 where it does not say.
    """
    try:
        label_map, lines, complaint = label_map_util.read_label_map(path)
    except LabelMapError as error:
        return faults([Finding(path, f"cannot be used: {error}".rstrip("."))])
    where = _Places(path, lines)
    findings = faults(_items(label_map, where))
    if complaint:
        fix = "Probably one item was written for two: each class needs an item { } of its own"
        findings = findings.merge(faults([Finding(path, complaint, fix)]))
    findings = findings.merge(faults(_repeats(label_map, where)))
    findings = findings.merge(faults(_above(label_map, where, num_classes)))
    return findings.merge(warnings(_gaps(label_map, path, num_classes)))


def names_of(path):
    """{class text: id} of a label map, by names and display names; None where it is unusable."""
    try:
        label_map = label_map_util.load_labelmap(path)
    except LabelMapError:
        return None
    return {
        text: item.id for item in label_map.item for text in (item.name, item.display_name) if text
    }


class _Places:
    """Where the items of a label map stand."""

    def __init__(self, path, lines):
        self._path = path
        self._lines = lines

    def __call__(self, index):
        if index < len(self._lines):
            return f"{self._path}:{self._lines[index]}"
        return f"{self._path}, item {index + 1}"


def _items(label_map, where):
    if not label_map.item:
        yield Finding(where(0), "holds no item", "Write item { id: 1 name: 'cat' } for each class")
    for index, item in enumerate(label_map.item):
        fault = label_map_util.id_fault(item)
        if fault:
            yield Finding(where(index), fault.rstrip("."))
        if not item.name and not item.display_name:
            yield Finding(where(index), f"gives id {item.id} no name", "Add name: '...'")


def _repeats(label_map, where):
    by_id, by_name, by_display = defaultdict(list), defaultdict(list), defaultdict(list)
    for index, item in enumerate(label_map.item):
        by_id[item.id].append(index)
        by_name[item.name].append(index)
        by_display[item.display_name].append(index)
    for number, places in by_id.items():
        if len(places) > 1 and number > 0:
            names = [f'"{shorten(label_map.item[index].name)}"' for index in places]
            yield Finding(
                where(places[1]),
                f"gives id {number} again: {listed(names)} share it",
                "Give every class an id of its own; merge classes while writing the records",
            )
    for kind, places_of in (("name", by_name), ("display_name", by_display)):
        for name, places in places_of.items():
            ids = sorted({label_map.item[index].id for index in places})
            if name and len(ids) > 1:
                problem = f'gives {kind} "{shorten(name)}" again: ids {listed(ids)} have it'
                yield Finding(where(places[1]), problem, "Give every class a name of its own")


def _above(label_map, where, num_classes):
    above = [(index, item) for index, item in enumerate(label_map.item) if item.id > num_classes]
    if not num_classes or not above:
        return
    index, item = above[0]
    more = f" (and {len(above) - 1} more items)" if len(above) > 1 else ""
    highest = max(item.id for _, item in above)
    name = item.display_name or item.name
    yield Finding(
        where(index),
        f'has id {item.id} ("{shorten(name)}"), above num_classes, which is {num_classes}{more}',
        f"Set model.faster_rcnn.num_classes: {highest}, or number the classes from 1 on",
    )


def _listed_gaps(used, most=8):
    """'2, 5 and 3 more': the ids below the highest that are not used; quick for huge ids too."""
    first, count, below = [], 0, 0
    for number in sorted(number for number in used if number > 0):
        gap = number - below - 1
        count += gap
        first.extend(range(below + 1, below + 1 + min(gap, most - len(first))))
        below = number
    more = f" and {count - len(first)} more" if count > len(first) else ""
    return ", ".join(map(str, first)) + more


def _gaps(label_map, path, num_classes):
    used = {item.id for item in label_map.item}
    highest = max(used, default=0)
    if not used:
        return
    missing = _listed_gaps(used)
    if missing:
        yield Finding(
            path,
            f"uses ids up to {highest} but not {missing}: these outputs learn nothing, "
            "which is allowed",
        )
    if 0 < highest < num_classes:
        yield Finding(
            path,
            f"ends at id {highest}, but num_classes is {num_classes}: the outputs above learn "
            "nothing",
            f"Set model.faster_rcnn.num_classes: {highest}, unless a checkpoint needs the others",
        )
