"""Each mistake in a text proto gets the place and a sentence that says what to write."""

import time
import tracemalloc

import pytest

from object_detection.protos import pipeline_pb2
from object_detection.utils import text_proto
from object_detection.utils.text_outline import Outline


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
        ("train_config { batch_size: two }", 'expected a whole number, not "two"'),
        ("train_config { batch_size: 1.5 }", 'expected a whole number, not "1.5"'),
        ("train_config { batch_size: -1 }", "-1 does not fit"),
        ("train_config { gradient_clipping_by_norm: ten }", 'expected a number, not "ten"'),
        ("train_config { sync_replicas: yes }", 'expected true or false, not "yes"'),
        ("train_config { batch_size 1 }", "expected a colon and a value"),
        ("train_config { batch_size = 1 }", "a value is given with a colon"),
        ("train_config: 3", "expected a block"),
        ("model { ssd { > }", "expected a field name"),
        ("// comment\nmodel { }", "comments start with #"),
        ("model { } }\n", "one closing } too many"),
        ('train_input_reader { label_map_path: "a\n', "cut off"),
        ("train_input_reader { label_map_path: data/a.pbtxt }", 'in quotes, not "data/a.pb'),
        ("train_input_reader { label_map_path: \u201ca\u201d }", "write straight ones"),
    ],
)
def test_a_mistake_is_reported_in_words_that_say_what_to_write(text, said):
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


def test_a_brace_missing_at_the_end_is_reported_by_the_indentation():
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


@pytest.mark.parametrize(
    ("text", "column", "sign", "kept"),
    [
        ("label_map_path: 'dog's map.pbtxt'", 21, "'", "'dog'"),
        ('label_map_path: "my "best" map"', 21, '"', '"my "'),
        ('label_map_path: "a 5" disk"', 21, '"', '"a 5"'),
        ('label_map_path: "a"num_readers"', 19, '"', '"a"'),
        ('label_map_path: "a"-1.pbtxt"', 19, '"', '"a"'),
        ('label_map_path: "a"" ', 19, '"', '"a"'),
    ],
)
def test_a_quote_inside_a_text_is_named_with_the_way_to_write_it(text, column, sign, kept):
    said = complaint(f"train_input_reader {{\n{text}\n}}")

    assert f"the {sign} in column {column} ends the text {kept}, and what follows" in said
    assert f"Write a {sign} inside {sign}...{sign} as \\{sign}, or put the text into " in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('label_map_path: "a" num_readers 1', "expected a colon and a value"),
        ('label_map_path: "a"num_reader: 1', 'did you mean "num_readers"'),
        ("label_map_path: \"a\" 'b' num_reader: 1", 'did you mean "num_readers"'),
        ('label_map_path: "a", num_reader: 1  # "x" y"', 'did you mean "num_readers"'),
        ('label_map_path: "a', "no closing quote"),
    ],
)
def test_other_mistakes_after_a_text_keep_their_sentence(text, said):
    assert said in complaint(f"train_input_reader {{\n{text}\n}}\n")


def test_escaped_quotes_are_read():
    reader = pipeline_pb2.TrainEvalPipelineConfig()
    text_proto.merge(r"train_input_reader { label_map_path: 'dog\'s \"map\"' }", reader, "")

    assert reader.train_input_reader.label_map_path == 'dog\'s "map"'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[lstm_object_detection.protos.lstm_model] {\n  train_unroll_length: 4\n}",
            "[lstm_object_detection.protos.lstm_model] belongs to LSTM-SSD "
            "(lstm_object_detection), a detector for videos that is not supported. Faster "
            "R-CNN and Mask R-CNN are: model",
        ),
        (
            "train_input_reader { external_input_reader {\n[a.b.reader] { } } }",
            "[a.b.reader] is a field that another program adds to the schema. It is not supported",
        ),
        ("model { ssd { [x.y]: 3 } }", "[x.y] is a field that another program adds"),
    ],
)
def test_fields_of_other_programs_are_named(text, said):
    assert said in complaint(text)


BIG = 2_000_000


@pytest.mark.parametrize(
    "text",
    [
        "train_config { batch_size: " + "9" * BIG + " }",
        "train_config { " + "b" * BIG + ": 1 }",
        "a" * BIG,
        "train_config { fine_tune_checkpoint: " + "a" * BIG + " }",
        'train_config { fine_tune_checkpoint: "' + "a" * BIG + " }",
        "train_input_reader { mask_type: " + "a" * BIG + " }",
        "model { " + "[" + "a" * BIG + "] {} }",
        "model { ssd { \x01" + "a" * BIG,
        "x " * (BIG // 2),
        '"' * BIG,
    ],
    ids=lambda text: text[:30],
)
def test_a_huge_word_is_quoted_in_short(text):
    assert len(complaint(text)) < 2500


def test_the_wording_of_an_error_takes_time_and_memory_in_proportion_to_the_text():
    deep = "model { " + "x { " * 20_000  # 80 kB; 11 s and 1.5 GB when every token kept all blocks
    whole = "model { faster_rcnn { } } " * 4000 + "model { x: 1 }"
    started = time.monotonic()
    for text in (deep, deep.replace(" ", "\n"), whole):
        assert 'DetectionModel has no field "x"' in complaint(text)
    assert time.monotonic() - started < 5

    tracemalloc.start()
    try:
        outline = Outline(deep[:20_000])
        assert len(outline.open_at_end) == 4999
        assert tracemalloc.get_traced_memory()[1] < 10e6  # was 100 MB
    finally:
        tracemalloc.stop()


def test_of_many_open_blocks_the_ends_are_named():
    blocks = text_proto._listed_blocks(Outline("model { " + "ssd {\n" * 99).open_at_end)

    assert blocks == (
        '"model" of line 1, "ssd" of line 1, "ssd" of line 2, "ssd" of line 3, 95 more, '
        '"ssd" of line 99'
    )


def test_half_a_character_is_named_and_the_message_is_printable():
    said = complaint("train_config { fine_tune_checkpoint: 'a\ud800' }")

    assert "this text contains half of a character (a lone surrogate" in said
    assert said.encode("utf-8")


def test_an_old_name_of_a_field_is_refused_with_the_new_name():
    text = "train_input_reader {\n  neutral_class: 'crowd'\n}"
    with pytest.raises(text_proto.TextProtoError) as caught:
        text_proto.merge(text, pipeline_pb2.TrainEvalPipelineConfig(), "a.config")
    first, line, caret = str(caught.value).split("\n")
    assert first.startswith("a.config:2:")
    assert "neutral_class was renamed to ignore_class (in InputReader)." in first
    assert line == "    neutral_class: 'crowd'" and caret.strip() == "^"
