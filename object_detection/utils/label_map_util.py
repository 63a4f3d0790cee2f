"""Label maps: which class has which id. TFOD's module, function names and meanings.

A label map is a StringIntLabelMap as text (or binary):

    item { id: 1 name: 'cat' display_name: 'Cat' }

Ids start at 1; 0 is the background and may be written out only under that name. Gaps are allowed.
"""

import logging

import numpy as np

from object_detection.errors import LabelMapError
from object_detection.protos import string_int_label_map_pb2
from object_detection.utils import proto_file, text_outline, text_proto
from object_detection.utils.messages import shorten

_LABEL_ID_OFFSET = 1
_FREQUENCIES = {
    string_int_label_map_pb2.FREQUENT: "f",
    string_int_label_map_pb2.COMMON: "c",
    string_int_label_map_pb2.RARE: "r",
}

_log = logging.getLogger(__name__)


def read_label_map(path):
    """Reads a label map without judging its ids.

    Returns:
        (StringIntLabelMap, lines, complaint): lines holds the line of each item (empty for a binary
        file); complaint says that an item sets a field twice (one item written where two were
        meant: only the last counts) or is None.

    Raises:
        LabelMapError: the file is missing or holds no label map.
    """
    message_type = string_int_label_map_pb2.StringIntLabelMap
    try:
        label_map, text = proto_file.read(path, message_type)
    except OSError as error:
        shown = shorten(path, 300)
        raise LabelMapError(f"label map {shown} cannot be read: {error.strerror}.") from None
    except text_proto.TextProtoError as error:
        raise LabelMapError(f"label map {error}") from None
    if text is None:
        return label_map, [], None
    lines = [block.line for block in text_outline.Outline(text).top_blocks]
    if len(lines) != len(label_map.item):
        lines = []
    return label_map, lines, text_proto.repeated_setting(text, message_type)


def load_labelmap(path, validator=None):
    """Reads and validates a label map.

    Args:
        path: the file, text or binary.
        validator: function called with the StringIntLabelMap; raises on what it does not accept.

    Returns:
        StringIntLabelMap.

    Raises:
        LabelMapError: unreadable, a negative id, or id 0 for anything but the background.
    """
    label_map, lines, complaint = read_label_map(path)
    if complaint:
        _log.warning("label map %s: %s.", path, complaint)
    _validate(label_map, path, lines)
    if validator:
        validator(label_map)
    return label_map


def _validate(label_map, path="label map", lines=()):
    for index, item in enumerate(label_map.item):
        fault = id_fault(item)
        if fault:
            where = f"{path}:{lines[index]}" if index < len(lines) else f"{path}, item {index + 1}"
            raise LabelMapError(f"{where}: {fault}")


def id_fault(item):
    """What is wrong with the id of one item, or None."""
    name = shorten(item.name or item.display_name)
    if item.id < 0:
        return f'id {item.id} of "{name}" is negative; ids start at 1.'
    if item.id == 0 and "background" not in (item.name, item.display_name):
        has = "has id 0" if item.HasField("id") else "has no id"
        return f'"{name}" {has}; ids start at 1, 0 is kept for "background".'
    return None


def create_category_index(categories):
    """{id: category} of a list of categories (dicts with "id" and "name")."""
    return {category["id"]: category for category in categories}


def get_frequencies(label_map_path):
    """{id: "r", "c" or "f"} of the items that say it, as LVIS's metrics take it; {} for no path."""
    if not label_map_path:
        return {}
    return {
        item.id: _FREQUENCIES[item.frequency]
        for item in load_labelmap(label_map_path).item
        if item.frequency in _FREQUENCIES
    }


def get_max_label_map_index(label_map):
    """The highest id of a StringIntLabelMap."""
    return max(item.id for item in label_map.item)


def convert_label_map_to_categories(label_map, max_num_classes, use_display_name=True):
    """Categories of a label map, for evaluation and drawing.

    Of several items with one id the first counts; ids outside 1..max_num_classes are left out.

    Args:
        label_map: StringIntLabelMap, or None for categories named "category_1" and so on.
        max_num_classes: highest id to keep.
        use_display_name: name categories by display_name where there is one.

    Returns:
        List of dicts: "id", "name", and where the label map has them "keypoints" ({label: id}),
        "frequency" ("f", "c" or "r") and "instance_count".
    """
    if not label_map:
        numbers = range(_LABEL_ID_OFFSET, max_num_classes + _LABEL_ID_OFFSET)
        return [{"id": number, "name": f"category_{number}"} for number in numbers]
    categories = {}
    for item in label_map.item:
        if not 0 < item.id <= max_num_classes:
            _log.info("Item %d is left out: its id is not in 1..%d.", item.id, max_num_classes)
        elif item.id not in categories:
            categories[item.id] = _category(item, use_display_name)
    return list(categories.values())


