"""Which number each class has in the records, and the label map file that says it."""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from google.protobuf import text_encoding

from object_detection.datasets.annotations import AnnotationSet
from object_detection.errors import AnnotationError, LabelMapError
from object_detection.utils import label_map_util

# Ids above this, of fewer classes than that, are those of a data base: nothing is as wide.
HIGHEST_ID, MANY_CLASSES = 10_000, 1_000


class LabelIds(NamedTuple):
    """The classes of a data set with their numbers in the records."""

    ids: dict[str, int]  # name -> id from 1 up
    shifted: bool = False  # the annotations counted from 0; every id is one higher here
    notes: tuple[str, ...] = ()  # what to tell the user about the numbers
    # name -> what else the label map says of it: (("display_name", "Cat"), ...). As a label map
    # file is read, every name is here, and the display names are not.
    item_fields: dict[str, tuple[tuple[str, str | int], ...]] = {}
    source_ids: dict[
        str, int
    ] = {}  # name -> id in the annotations, where classes are numbered anew
    harmless: int = 0  # number of leading notes that are no faults


def from_annotations(sets: Sequence[AnnotationSet]) -> LabelIds:
    """Numbers for the classes of one or more annotation sets.

    Ids of the annotations are kept. Where one of them is 0 (the background in a label map), all are
    raised by one; where one is above `HIGHEST_ID` with fewer than `MANY_CLASSES` classes, all are
    numbered from 1 in the order of their ids. Sets that number the same class differently follow
    the first; classes without an id, or whose id is another's, get the next free one.
    """
    listed, notes = [], []
    for each in sets:
        for category in each.categories:
            if _is_text(category.name):
                listed.append((category, each.source))
            else:
                notes.append(
                    f"class name {ascii(category.name)} is no text: no class is made of it"
                )
    new_ids = _numbered_anew([category for category, _ in listed])
    shifted = not new_ids and any(category.id == 0 for category, _ in listed)
    ids, item_fields, source_ids = {}, {}, {}
    for category, source in listed:
        if category.item_fields:
            item_fields.setdefault(category.name, category.item_fields)
        requested = None if category.id is None else category.id + shifted
        if new_ids and requested is not None:
            requested = new_ids[requested]
            source_ids.setdefault(category.name, category.id)
        number = ids.get(category.name)
        if number is None:
            free = requested is not None and requested not in ids.values()
            number = ids[category.name] = requested if free else max(ids.values(), default=0) + 1
        if requested not in (None, number):
            notes.append(
                f"class '{category.name}' has id {category.id} in {source}; "
                f"in the records it is {number}"
            )
    notes += _lookalikes(ids)
    harmless = []
    if shifted:
        harmless.append("category ids start at 0, which is the background: all are raised by one")
    if new_ids:
        harmless.append(
            f"category ids go up to {max(new_ids)} for {len(ids)} classes: they are numbered from "
            "1; the label map states the source ids in comments"
        )
    notes = (*harmless, *notes)
    return LabelIds(ids, shifted, notes, item_fields, source_ids, len(harmless))


def _is_text(name):
    """Whether a name can be written to a file."""
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def _numbered_anew(categories):
    """id in the annotations -> new id, where the ids are those of a data base; else {}."""
    numbers = sorted({category.id for category in categories if category.id is not None})
    classes = {category.name for category in categories}
    if not numbers or numbers[-1] <= HIGHEST_ID or len(classes) >= MANY_CLASSES:
        return {}
    return {number: place for place, number in enumerate(numbers, 1)}


def _lookalikes(names):
    """A note for each group of class names that differ in case or spaces only."""
    groups = {}
    for name in names:
        key = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        groups.setdefault(key, []).append(name)
    for group in groups.values():
        if len(group) > 1:
            yield (
                f"class names differ only in upper and lower case: {', '.join(map(repr, group))}; "
                f"they are {len(group)} classes. If they are one, spell them alike"
            )


