"""Dotted overrides: one value of a config changed from the command line.

    model.faster_rcnn.num_classes=3
    train_config.optimizer.adam_optimizer.learning_rate.constant_learning_rate.learning_rate=1e-4
    eval_input_reader[0].tf_record_input_reader.input_path=[data/a.record, data/b.record]
    train_input_reader.mask_type=PNG_MASKS
    model.faster_rcnn.image_resizer={fixed_shape_resizer {height: 640 width: 640}}

An index past the last element by one appends. A list without an index is replaced as a whole; one
value is a list of one. A block in braces replaces the block. Naming another member of a
oneof puts it in the place of the one that was set.
"""

import json
import logging
import re

from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from object_detection.errors import ConfigError
from object_detection.utils import text_proto
from object_detection.utils.messages import shorten

_STEP = re.compile(r"^(\w+)(?:\[([^\]]*)\])?$")
# The signs of a list; a text in quotes is one piece, or begins with a quote that never closes.
_LIST_PIECE = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<sign>[\[\]{},"'])""", re.DOTALL
)
_MOST_DIGITS = 18  # of an index or an enum's number; Python refuses to read thousands
_log = logging.getLogger(__name__)


def apply(config, override):
    """Applies one "dotted.path=value" to a message in place.

    Raises:
        ConfigError: the path does not exist or the value does not fit; nothing is changed then.
    """
    path, equals, value = override.partition("=")
    if not equals or not path.strip():
        raise _error(override, "write it as dotted.path=value")
    changed = type(config)()
    changed.CopyFrom(config)
    message, steps = changed, _steps(override, path.strip())
    for name, index in steps[:-1]:
        message = _descend(message, name, index, override)
    _set(message, *steps[-1], value.strip(), override)
    config.CopyFrom(changed)


def set_value(config, path, value):
    """`apply` with a Python value: number, text, bool, message, or a list of such.

    An enum is given by name or number.
    """
    apply(config, f"{path}={_as_text(value)}")


def _as_text(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Message):
        return f"{{{text_format.MessageToString(value, as_one_line=True)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_quoted(part) for part in value)}]"
    return str(value)


def _quoted(value):
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else _as_text(value)


def field_of(message, name, override):
    """Descriptor of a field by name, or a ConfigError that says which fields there are."""
    field = message.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        raise _error(override, text_proto.unknown_field(message.DESCRIPTOR, name))
    return field


def _error(override, reason):
    return ConfigError(f'override "{shorten(override, 200)}": {reason}')


def _steps(override, path):
    """[(field name, index text or None)] of a dotted path; "a.0.b" is "a[0].b"."""
    path = re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", path)
    steps = []
    for part in path.split("."):
        matched = _STEP.match(part)
        if not matched:
            raise _error(override, f'"{shorten(part)}" is no field name')
        steps.append((matched[1], matched[2]))
    return steps


def _descend(message, name, index, override):
    """The message under a field, made where it is not set yet."""
    field = field_of(message, name, override)
    if field.message_type is None:
        raise _error(override, f"{name} holds a value, not a block: nothing can follow it")
    if not field.is_repeated:
        if index is not None:
            raise _error(override, f"{name} is a single block and takes no index")
        _tell_replaced(message, field, override)
        child = getattr(message, name)
        child.SetInParent()
        return child
    if field.message_type.GetOptions().map_entry:
        raise _error(override, f"{name} is a map; set one entry with {name}[key]=value")
    return _element(getattr(message, name), index, name, override)


def _element(items, index, name, override):
    if index is None:
        if len(items) > 1:
            raise _error(override, f"there are {len(items)} {name}; say which: {name}[0] ...")
        index = "0"
    number = _number(index, len(items), name, override)
    return items.add() if number == len(items) else items[number]


def _number(index, count, name, override):
    """Index text as a number; `count` itself means a new element."""
    if not re.fullmatch(r"-?[0-9]+", index):
        shown = shorten(index)
        raise _error(override, f"the index of {name} must be a whole number, not '{shown}'")
    number = int(index) if len(index) <= _MOST_DIGITS else count + 1
    number += count if index.startswith("-") else 0
    if not 0 <= number <= count:
        shown = shorten(index)
        raise _error(override, f"{name} has {count} element(s): {shown} is no index of it")
    return number


