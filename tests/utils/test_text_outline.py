"""Blocks are found in whole and in broken texts."""

from object_detection.utils.text_outline import Outline

TEXT = """a {
  b: {  # a comment with {
    c: "{" d: '}'
  }
  e < f: 1 >
}
g {
"""


def names_at(position):
    return [block.name for block in Outline(TEXT).path_at(position)]


def test_the_path_of_a_place_is_what_is_open_there():
    assert names_at((1, 1)) == []
    assert names_at((3, 5)) == ["a", "b"]
    assert names_at((5, 3)) == ["a"]
    assert names_at((5, 7)) == ["a", "e"]


def test_what_is_open_at_the_end_is_reported_with_its_line():
    assert [(block.name, block.line) for block in Outline(TEXT).open_at_end] == [("g", 7)]


def test_outermost_blocks_come_in_order():
    assert [block.line for block in Outline(TEXT).top_blocks] == [1, 7]


def test_elements_of_a_list_bear_the_name_of_the_list():
    outline = Outline("a: [ { b: 1 }, { c: 2 } ]")

    assert [block.name for block in outline.top_blocks] == ["a", "a"]


def test_the_first_line_indented_out_of_its_block_is_suspect():
    assert Outline("a {\n  b {\n    c: 1\n  d: 2\n}\n").suspect_line() == 4
    assert Outline("a {\n  b {\n    c: 1\n  }\n}\n").suspect_line() is None


def test_a_text_without_indentation_makes_nothing_suspect():
    assert Outline("a {\nb: 1\nc {\nd: 2\n}\n").suspect_line() is None
