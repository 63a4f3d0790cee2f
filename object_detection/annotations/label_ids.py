"""Which number each class has in the records, and the label map file that says it."""

import os
from pathlib import Path
from typing import NamedTuple

from google.protobuf import text_encoding

from object_detection.annotations.record import AnnotationError
from object_detection.utils import label_map_util


class LabelIds(NamedTuple):
    """The classes of a data set with their numbers in the records."""

    ids: dict[str, int]  # name -> id from 1 up
    shifted: bool = False  # the annotations counted from 0; every id is one higher here
    notes: tuple[str, ...] = ()  # what to tell the user about the numbers
    # name -> what else the label map says of it: (("display_name", "Cat"), ...). As a label map
    # file is read, every name is here, and the display names are not.
    item_fields: dict[str, tuple[tuple[str, str | int], ...]] = {}


def from_annotations(sets):
    """Numbers for the classes of one or more annotation sets.

    Ids of the annotations are kept. Where one of them is 0 (the background in a label map), all are
    raised by one. Sets that number the same class differently follow the first; classes without an
    id, or whose id is another's, get the next free one.
    """
    shifted = any(category.id == 0 for each in sets for category in each.categories)
    ids, notes, item_fields = {}, [], {}
    for each in sets:
        for category in each.categories:
            if category.item_fields:
                item_fields.setdefault(category.name, category.item_fields)
            wanted = None if category.id is None else category.id + shifted
            number = ids.get(category.name)
            if number is None:
                free = wanted is not None and wanted not in ids.values()
                number = ids[category.name] = wanted if free else max(ids.values(), default=0) + 1
            if wanted not in (None, number):
                notes.append(
                    f"class '{category.name}' has id {category.id} in {each.source}; "
                    f"in the records it is {number}"
                )
    if shifted:
        notes.insert(0, "category ids start at 0, which is the background: all are raised by one")
    return LabelIds(ids, shifted, tuple(notes), item_fields)


def read(path):
    """The numbers in a label map file: by name and, where items have one, by display name.

    Raises:
        AnnotationError: it cannot be read.
    """
    by_name, by_display_name, item_fields = {}, {}, {}
    try:
        items = label_map_util.load_labelmap(str(path)).item
    except label_map_util.LabelMapError as error:
        raise AnnotationError(str(error)) from None
    for item in items:
        by_name[item.name] = item.id
        if item.display_name:
            by_display_name[item.display_name] = item.id
        item_fields[item.name] = tuple(_item_fields(item))
    return LabelIds({**by_display_name, **by_name}, item_fields=item_fields)


def _item_fields(item):
    """What a label map item says beside name and id, of what annotations may say too."""
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


def settle(path, found, *, given):
    """The numbers to use, with the label map file at `path` written where it has to be.

    Args:
        path: of the label map.
        found: `LabelIds` by the annotations.
        given: True where the user named the file: then, if it exists, its numbers hold. Else it is
            the file beside the records, which grows as splits are converted one by one.

    Raises:
        AnnotationError: the file beside the records has other numbers than these annotations.
    """
    path = Path(path)
    if not path.exists():
        write(path, found)
        return found
    old = read(path)
    if given:
        return old
    clashes = [
        f"'{name}' is {number} there and {found.ids[name]} here"
        for name, number in old.ids.items()
        if found.ids.get(name, number) != number
    ]
    taken = {number: name for name, number in old.ids.items()}
    clashes += [
        f"id {number} is '{taken[number]}' there and '{name}' here"
        for name, number in found.ids.items()
        if taken.get(number, name) != name
    ]
    if clashes:
        raise AnnotationError(
            f"{path} belongs to other annotations: {'; '.join(clashes[:5])}. "
            f"To keep its numbers pass --label_map_path={path}; else remove it, and convert every "
            "split anew."
        )
    if found.ids.keys() - old.ids.keys():
        names = {name: old.ids[name] for name in old.item_fields}  # without the display names
        fields = {**old.item_fields, **found.item_fields}
        write(path, found._replace(ids={**names, **found.ids}, item_fields=fields))
    return found


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
        lines.append(f"item {{\n  id: {number}\n  name: {_quoted(name)}{fields}\n}}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def _quoted(text):
    return f'"{text_encoding.CEscape(text, as_utf8=True)}"'


def _as_text(field, value):
    """A field's value in the text format: numbers and the words of an enum stand bare."""
    return _quoted(value) if isinstance(value, str) and field != "frequency" else value
