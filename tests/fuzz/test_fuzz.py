"""Damaged inputs of every kind end in a sentence, soon and in little memory.

`make fuzz` tries ten times as many. The message of a failure says how to run its input again.
"""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

import harness

COUNT = 1000


@pytest.mark.slow
@pytest.mark.parametrize("kind", harness.KINDS)
def test_damaged_inputs_end_in_a_sentence(kind):
    failures = harness.hunt(kind, 0, COUNT, jobs=2)

    assert not failures, "\n".join(map(str, failures))


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    """{number: Failure} of a reader that goes wrong in every way."""
    folder = tmp_path_factory.mktemp("fuzz")
    found = harness.hunt("faulty", 0, 12, seconds=1.0, growth=200 << 20, output=folder)
    return {failure.number: failure for failure in found}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (1, "UnicodeDecodeError: 'utf-8' codec can't decode byte"),
        (2, "no sentence: DocumentedError: 'id'"),
        (3, "a message of 100,019 characters: DocumentedError"),
        (4, "a message that cannot be printed: 'DocumentedError: there is no file \\ud800.png"),
        (5, "it takes over 1 s"),
        (6, "it takes over 1 s"),
        (7, "the process died (SIGSEGV)"),
        (8, "the process grew by 0.3 GiB"),
    ],
)
def test_the_harness_sees_what_goes_wrong(faults, number, reason):
    failure = faults[number]

    assert failure.reason.startswith(reason)
    assert f"harness.py faulty --first={number} --count=1" in failure.report.read_text()
    assert (failure.report.parent / "input" / "input.txt").read_text() == f"input {number}"


@pytest.mark.slow
def test_the_harness_passes_what_is_documented_and_goes_on_after_each_failure(faults):
    assert sorted(faults) == [1, 2, 3, 4, 5, 6, 7, 8]  # 0 is documented, 9 to 11 are read


@pytest.mark.slow
def test_the_stack_of_a_hang_is_kept(faults):
    assert "in _hangs" in faults[5].report.read_text()
