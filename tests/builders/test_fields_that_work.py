"""Every field that docs/fields.md calls working: another valid value changes what is built."""

import copy

import pytest
import recorded_runs
import whole_configs
from made_records import record, write

from object_detection.config import field_checks, field_use, preflight
from object_detection.modeling.backbones import BACKBONES

BOX = (0.25, 0.2, 0.75, 0.5)
# Valid only together with another field. Here they change alone, past the checks.
NOT_ALONE = {
    "FeaturePyramidNetworks.min_level",  # with the anchors' levels
    "FeaturePyramidNetworks.max_level",
    "MultiscaleAnchorGenerator.min_level",
    "MultiscaleAnchorGenerator.max_level",
    "MaskRCNNBoxPredictor.predict_instance_masks",  # with number_of_stages
}
# Of an InputReader; the checks warn of them in an eval_input_reader.
IN_TRAINING_ALONE = {
    ("eval_input_reader", 0, "num_epochs"),
    ("eval_input_reader", 0, "sample_from_datasets_weights"),
    ("eval_input_reader", 0, "drop_remainder"),
    ("eval_input_reader", 0, "data_service"),
}
RECORDERS = {
    ("model",): recorded_runs.network,
    ("train_config", "optimizer"): recorded_runs.optimizer,
    ("train_config", "data_augmentation_options"): recorded_runs.augmentations,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With the files that the configs name."""
    folder = tmp_path_factory.mktemp("configs")
    for name in "ab":
        write(folder / f"{name}.record", [record([BOX], masks=True)])
    (folder / "a.pbtxt").write_text("item { id: 1 name: 'cat' } item { id: 2 name: 'dog' }")
    (folder / "b.pbtxt").write_text("item { id: 1 name: 'dog' } item { id: 2 name: 'cat' }")
    for name in ("weights", "other_weights"):
        (folder / name).write_text("")
    return folder


def recorder_of(path):
    """Return the function that records what a config builds of the part with a path."""
    return next(
        (tell for start, tell in RECORDERS.items() if path[: len(start)] == start),
        recorded_runs.runs,
    )


def faults(config):
    found = preflight.check(
        config, purpose="train", supported_extractors=tuple(BACKBONES), reads=()
    )
    later = [warning for warning in found.warnings if "would stop here" in warning.problem]
    return [str(fault) for fault in (*found.faults, *later)]


def difference(config, before, path, field, value):
    """'' where a changed field changes what is built, else why it is held for one that doesn't."""
    changed = copy.deepcopy(config)
    message = whole_configs.message_at(changed, path)
    name = f"{field_checks.message_name(message.DESCRIPTOR)}.{field.name}"
    if value is None:
        message.ClearField(field.name)
    else:
        whole_configs.assign(message, field, value)
        found = [] if name in NOT_ALONE else faults(changed)
        if found:
            return f"{name}: {value!r} is a fault: {found[0]}"
    try:
        after = recorder_of((*path, field.name))(changed)
    except ValueError:
        return ""  # what the field said is needed
    return "" if after != before else f"{name}: {value!r} changes nothing"


def look(config, folder, done, left):
    """Tries another value of each field of a config that works and that none did justice to yet.

    Args:
        config: TrainEvalPipelineConfig.
        folder: for `whole_configs.other_values`.
        done: paths of fields that make a difference; those of this config join them.
        left: path -> why the field seems to make none; the same.
    """
    before = {}
    for path, message, name in whole_configs.messages_of(config):
        for field in message.DESCRIPTOR.fields:
            here = (*path, field.name)
            if field.name not in field_use.read_fields(name) or here in done:
                continue
            tell = recorder_of(here)
            if tell not in before:
                before[tell] = tell(config)
                assert tell(copy.deepcopy(config)) == before[tell]
            for value in values_of(name, message, field, folder):
                left[here] = difference(config, before[tell], path, field, value)
                if not left[here]:
                    done.add(here)
                    del left[here]
                    break


def values_of(name, message, field, folder):
    """Other values; [None] for a message that nothing below speaks for, [] for one not there."""
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    if field.message_type is None or is_map:
        return whole_configs.other_values(name, message, field, folder)
    below = field_use.read_fields(field_checks.message_name(field.message_type))
    return [None] if not below and message.HasField(field.name) else []


def test_another_value_of_a_field_that_works_changes_what_is_built(folder):
    done, left = set(IN_TRAINING_ALONE), {}
    for config in whole_configs.whole_configs(folder).values():
        assert faults(config) == []
        look(config, folder, done, left)

    assert not left, "\n".join(f"{path} {why}" for path, why in left.items())
    assert not_looked_at(done) == []


def not_looked_at(done):
    """Fields that work of which no value was tried, neither of them nor of one below them."""
    tried = set()
    for path in done:
        descriptor = whole_configs.DESCRIPTOR
        for step in (step for step in path if isinstance(step, str)):
            tried.add(f"{field_checks.message_name(descriptor)}.{step}")
            descriptor = descriptor.fields_by_name[step].message_type
    works = {f"{name}.{one}" for name in field_use.READ for one in field_use.read_fields(name)}
    return sorted(works - tried)


def test_fields_without_effect_change_nothing(folder):
    tried, before = set(), {}
    for key, config, path, field in whole_configs.places_of_fields(folder):
        if key not in field_use.WITHOUT_EFFECT and key not in field_use.IMPLIED:
            continue
        tell = recorder_of((*path, field.name))
        if (id(config), tell) not in before:
            before[id(config), tell] = tell(config)
        after = tell(whole_configs.with_another(config, path, field, folder))
        assert after == before[id(config), tell], key
        tried.add(key)

    assert tried == field_use.WITHOUT_EFFECT.keys() | field_use.IMPLIED.keys()
