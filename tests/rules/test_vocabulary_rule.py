"""The code is written in the words of the field, as docs/architecture.md lists them.

Two lists: words that no identifier may be made of, and phrases that no message, help text,
docstring or page of the documentation may contain. Everything else is for the editor's review.
"""

import ast
import re

import pytest
from source_tree import ROOT, parsed, sources, tracked_files

FOLDERS = ("object_detection", "dataset_tools", "scripts", "samples", "benchmarks", "tests")
# No part of an identifier between underscores, also not in the plural.
WORDS = {"door", "room", "floor", "told", "attempted", "settled", "rescue"}
# No identifier as a whole.
NAMES = {"neutral_ground", "neutral_class", "neutral_classes", "outcomes"} | {
    *("truth_sources", "found_for_truth", "to_judge", "look_at_stored", "look_at_given"),
    *("say_who_we_are", "hold_norms", "layer_groups", "short_names", "weights_of_losses"),
    *("silence", "agree", "as_dict"),
}
CLASSES = {
    "Way",
    "Cut",
    "Form",
    "Place",
    "Entry",
    "Choice",
    "Base",
    "Plan",
    "Question",
    "Sheet",
} | {
    *("SeenImage", "Judgement", "Found", "Given", "Look", "Looked", "Chosen"),
    *("_Watch", "_Saver", "_Said"),
}
PHRASES = (
    *("that is none", "where none is", "so many", "of which", "goes before", "stands twice"),
    *("hangs on", "is told", "neutral ground", "front door"),
)
ANY_PHRASE = re.compile("|".join(rf"\b{phrase}\b" for phrase in PHRASES).replace(" ", r"\s+"), re.I)


def _defined(tree):
    """(line, name, whether it is a class's) of everything that a module defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.lineno, node.name, True
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name, False
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg, False
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id, False
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr, False
        elif isinstance(node, ast.alias) and node.asname:
            yield node.lineno, node.asname, False


def _is_dialect(name, is_class=False):
    if is_class and name in CLASSES:
        return True
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")
    return name.lower() in NAMES or any(part in WORDS or part[:-1] in WORDS for part in parts)


def _identifiers(path):
    yield 1, path.stem, False
    yield from _defined(parsed(path))


def test_identifiers_are_the_words_of_the_field():
    faults = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sources(*FOLDERS)
        for line, name, is_class in _identifiers(path)
        if _is_dialect(name, is_class)
    ]
    assert not faults, "\n".join(faults)


def _texts(path):
    """(line, text) of the strings of a Python file, docstrings among them."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_messages_and_docstrings_have_no_private_phrases():
    faults = [
        f"{path.relative_to(ROOT)}:{line}: {' '.join(match[0].split())!r}"
        for path in sources("object_detection", "dataset_tools", "scripts", "benchmarks")
        for line, text in _texts(path)
        for match in ANY_PHRASE.finditer(text)
    ]
    assert not faults, "\n".join(faults)


def test_pages_have_no_private_phrases():
    faults = [
        f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}"
        for path in tracked_files()
        if path.suffix in (".md", ".html", ".proto", ".config", ".txt")
        for text in [path.read_text(encoding="utf-8")]
        for match in ANY_PHRASE.finditer(text)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("def open_door(): pass", "open_door"),
        ("class ServerRooms: pass", "ServerRooms"),
        ("class Way: pass", "Way"),
        ("told = 1", "told"),
        ("def f(outcomes): pass", "outcomes"),
        ("self.neutral_class = 1", "neutral_class"),
        ("import x as rescue", "rescue"),
    ],
)
def test_the_rule_finds_a_definition(code, name):
    names = [
        found for _, found, is_class in _defined(ast.parse(code)) if _is_dialect(found, is_class)
    ]
    assert names == [name]


@pytest.mark.parametrize("name", ["indoor", "way", "rooms_of"[:0] or "bedrock", "floordiv", "plan"])
def test_the_rule_leaves_other_names_alone(name):
    assert not _is_dialect(name)