def _tell_replaced(message, field, override):
    oneof = field.containing_oneof
    present = oneof and message.WhichOneof(oneof.name)
    if present and present != field.name:
        _log.warning('override "%s": %s replaces %s', override, field.name, present)


def _set(message, name, index, value, override):
    field = field_of(message, name, override)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _set_map_entry(message, field, index, value, override)
    elif field.is_repeated:
        _set_list(message, field, index, value, override)
    elif index is not None:
        raise _error(override, f"{name} is a single value and takes no index")
    else:
        _tell_replaced(message, field, override)
        message.ClearField(name)
        _merge(message, field, value, override)


def _set_map_entry(message, field, index, value, override):
    if index is None:
        raise _error(override, f"{field.name} is a map; set one entry with {field.name}[key]=value")
    key_field = field.message_type.fields_by_name["key"]
    key = text_literal(key_field, index)
    value_field = field.message_type.fields_by_name["value"]
    body = (
        value if value_field.message_type is not None else ": " + text_literal(value_field, value)
    )
    text = f"{field.name} {{ key: {key} value{body} }}"
    _merge_text(message, text, override)


def _set_list(message, field, index, value, override):
    items = getattr(message, field.name)
    if index is None:
        message.ClearField(field.name)
        for part in _list_parts(value, override):
            _merge(message, field, part, override)
        return
    number = _number(index, len(items), field.name, override)
    fresh = type(message)()
    _merge(fresh, field, value, override)
    element = getattr(fresh, field.name)[0]
    if number == len(items):
        items.MergeFrom(getattr(fresh, field.name))
    elif field.message_type is not None:
        items[number].CopyFrom(element)
    else:
        items[number] = element


def _list_parts(value, override):
    """Elements of "[a, b]", or the one value without brackets; commas in quotes or braces stay."""
    if not (value.startswith("[") and value.endswith("]")):
        return [value]
    inner, parts, start, closers = value[1:-1], [], 0, []
    for piece in _LIST_PIECE.finditer(inner):
        sign = piece["sign"]
        if sign and sign in "\"'":
            if piece.start() == 0 or not inner[piece.start() - 1].isalnum():  # as in dog's.record
                raise _error(override, f"the list has a {sign} that is never closed")
        elif sign and sign in "{[":
            closers.append("}" if sign == "{" else "]")
        elif sign and sign in "}]":
            if not closers or closers.pop() != sign:
                raise _error(override, f"the list has a {sign} that closes nothing")
        elif sign == "," and not closers:
            parts.append(inner[start : piece.start()])
            start = piece.end()
    if closers:
        raise _error(override, f"the list lacks a {closers[-1]}")
    parts.append(inner[start:])
    return [part.strip() for part in parts if part.strip()]


def text_literal(field, value):
    """`value` as text format writes it for this field: texts get quotes where they have none."""
    if field.type != FieldDescriptor.TYPE_STRING:
        return value
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _merge(message, field, value, override):
    if field.message_type is not None:
        if not (value.startswith("{") and value.endswith("}")):
            raise _error(override, f"{field.name} is a block: give it in braces, {{name: value}}")
        _merge_text(message, f"{field.name} {value}", override)
        return
    if field.enum_type is not None and value not in field.enum_type.values_by_name:
        if not _is_enum_number(value, field.enum_type):
            raise _error(override, text_proto.unknown_enum(field.enum_type, value))
    _merge_text(message, f"{field.name}: {text_literal(field, value)}", override)


def _is_enum_number(value, enum_type):
    return (
        re.fullmatch(r"[0-9]+", value) is not None
        and len(value) <= _MOST_DIGITS
        and int(value) in enum_type.values_by_number
    )


def _merge_text(message, text, override):
    try:
        text_proto.merge(text, message, "")
    except text_proto.TextProtoError as error:
        reason = str(error).split("\n")[0].partition(": ")[2]
        raise _error(override, reason) from None
