"""The page of faults quotes messages that exist."""

import ast
import re

import pytest
from source_tree import ROOT, parsed, sources

PAGE = ROOT / "docs" / "troubleshooting.md"
# Sections whose quotes are of other programs.
OTHERS = ("Results", "Messages of TensorFlow", "Messages that TFOD")
LEAST = 4  # letters of a fragment that is looked for


def _quotes(text):
    """Texts in code marks in the first cells of the tables of our messages."""
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        if section.startswith(OTHERS):
            continue
        for line in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE):
            yield from re.findall(r"`([^`]+)`", line)


def _messages():
    """Every text of the source, the values in it as '...'."""
    for path in sources("object_detection"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(getattr(part, "value", "...") if isinstance(part, ast.Constant)
                              else "..." for part in node.values)  # fmt: skip


def _lacking(quotes):
    """The quotes whose fragments stand in no one text of the source, in their order."""
    messages = {re.sub(r"%[sdr]|\{[^{}]*\}", "...", text) for text in _messages()}
    for quote in quotes:
        parts = [re.escape(part.strip()) for part in quote.split("...") if len(part) >= LEAST]
        pattern = re.compile(".*".join(parts), re.DOTALL)
        if not any(pattern.search(text) for text in messages):
            yield quote


def test_messages_that_are_quoted_exist():
    assert list(_lacking(_quotes(PAGE.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    ("quote", "found"),
    [("there is no file or folder ...", True), ("there is no such sentence at all", False)],
)
def test_the_rule_detects_wrong_quotes(quote, found):
    assert (list(_lacking([quote])) == []) == found


def test_the_page_quotes_many():
    assert len(list(_quotes(PAGE.read_text(encoding="utf-8")))) > 80
