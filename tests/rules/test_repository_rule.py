"""What no file of the repository may hold, and what each must."""

import re
from collections import Counter

from source_tree import ROOT, parsed, sources, tracked_files

# Put together here, so that this file does not break its own rule.
MACHINE_PATH = re.compile(
    r"(?<![\w.])/(" + "|".join(["wo" + "rk", "op" + "t", "ro" + "ot", "ho" + "me"]) + ")/"
)


def _texts():
    for path in tracked_files():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or an array


def test_no_file_names_a_path_of_somebodys_machine():
    found = [
        f"{path.relative_to(ROOT)}: {text[max(match.start() - 30, 0) : match.end() + 30]!r}"
        for path, text in _texts()
        for match in MACHINE_PATH.finditer(text)
    ]
    assert not found, "\n".join(found)


def test_the_rule_of_paths_finds_one():
    assert MACHINE_PATH.search("open('/ho" + "me/me/x')")
    assert not MACHINE_PATH.search("a/ho" + "me/b and https://x.org/op" + "tions")


def test_no_file_is_large():
    large = [
        f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes"
        for path in tracked_files()
        if path.stat().st_size > 500_000
    ]
    assert not large


def test_every_module_says_what_it_is():
    silent = [
        str(path.relative_to(ROOT))
        for path in sources("object_detection", "scripts", "benchmarks")
        if not path.read_text(encoding="utf-8").lstrip().startswith(('"""', 'r"""'))
    ]
    assert not silent


def test_nothing_is_left_to_be_done_later():
    marks = re.compile(
        r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error"]) + r")\b"
    )
    found = [
        str(path.relative_to(ROOT))
        for path in sources("object_detection", "dataset_tools", "scripts", "benchmarks", "tests")
        if marks.search(path.read_text(encoding="utf-8")) and parsed(path)
    ]
    assert not found


def test_modules_of_the_tests_have_names_of_their_own():
    # Their folders are no packages: two modules of one name would be one.
    names = Counter(path.name for path in sources("tests") if path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []
