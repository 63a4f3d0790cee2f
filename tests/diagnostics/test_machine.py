"""Remarks on machines that this one is not."""

import os
from types import SimpleNamespace

import pytest

from object_detection.data import native
from object_detection.diagnostics import machine
from object_detection.diagnostics.machine import GIB
from object_detection.diagnostics.remarks import FAULT, NOTE, OK

CPU = "model name\t: Some CPU\nflags\t\t: fpu %s sse\n"


@pytest.mark.parametrize(
    ("flags", "expected", "words"),
    [
        ("", [FAULT], "without AVX"),
        ("avx", [OK, OK], "slower"),
        ("avx avx2 avx512f amx_bf16", [OK, OK], "avx2, avx512f, amx_bf16"),
    ],
)
def test_processors(flags, expected, words):
    remarks = list(machine.examine_processor(CPU % flags, "x86_64"))
    assert [remark.level for remark in remarks] == expected
    assert words in " ".join(remark.what for remark in remarks)


def test_a_processor_that_is_no_x86_needs_no_avx():
    assert [r.level for r in machine.examine_processor("Features\t: asimd\n", "aarch64")] == [
        OK
    ] * 2


def test_compilers():
    [result] = machine.examine_compiler({}, lambda name: name == "gcc" and "gcc-path")
    [none] = machine.examine_compiler({}, lambda name: None)
    [off] = machine.examine_compiler({"OBJECT_DETECTION_NATIVE": "0"})
    assert (result.level, none.level, off.level) == (OK, NOTE, NOTE)
    assert machine._COMPILERS == native._COMPILERS


def test_memory_and_shared_memory(tmp_path):
    [little], [much] = machine.examine_memory(GIB), machine.examine_memory(8 * GIB)
    assert (little.level, much.level) == (NOTE, OK) and "batch_size" in little.cure

    def shared(size):
        return list(machine.examine_shared_memory(tmp_path, lambda f: SimpleNamespace(total=size)))

    assert [shared(64 << 20)[0].level, shared(GIB)[0].level] == [NOTE, OK]
    assert "--shm-size" in shared(64 << 20)[0].cure
    assert not list(machine.examine_shared_memory(tmp_path / "absent"))


def test_folders(tmp_path, monkeypatch):
    def said(free, purpose="where you are"):
        usage = SimpleNamespace(free=free)
        [remark] = machine.examine_folders({purpose: tmp_path / "not/yet"}, lambda folder: usage)
        return remark

    assert said(GIB).level == NOTE and said(9 * GIB).level == OK
    assert str(tmp_path) in said(GIB).what
    monkeypatch.setattr(os, "access", lambda *arguments: False)
    assert said(9 * GIB).level == NOTE
    assert said(9 * GIB, "temporary files").level == FAULT
    assert "XDG_CACHE_HOME" in said(9 * GIB, "the cache").cure


def test_this_machine():
    looks = (machine.examine_processor, machine.examine_memory, machine.examine_folders)
    assert all(list(look()) for look in looks)