def _category(item, use_display_name):
    by_display = use_display_name and item.HasField("display_name")
    category = {"id": item.id, "name": item.display_name if by_display else item.name}
    if item.HasField("frequency") and item.frequency in _FREQUENCIES:
        category["frequency"] = _FREQUENCIES[item.frequency]
    if item.HasField("instance_count"):
        category["instance_count"] = item.instance_count
    if item.keypoints:
        category["keypoints"] = _keypoints(item)
    return category


def _keypoints(item):
    ids = {}
    for keypoint in item.keypoints:
        if keypoint.id in ids.values():
            name = shorten(item.name)
            raise LabelMapError(f'"{name}" has two keypoints with the id {keypoint.id}.')
        ids[keypoint.label] = keypoint.id
    return ids


def _as_label_map(label_map_path_or_proto):
    if isinstance(label_map_path_or_proto, string_int_label_map_pb2.StringIntLabelMap):
        _validate(label_map_path_or_proto)
        return label_map_path_or_proto
    return load_labelmap(label_map_path_or_proto)


def get_label_map_dict(
    label_map_path_or_proto, use_display_name=False, fill_in_gaps_and_background=False
):
    """{name: id} of a label map.

    Args:
        label_map_path_or_proto: file or StringIntLabelMap.
        use_display_name: key by display_name; an item without one is keyed by its name. (In TFOD
            all such items share the key '', which a record's empty class text then matches.)
        fill_in_gaps_and_background: add 'background': 0 and 'class_N' for each missing id N.
    """
    label_map = _as_label_map(label_map_path_or_proto)
    ids = {}
    for item in label_map.item:
        by_display = use_display_name and item.HasField("display_name")
        ids[item.display_name if by_display else item.name] = item.id
    if fill_in_gaps_and_background:
        used = set(ids.values())
        if 0 not in used:
            ids["background"] = 0
        for number in range(1, max(used, default=0)):
            if number not in used:
                ids[f"class_{number}"] = number
    return ids


def get_keypoint_label_map_dict(label_map_path_or_proto):
    """{keypoint label: keypoint id} over all items of a label map."""
    ids = {}
    for item in _as_label_map(label_map_path_or_proto).item:
        for keypoint in item.keypoints:
            if keypoint.label in ids:
                label = shorten(keypoint.label)
                raise LabelMapError(f'two keypoints are labeled "{label}".')
            ids[keypoint.label] = keypoint.id
    return ids


def get_label_map_hierarchy_lut(label_map_path_or_proto, include_identity=False):
    """Relations of ancestors and descendants between classes.

    Args:
        label_map_path_or_proto: file or StringIntLabelMap with ancestor_ids and descendant_ids.
        include_identity: count each class as its own ancestor and descendant.

    Returns:
        (ancestors, descendants), both int64 [C, C] of 0 and 1, C the highest id: row id - 1 marks
        the classes above (below) that id, by their id - 1.
    """
    label_map = _as_label_map(label_map_path_or_proto)
    count = get_max_label_map_index(label_map)
    start = np.eye if include_identity else np.zeros
    shape = count if include_identity else (count, count)
    ancestors, descendants = start(shape, dtype=np.int64), start(shape, dtype=np.int64)
    for item in label_map.item:
        for ancestor in item.ancestor_ids:
            ancestors[item.id - _LABEL_ID_OFFSET, ancestor - _LABEL_ID_OFFSET] = 1
        for descendant in item.descendant_ids:
            descendants[item.id - _LABEL_ID_OFFSET, descendant - _LABEL_ID_OFFSET] = 1
    return ancestors, descendants


def create_categories_from_labelmap(label_map_path, use_display_name=True):
    """All categories of a label map file; see `convert_label_map_to_categories`."""
    label_map = load_labelmap(label_map_path)
    highest = max((item.id for item in label_map.item), default=0)
    return convert_label_map_to_categories(label_map, highest, use_display_name)


def create_category_index_from_labelmap(label_map_path, use_display_name=True):
    """{id: category} of a label map file."""
    return create_category_index(create_categories_from_labelmap(label_map_path, use_display_name))


def create_class_agnostic_category_index():
    """The category index of a detector that only tells objects from background."""
    return {1: {"id": 1, "name": "object"}}
