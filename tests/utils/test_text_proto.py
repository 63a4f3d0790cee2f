"""Each mistake in a text proto gets the place and a sentence that says what to write."""

import pytest

from object_detection.protos import pipeline_pb2
from object_detection.utils import text_proto


def complaint(text):
    with pytest.raises(text_proto.TextProtoError) as caught:
        text_proto.merge(text, pipeline_pb2.TrainEvalPipelineConfig(), "my.config")
    return str(caught.value)


def test_an_error_shows_the_place_the_line_and_a_caret_below_the_word():
    text = "model {\n  faster_rcnn {\n    num_clases: 3\n  }\n}\n"

    assert complaint(text) == (
        'my.config:3:5: FasterRcnn has no field "num_clases"; did you mean "num_classes"?\n'
        "      num_clases: 3\n"
        "      ^"
    )


def test_the_caret_stands_right_below_tabs():
    assert complaint("model {\n\tssdd {}\n}").endswith("\n  \tssdd {}\n  \t^")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # the field exists, but elsewhere
        ("train_config { num_classes: 3 }", "it belongs in model.faster_rcnn or model.ssd"),
        # nothing is near: all there is
        ("model { yolo { } }", "it has: center_net, experimental_model, faster_rcnn, ssd."),
        ("train_input_reader { mask_type: PNG }", "DEFAULT, NUMERICAL_MASKS, PNG_MASKS"),
        ("train_input_reader { mask_type: PNG_MASK }", 'did you mean "PNG_MASKS"?'),
        ("train_input_reader { mask_type: 7 }", "7 is not a value of InstanceMaskType"),
        ("train_config { batch_size: two }", 'a whole number is wanted, not "two"'),
        ("train_config { batch_size: 1.5 }", 'a whole number is wanted, not "1.5"'),
        ("train_config { batch_size: -1 }", "-1 does not fit"),
        ("train_config { gradient_clipping_by_norm: ten }", 'a number is wanted, not "ten"'),
        ("train_config { sync_replicas: yes }", 'true or false is wanted, not "yes"'),
        ("train_config { batch_size 1 }", "a colon and a value are wanted here"),
        ("train_config { batch_size = 1 }", "a value is given with a colon"),
        ("train_config: 3", "a block is wanted here"),
        ("model { ssd { > }", "a field name is wanted here"),
        ("// comment\nmodel { }", "comments start with #"),
        ("model { } }\n", "one closing } too many"),
        ('train_input_reader { label_map_path: "a\n', "cut off"),
        ("train_input_reader { label_map_path: data/a.pbtxt }", 'in quotes is wanted: "data/a.pb'),
        ("train_input_reader { label_map_path: \u201ca\u201d }", "write straight ones"),
    ],
)
def test_a_mistake_is_told_in_words_that_say_what_to_write(text, said):
    assert said in complaint(text)


@pytest.mark.parametrize(
    "path", [r"C:\data\a.record", "D:/data/a.record", r'"C:\users\x"', '"C:\\data\\" }\n#']
)
def test_a_windows_path_is_recognized(path):
    assert "forward slashes" in complaint(f"train_input_reader {{ label_map_path: {path} }}")


def test_a_windows_path_where_a_field_should_be_is_recognized():
    text = 'train_input_reader { tf_record_input_reader { input_path: "a" D:/b.record } }'

    assert '"D" looks like the drive of an unquoted path' in complaint(text)


def test_a_missing_brace_is_looked_for_where_the_next_block_begins():
    text = 'train_input_reader {\n  label_map_path: "x"\n\neval_config {\n}\n'

    assert (
        'InputReader has no field "eval_config", the top level has: a closing } is probably '
        'missing above line 4, for "train_input_reader" of line 1.' in complaint(text)
    )


def test_a_truncated_text_names_the_blocks_that_are_open():
    text = "model {\n  faster_rcnn {\n    num_classes: "

    assert '"model" of line 1, "faster_rcnn" of line 2. It was cut off' in complaint(text)


def test_a_brace_missing_at_the_end_is_told_by_the_indentation():
    # optimizer is not closed; batch_size stands as far out as optimizer does
    text = "train_config {\n  optimizer {\n    adam_optimizer {\n    }\n  batch_size: 1\n}\n"

    assert "batch_size" in complaint(text)
    assert "missing above line 5" in complaint(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('syntax = "proto2";\nmessage A { optional int32 b = 1; }', ".proto schema"),
        ("# x\nmessage Model {\n  optional int32 num_classes = 1;\n}", ".proto schema"),
        ("<!DOCTYPE html>\n<html></html>", "web page"),
        ('{"model": {"ssd": {}}}', "JSON"),
    ],
)
def test_a_file_of_another_kind_is_named(text, said):
    assert said in complaint(text)


def test_merging_replaces_values_and_lets_lists_grow():
    config = pipeline_pb2.TrainEvalPipelineConfig()
    text_proto.merge('train_config { batch_size: 1 freeze_variables: "a" }', config, "")
    text_proto.merge('train_config { batch_size: 2 freeze_variables: "b" }', config, "")

    assert config.train_config.batch_size == 2
    assert list(config.train_config.freeze_variables) == ["a", "b"]


def test_a_value_given_twice_is_noticed():
    text = "train_config {\n  batch_size: 1\n  batch_size: 2\n}"
    message_type = pipeline_pb2.TrainEvalPipelineConfig

    said = text_proto.repeated_setting(text, message_type)

    assert said == "line 3: batch_size is set more than once; the last one counts"
    assert text_proto.repeated_setting("train_config { batch_size: 1 }", message_type) is None
