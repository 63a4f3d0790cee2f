"""The classes of a set of records: those of its label map, else those the records name."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from object_detection.builders import dataset_builder
from object_detection.utils import label_map_util

BESIDE = "label_map.pbtxt"  # what the conversion commands call it


class Classes(NamedTuple):
    """What class texts and ids mean."""

    ids: dict[str, int]  # class text -> id; empty: the records' own ids hold
    names: dict[int, str]
    origin: str  # where they are from, for people
    is_given: bool  # by a label map

    @property
    def largest_id(self):
        """The number of classes a model needs."""
        return max(self.names, default=1)

    def name(self, number):
        """The name of a class id."""
        return self.names.get(int(number), f"class {int(number)}")


def from_label_map(path):
    """The classes of a label map; raises `LabelMapError`."""
    index = label_map_util.create_category_index_from_labelmap(path)
    names = {number: entry["name"] for number, entry in index.items()}
    return Classes(dataset_builder.class_ids(path), names, f"label map {path}", True)


def beside(files):
    """The label map in the folder of the first record file, or None.

    `label_map.pbtxt`, else the only one of another name, as `shapes_label_map.pbtxt` (Roboflow's).
    """
    if "://" in files[0]:
        return None
    folder = Path(files[0]).parent
    if (folder / BESIDE).is_file():
        return str(folder / BESIDE)
    others = [path for path in folder.glob("*.pbtxt") if "label" in path.name.lower()]
    return str(others[0]) if len(others) == 1 else None


def from_records(examples):
    """The classes that records themselves name, where there is no label map.

    Args:
        examples: `RawRecord`s of all records.
    """
    names, texts, labels = {}, Counter(), set()
    for example in examples:
        named = [text.decode("utf-8", "replace") for text in example.texts]
        texts.update(named)
        labels.update(example.labels)
        if len(named) == len(example.labels):
            for number, text in zip(example.labels, named, strict=True):
                if text:
                    names.setdefault(number, text)
    if any(label > 0 for label in labels):
        named = {number: names.get(number, f"class {number}") for number in labels if number > 0}
        return Classes({}, named, "the records' own class ids (no label map)", False)
    ids = {text: number for number, text in enumerate(sorted(set(texts) - {""}), 1)}
    names = {number: text for text, number in ids.items()}
    return Classes(ids, names, "the records' own class texts (no label map)", False)
