"""The command: runs where nothing is installed, and its exit code is that of real faults."""

import subprocess
import sys
from pathlib import Path

import pytest

from object_detection import doctor
from object_detection.diagnostics.remarks import FAULT, Remark, fault, note, ok

ROOT = Path(doctor.__file__).parents[1]


@pytest.mark.parametrize(
    ("remarks", "code", "end"),
    [
        ([ok("a")], 0, "no problems"),
        ([ok("a"), note("b", "c")], 0, "no problems; 1 possible improvement(s)"),
        ([fault("a", "b"), note("c", "d")], 1, "1 problem(s) to fix; 1 possible improvement(s)"),
    ],
)
def test_the_exit_code_is_that_of_faults(monkeypatch, capsys, remarks, code, end):
    monkeypatch.setattr(doctor, "examine", lambda start: iter(remarks))
    assert doctor.main([]) == code
    assert capsys.readouterr().out.splitlines()[-1] == end


def test_a_look_that_breaks_does_not_hide_the_others(monkeypatch):
    def breaks():
        yield ok("first")
        raise OSError("gone")

    looks = [("Disk", breaks), ("Rest", lambda: iter([ok("second")]))]
    monkeypatch.setattr(doctor, "sections", lambda start: looks)

    assert [remark.what for remark in doctor.examine()] == [
        "first",
        "Disk could not be checked (OSError: gone)",
        "second",
    ]


def test_remarks_as_text():
    text = doctor.as_text(Remark(FAULT, "word " * 30, "pip install x"))
    assert text.startswith("FAULT word") and text.splitlines()[-1] == "      -> pip install x"
    assert max(map(len, text.splitlines())) <= 100


def test_it_runs_where_nothing_is_installed(tmp_path):
    """A Python without site-packages, in another folder: everything is named, nothing breaks."""
    command = [sys.executable, "-I", "-S", str(ROOT / "object_detection" / "doctor.py")]
    command += ["--quiet", "--no-start"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1 and not done.stderr
    assert "FAULT tensorflow is not installed" in done.stdout
    assert 'pip install "protobuf>=6.31,<8"' in done.stdout


def test_it_imports_nothing_but_pythons_own(tmp_path):
    program = (
        "import sys; before = set(sys.modules); import object_detection.doctor; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) - sys.stdlib_module_names == {"object_detection"}


def test_this_environment(capsys):
    assert doctor.main(["--no-start"]) == 0, capsys.readouterr().out