def read(path):
    """The numbers in a label map file: by name and, where items have one, by display name.

    Raises:
        AnnotationError: it cannot be read.
    """
    by_name, by_display_name, item_fields = {}, {}, {}
    try:
        items = label_map_util.load_labelmap(str(path)).item
    except LabelMapError as error:
        raise AnnotationError(str(error)) from None
    for item in items:
        by_name[item.name] = item.id
        if item.display_name:
            by_display_name[item.display_name] = item.id
        item_fields[item.name] = tuple(_item_fields(item))
    return LabelIds({**by_display_name, **by_name}, item_fields=item_fields)


def _item_fields(item):
    """Yield the fields of a label map item, besides name and id, that annotations can give."""
    if item.display_name:
        yield "display_name", item.display_name
    if item.frequency:
        yield (
            "frequency",
            item.DESCRIPTOR.fields_by_name["frequency"]
            .enum_type.values_by_number[item.frequency]
            .name,
        )
    if item.HasField("instance_count"):
        yield "instance_count", item.instance_count


def resolve(path, labels, *, keep):
    """The numbers to use, with the label map file at `path` written where it has to be.

    Args:
        path: of the label map.
        labels: `LabelIds` by the annotations.
        keep: True where the user named the file: then, if it exists, its numbers hold. Else it is
            the file next to the records, which grows as splits are converted one by one.

    Raises:
        AnnotationError: the file next to the records has other numbers than these annotations.
    """
    path = Path(path)
    if not path.exists():
        write(path, labels)
        return labels
    old = read(path)
    if keep:
        return old._replace(notes=tuple(_lookalikes(labels.ids)))
    if labels.source_ids:
        labels = _as_before(labels, old.ids)
    clashes = [
        f"'{name}' is {number} there and {labels.ids[name]} here"
        for name, number in old.ids.items()
        if labels.ids.get(name, number) != number
    ]
    taken = {number: name for name, number in old.ids.items()}
    clashes += [
        f"id {number} is '{taken[number]}' there and '{name}' here"
        for name, number in labels.ids.items()
        if taken.get(number, name) != name
    ]
    if clashes:
        raise AnnotationError(
            f"{path} belongs to other annotations: {'; '.join(clashes[:5])}. "
            f"To keep its numbers pass --label_map_path={path}; else remove it, and convert every "
            "split anew."
        )
    if labels.ids.keys() - old.ids.keys():
        names = {name: old.ids[name] for name in old.item_fields}  # without the display names
        fields = {**old.item_fields, **labels.item_fields}
        write(path, labels._replace(ids={**names, **labels.ids}, item_fields=fields))
    return labels


def _as_before(labels, old):
    """Classes that were numbered anew under the numbers that an earlier split gave them."""
    ids = {name: old[name] for name in labels.ids if name in old}
    highest = max(old.values(), default=0)
    for name in labels.ids:
        if name not in ids:
            highest += 1
            ids[name] = highest
    return labels._replace(ids=ids)


def write(path, labels):
    """Writes a label map; the file appears complete or not at all."""
    lines = []
    if labels.shifted:
        lines.append(
            "# The annotations count their categories from 0; every id here is one higher."
        )
    for name, number in sorted(labels.ids.items(), key=lambda entry: entry[1]):
        more = labels.item_fields.get(name, ())
        fields = "".join(f"\n  {field}: {_as_text(field, value)}" for field, value in more)
        if name in labels.source_ids:
            lines.append(f"# Category {labels.source_ids[name]} of the annotations.")
        lines.append(f"item {{\n  id: {number}\n  name: {_quoted(name)}{fields}\n}}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def _quoted(text):
    return f'"{text_encoding.CEscape(text, as_utf8=True)}"'


def _as_text(field, value):
    """A field's value in the text format: numbers and the words of an enum have no quotes."""
    return _quoted(value) if isinstance(value, str) and field != "frequency" else value
