"""Fields that are set and not supported (faults), or set for nothing (warnings)."""

from object_detection.config import field_use
from object_detection.config.findings import Finding, Findings, listed, number
from object_detection.protos import pipeline_pb2

_PACKAGE = "object_detection.protos."
_NO_EFFECT = "is {value} but has no effect: {reason}"


def check(config, skip=()) -> Findings:
    """Looks up every set field of a config in `field_use`.

    Args:
        config: TrainEvalPipelineConfig, or any message below it.
        skip: names of the config's own fields that are left out.
    """
    faults, warnings = [], []
    for path, message, field in _set_fields(config, "", set(skip)):
        fault = _fault(path, message, field)
        if fault:
            faults.append(fault)
            continue
        key = f"{message_name(message.DESCRIPTOR)}.{field.name}"
        reason = field_use.WITHOUT_EFFECT.get(key)
        if reason and not is_default(message, field):
            problem = _NO_EFFECT.format(value=_shown(message, field), reason=reason)
            warnings.append(Finding(path, problem))
    return Findings(tuple(faults), tuple(warnings))


def message_name(descriptor):
    """The name of a message within the schema, with the messages it is nested in."""
    return descriptor.full_name.removeprefix(_PACKAGE)


def reached(root=None):
    """{name: descriptor} of every message that a supported config can hold, in order of depth.

    Args:
        root: descriptor to begin at; by default that of a whole config.
    """
    messages, todo = {}, [root or pipeline_pb2.TrainEvalPipelineConfig.DESCRIPTOR]
    while todo:
        descriptor = todo.pop(0)
        name = message_name(descriptor)
        if name in messages:
            continue
        messages[name] = descriptor
        fields = [field for field in descriptor.fields if field.name in field_use.read_fields(name)]
        below = [field.message_type for field in fields if field.message_type is not None]
        todo = [one for one in below if not one.GetOptions().map_entry] + todo
    return messages


def is_default(message, field):
    """Whether a field holds what it would hold unset."""
    if field.is_repeated:
        return not getattr(message, field.name)
    if field.message_type is not None:
        return not message.HasField(field.name)
    return getattr(message, field.name) == field.default_value


def is_refused(field, name):
    """Whether a field of the message `name` is refused as such, whatever it holds."""
    if f"{name}.{field.name}" in field_use.REFUSED:
        return True
    return field.containing_oneof is not None and field.name not in field_use.read_fields(name)


def _set_fields(message, path, skip=frozenset()):
    """(dotted path, message, field) of each set field, those of sub-messages that are read too."""
    for field, value in message.ListFields():
        if field.name in skip:
            continue
        here = f"{path}.{field.name}" if path else field.name
        yield here, message, field
        name = message_name(message.DESCRIPTOR)
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if field.message_type is None or is_map or field.name not in field_use.read_fields(name):
            continue
        if not field.is_repeated:
            yield from _set_fields(value, here)
            continue
        for index, item in enumerate(value):
            yield from _set_fields(item, f"{here}[{index}]" if len(value) > 1 else here)


def _fault(path, message, field):
    name = message_name(message.DESCRIPTOR)
    if name == "DetectionModel":
        return None  # model_checks says more about another kind of model
    key = f"{name}.{field.name}"
    if field.enum_type is not None and not field.is_repeated:
        fix = field_use.REFUSED_VALUES.get((key, _shown(message, field)))
        if fix:
            return Finding(path, f"is {_shown(message, field)}, which is not supported", fix)
    if is_default(message, field) or not is_refused(field, name):
        return None
    if key in field_use.REFUSED:
        value = "" if field.message_type is not None else f"is {_shown(message, field)}, which "
        return Finding(path, f"{value}is not supported", field_use.REFUSED[key])
    supported = [
        member.name
        for member in field.containing_oneof.fields
        if member.name in field_use.read_fields(name)
    ]
    return Finding(path, "is not supported", f"Supported here: {listed(supported, 20)}")


def _shown(message, field):
    value = getattr(message, field.name)
    if field.is_repeated:
        return f"a list of {len(value)}"
    if field.message_type is not None:
        return "set"
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    return str(value).lower() if isinstance(value, bool) else number(value)
