"""Dotted overrides change one value, or nothing with a sentence why."""

import logging
import time

import pytest

from object_detection.config import overrides, pipeline_file
from object_detection.errors import ConfigError
from object_detection.protos import input_reader_pb2

TEXT = """
model { faster_rcnn { image_resizer { keep_aspect_ratio_resizer { min_dimension: 600 } } } }
train_config {
  optimizer { momentum_optimizer { momentum_optimizer_value: 0.5 } }
  freeze_variables: "a"
  freeze_variables: "b"
}
train_input_reader { tf_record_input_reader { input_path: "x" input_path: "y" } }
eval_input_reader { name: "first" }
eval_input_reader { name: "second" }
"""


def changed(*texts):
    config = pipeline_file.parse(TEXT)
    for text in texts:
        overrides.apply(config, text)
    return config


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("train_config.batch_size=7", 7),
        ("train_config.batch_size = 7", 7),
        ("train_config.gradient_clipping_by_norm=1e-2", pytest.approx(0.01)),
        ("train_config.sync_replicas=true", True),
        ("train_config.fine_tune_checkpoint=C:/a b/c=d.ckpt", "C:/a b/c=d.ckpt"),
        ("train_config.fine_tune_checkpoint=C:\\new", "C:\\new"),
        ("train_config.fine_tune_checkpoint='quoted'", "quoted"),
        ("train_config.fine_tune_checkpoint=", ""),
        ("train_input_reader.mask_type=PNG_MASKS", input_reader_pb2.PNG_MASKS),
        ("train_input_reader.mask_type=2", input_reader_pb2.PNG_MASKS),
        ("train_config.freeze_variables=[c, 'd, e']", ["c", "d, e"]),
        ("train_config.freeze_variables=c", ["c"]),
        ("train_config.freeze_variables[1]=c", ["a", "c"]),
        ("train_config.freeze_variables[-1]=c", ["a", "c"]),
        ("train_config.freeze_variables.0=c", ["c", "b"]),
        ("train_config.freeze_variables[2]=c", ["a", "b", "c"]),
        ("train_config.freeze_variables=[]", []),
        ("eval_input_reader[1].num_readers=3", 3),
        ("eval_input_reader[2].name=third", "third"),
    ],
)
def test_a_value_is_set(text, value):
    message = changed(text)
    path = text.partition("=")[0].strip().replace("[", ".").replace("]", "")
    for step in path.split("."):
        if step.lstrip("-").isdigit():
            message = message[int(step)] if not isinstance(value, list) else message
        else:
            message = getattr(message, step)

    assert (list(message) if isinstance(value, list) else message) == value


def test_a_map_entry_is_set():
    config = changed("eval_config.super_categories[animal]=cat,dog")

    assert dict(config.eval_config.super_categories) == {"animal": "cat,dog"}


def test_a_block_is_replaced_as_a_whole():
    config = changed("model.faster_rcnn.image_resizer={keep_aspect_ratio_resizer {}}")

    resizer = config.model.faster_rcnn.image_resizer.keep_aspect_ratio_resizer
    assert not resizer.HasField("min_dimension")


def test_another_member_of_a_oneof_takes_the_place_of_the_first_and_says_so(caplog):
    rate = "train_config.optimizer.adam_optimizer.learning_rate.constant_learning_rate"

    with caplog.at_level(logging.WARNING):
        config = changed(f"{rate}.learning_rate=0.25")

    assert config.train_config.optimizer.WhichOneof("optimizer") == "adam_optimizer"
    constant = config.train_config.optimizer.adam_optimizer.learning_rate.constant_learning_rate
    assert constant.learning_rate == 0.25
    assert "adam_optimizer replaces momentum_optimizer" in caplog.text


