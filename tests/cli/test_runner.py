"""How commands end: one line for what a user can repair, and files that are whole or absent."""

import errno
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from object_detection import atomic
from object_detection.cli import runner
from object_detection.errors import ConfigError, TrainingError, describe_os_error, install_command
from object_detection.prediction import command
from object_detection.training import jobs, train_loop

ROOT = Path(__file__).resolve().parents[2]


def run(folder, command, *arguments, without=("tensorflow",)):
    """A command in a folder, in an environment that lacks some packages."""
    program = (
        f"import runpy, sys\nfor name in {without!r}: sys.modules[name] = None\n"
        f"sys.argv[:1] = ['{command}']\n"
        f"runpy.run_module('object_detection.{command}', run_name='__main__', alter_sys=True)"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("package", ["orjson", "starlette", "uvicorn", "prometheus_client"])
def test_a_server_without_a_package_says_how_to_install_it(tmp_path, package):
    done = run(tmp_path, "serve", "--model=.", without=("tensorflow", package))
    assert done.returncode == 1
    assert f"the server needs {package}, which is not installed" in done.stderr
    assert done.stderr.rstrip().endswith("pip install --editable '.[serve]'")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("command", "flag"), [("serve", "--model=."), ("data_service", "")])
def test_a_taken_port_is_reported_before_tensorflow(tmp_path, command, flag):
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run(tmp_path, command, *filter(None, [flag]), f"--port={port}")
    assert done.returncode == 1
    assert f"port {port}: another program listens there already" in done.stderr
    assert "Traceback" not in done.stderr and "Errno" not in done.stderr


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EEXIST, "x/y: a file is there already, where a folder is needed"),
        (errno.ENOTDIR, "x/y: a part of this path is a file, not a folder"),
        (errno.ENOSPC, "x/y: no space is left on the device"),
        (errno.ENOENT, "x/y: there is no folder x"),
        (errno.EACCES, "x/y: permission denied"),
    ],
)
def test_errors_of_the_system_are_sentences(number, sentence):
    text = describe_os_error(OSError(number, os.strerror(number), "x/y"))
    assert text.startswith(sentence) and "Errno" not in text


def test_an_error_without_a_path_keeps_its_words():
    assert describe_os_error(OSError("the disk is away")) == "the disk is away"


@pytest.mark.parametrize(
    ("error", "only_own_errors", "code"),
    [
        (ConfigError("a fault"), True, 1),
        (TrainingError("a fault"), True, 1),
        (FileExistsError(errno.EEXIST, "File exists", "a fault"), True, 1),
        (ValueError("a fault"), False, 1),
        (KeyboardInterrupt(), True, 130),
        (runner.Terminated(), True, 143),
    ],
)
def test_what_a_user_can_repair_becomes_an_exit_code(error, only_own_errors, code, capsys):
    def work():
        raise error

    assert runner.attempt(work, only_own_errors) == code
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1 and "Traceback" not in said
    assert code != 1 or said.startswith("error: a fault")


@pytest.mark.parametrize(
    ("error", "only_own_errors"), [(ValueError("a bug"), True), (KeyError("a bug"), False)]
)
def test_a_bug_shows_itself(error, only_own_errors):
    def work():
        raise error

    with pytest.raises(type(error)):
        runner.attempt(work, only_own_errors)


def test_an_interrupt_that_became_another_error_is_one_all_the_same(monkeypatch, capsys):
    monkeypatch.setattr(runner._signals, "received", signal.SIGINT)

    def work():
        raise SystemError("initialization of _pywrap failed")

    assert runner.attempt(work) == 130
    assert capsys.readouterr().err.strip() == "Interrupted."


def test_handlers_of_others_stay():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as end:
        runner.run(lambda _: 3, arguments=["x"])
    assert end.value.code == 3 and signal.getsignal(signal.SIGINT) is before


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    atomic.write_text(path, "old")
    with pytest.raises(KeyboardInterrupt):
        with atomic.replacing(path) as partial:
            partial.write_text("ne")
            raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_run_that_is_complete_says_so(caplog):
    settings = train_loop.LoopSettings(num_steps=100, batch_size=1)
    with caplog.at_level("INFO", logger="absl"):
        jobs._log_start(None, settings, 136, 1)
    (line,) = caplog.messages
    assert line.startswith("This run is complete: it is at step 136, and train_config.num_steps is")


def test_several_workers_without_tf_config_are_a_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(TrainingError, match="--num_workers=2 needs the environment variable"):
        jobs.train(None, jobs.TrainOptions(str(tmp_path), num_workers=2))


def test_predictions_do_not_overwrite_annotations(tmp_path):
    image, beside = tmp_path / "a.jpg", tmp_path / "a.json"
    Image.fromarray(np.zeros([4, 4, 3], np.uint8)).save(image)
    beside.write_text('{"version": "5.4.0", "shapes": []}')
    with pytest.raises(ValueError, match="a.json is there already, and was not written by this"):
        command.check_output([image], tmp_path, ["json"])
    beside.write_text('{"image": "a.jpg", "box_format": "ymin, xmin, ymax, xmax in pixels"}')
    command.check_output([image], tmp_path, ["json"])  # of an earlier run of ours


def test_extras_are_installed_from_the_checkout():
    assert install_command("serve") == "pip install --editable '.[serve]'"
    assert install_command("serve", "notebooks") == "pip install --editable '.[serve,notebooks]'"
    assert install_command() == "pip install --editable ."


@pytest.mark.parametrize("argument", ["--neutral_class=crowd", "-neutral_class"])
def test_an_old_name_of_a_flag_is_refused_with_the_new_name(tmp_path, argument):
    done = run(tmp_path, "evaluate", "--records=a", argument)
    assert done.returncode == 1
    old = argument.partition("=")[0]
    assert done.stderr.rstrip().endswith(f"error: {old} was renamed to --ignore_class")
    assert "Traceback" not in done.stderr