def test_values_of_python_are_written_for_the_text_format():
    config = pipeline_file.parse(TEXT)

    overrides.set_value(config, "train_config.freeze_variables", ["a, b", 'c"d'])
    overrides.set_value(config, "train_config.sync_replicas", True)
    overrides.set_value(config, "train_config.optimizer", type(config.train_config.optimizer)())

    assert list(config.train_config.freeze_variables) == ["a, b", 'c"d']
    assert config.train_config.sync_replicas
    assert config.train_config.optimizer.WhichOneof("optimizer") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train_config.batch_size", "write it as dotted.path=value"),
        ("trainconfig.batch_size=1", 'did you mean "train_config"'),
        ("train_config.batchsize=1", 'TrainConfig has no field "batchsize"; did you mean "batch_s'),
        ("train_config.batch_size=two", 'expected a whole number, not "two"'),
        ("train_config.batch_size.x=1", "batch_size holds a value, not a block"),
        ("train_config.batch_size[0]=1", "batch_size is a single value and takes no index"),
        ("train_config[0].batch_size=1", "train_config is a single block and takes no index"),
        ("train_config.optimizer=adam", "optimizer is a block: give it in braces"),
        ("train_input_reader.mask_type=PNG", "allowed: DEFAULT, NUMERICAL_MASKS, PNG_MASKS"),
        ("train_config.freeze_variables[3]=c", "has 2 element.s.: 3 is no index of it"),
        ("train_config.freeze_variables[x]=c", "must be a whole number"),
        ("eval_input_reader.name=c", r"there are 2 eval_input_reader; say which"),
        ("eval_config.super_categories=cat", r"is a map; set one entry"),
        ("a b.c=1", "is no field name"),
        ("model.faster_rcnn.image_resizer={fixed_shape {}}", "ImageResizer has no field"),
    ],
)
def test_what_does_not_fit_changes_nothing_and_says_why(text, said):
    config = pipeline_file.parse(TEXT)

    with pytest.raises(ConfigError, match=said):
        overrides.apply(config, text)

    assert config == pipeline_file.parse(TEXT)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[a, 'b, c', \"d]\"]", ["a", "b, c", "d]"]),
        ("[dog's.record, b]", ["dog's.record", "b"]),
        ("[]", []),
    ],
)
def test_a_list_is_cut_at_its_commas(text, parts):
    config = pipeline_file.parse(TEXT)
    overrides.apply(config, f"train_config.freeze_variables={text}")

    assert list(config.train_config.freeze_variables) == parts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train_config.freeze_variables=[a}, b]", "the list has a } that closes nothing"),
        (
            "train_config.freeze_variables=[a, {b]",
            "the list has a ] that closes|the list lacks a }",
        ),
        ("train_config.freeze_variables=[a, 'b]", "the list has a ' that is never closed"),
        ("train_config.freeze_variables[" + "9" * 5000 + "]=c", "5,000 characters.* is no index"),
        ("train_config.freeze_variables[-" + "9" * 5000 + "]=c", "characters.* is no index of it"),
        ("train_config.freeze_variables[\u00b2]=c", "must be a whole number"),
        ("train_input_reader.mask_type=" + "9" * 5000, "is not a value of InstanceMaskType"),
        ("train_config.fine_tune_checkpoint=\ud800", "half of a character"),
        ("train_config.freeze_variables=[" + '"\\' * 50_000 + "]", "never closed"),
        ("a" * 2_000_000, "write it as dotted.path=value"),
        ("a" * 2_000_000 + "=3", "has no field"),
        ("train_config." + "a" * 2_000_000 + "=3", "TrainConfig has no field"),
        ("train_config.batch_size=" + "9" * 2_000_000, "expected a whole number"),
        ("train_config={" + "optimizer {" * 5000 + "}" * 5001, "OPTIMIZER"),
    ],
    ids=lambda text: text[:40],
)
def test_values_of_any_size_are_refused_in_a_short_sentence_at_once(text, said):
    config = pipeline_file.parse(TEXT)
    started = time.monotonic()

    with pytest.raises(ConfigError, match=f"(?i){said}") as caught:
        overrides.apply(config, text)

    assert len(str(caught.value)) < 2500 and time.monotonic() - started < 2
    assert config == pipeline_file.parse(TEXT)
