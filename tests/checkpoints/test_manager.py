"""Checkpoints: everything comes back, nothing is lost, and another model's are left alone."""

import os
import resource
import shutil
import signal
import types

import numpy as np
import pytest
import tensorflow as tf
import tiny_run

from object_detection.checkpoints import manager
from object_detection.checkpoints.manager import CheckpointDirectory
from object_detection.checkpoints.names import training_state
from object_detection.errors import CheckpointError


@pytest.fixture
def made():
    return tiny_run.parts()


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_variable_comes_back(tmp_path):
    saved, _ = tiny_run.run(tmp_path, 3)
    want = tiny_run.values(saved)
    fresh = tiny_run.parts(seed=1)
    CheckpointDirectory(tmp_path).restore_newest(fresh.state)
    got = tiny_run.values(fresh)
    # kernel, bias, gamma, beta, mean, variance; four slots; four averages; the step
    assert len(want) == 6 + 4 + 4 + 1
    for key, value in want.items():
        np.testing.assert_array_equal(value, got[key], err_msg=key)


def test_every_variable_is_in_the_file(tmp_path, made):
    prefix = CheckpointDirectory(tmp_path).save(made.state)
    stored = tf.train.load_checkpoint(str(prefix)).get_variable_to_shape_map()
    keys = {training_state.name_of(key) for key in manager.entries_of(made.state)}
    assert keys == set(stored) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}


def test_bad_records_come_back(tmp_path, made):
    made.state.bad_records.assign("a.record: 3\nb.record: 7")
    keeper = CheckpointDirectory(tmp_path)
    keeper.save(made.state)
    fresh = tiny_run.parts(seed=1)
    keeper.restore_newest(fresh.state)
    assert fresh.state.bad_records.numpy() == b"a.record: 3\nb.record: 7"


def test_the_names_are_those_of_tensorflow(tmp_path, made):
    CheckpointDirectory(tmp_path).save(made.state)
    assert files(tmp_path) == ["checkpoint", "ckpt-1.data-00000-of-00001", "ckpt-1.index"]
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "ckpt-1")


def test_only_the_newest_are_kept(tmp_path, made):
    keeper = CheckpointDirectory(tmp_path, max_to_keep=2)
    for _ in range(4):
        keeper.save(made.state)
    assert [name for name in files(tmp_path) if name.endswith(".index")] == [
        "ckpt-3.index",
        "ckpt-4.index",
    ]
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "ckpt-4")


def test_zero_keeps_all(tmp_path, made):
    keeper = CheckpointDirectory(tmp_path, max_to_keep=0)
    for _ in range(3):
        keeper.save(made.state)
    assert len(keeper.newest_first()) == 3


def test_one_is_kept_for_good_every_n_hours(tmp_path, made, monkeypatch):
    hours = iter([0.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5])  # the first for "nothing kept so far"
    clock = types.SimpleNamespace(time=lambda: 1e9 + 3600 * next(hours))
    monkeypatch.setattr(manager, "time", clock)
    keeper = CheckpointDirectory(tmp_path, max_to_keep=1, keep_every_n_hours=1.0)
    for _ in range(6):
        keeper.save(made.state)
    # Of those that make room, ckpt-3 is an hour after the start, ckpt-5 an hour after that.
    assert [path.name for path in keeper.newest_first()] == ["ckpt-6", "ckpt-5", "ckpt-3"]


def test_a_folder_without_its_list_still_has_a_newest(tmp_path, made):
    keeper = CheckpointDirectory(tmp_path)
    keeper.save(made.state)
    keeper.save(made.state)
    (tmp_path / "checkpoint").unlink()
    assert keeper.restore_newest(made.state).name == "ckpt-2"
    assert keeper.save(made.state).name == "ckpt-3"


def test_a_damaged_checkpoint_is_passed_over(tmp_path, made, caplog):
    keeper = CheckpointDirectory(tmp_path)
    keeper.save(made.state)
    keeper.save(made.state)
    data = tmp_path / "ckpt-2.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:40])
    assert keeper.restore_newest(made.state).name == "ckpt-1"
    assert "ckpt-2" in caplog.text


def test_only_damaged_checkpoints_are_an_error(tmp_path, made):
    keeper = CheckpointDirectory(tmp_path)
    keeper.save(made.state)
    (tmp_path / "ckpt-1.index").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="ckpt-1"):
        keeper.restore_newest(made.state)


def test_an_empty_folder_has_nothing_to_restore(tmp_path, made):
    assert CheckpointDirectory(tmp_path / "new").restore_newest(made.state) is None


def test_another_models_checkpoint_is_named_and_left_alone(tmp_path):
    keeper = CheckpointDirectory(tmp_path)
    keeper.save(tiny_run.parts(width=5).state)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    ours = tiny_run.parts(width=3)
    untouched = tiny_run.values(ours)
    with pytest.raises(CheckpointError, match=r"kernel is \[3, 5\] there and \[3, 3\] here"):
        keeper.restore_newest(ours.state)
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before
    for key, value in tiny_run.values(ours).items():
        np.testing.assert_array_equal(value, untouched[key])


def test_a_foreign_programs_checkpoint_is_named(tmp_path, made):
    tf.train.Checkpoint(theirs=tf.Variable([1.0])).write(str(tmp_path / "ckpt-7"))
    with pytest.raises(CheckpointError, match="6 variables|7 variables"):
        CheckpointDirectory(tmp_path).restore_newest(made.state)


def test_a_changed_optimizer_begins_anew_with_a_warning(tmp_path, caplog):
    keeper = CheckpointDirectory(tmp_path)
    keeper.save(tiny_run.parts(average_decay=None).state)
    with_averages = tiny_run.parts(seed=1)
    assert keeper.restore_newest(with_averages.state) is not None
    assert "lacks 4 entries" in caplog.text


def test_a_failed_write_leaves_the_last_good_one(tmp_path, made, monkeypatch):
    keeper = CheckpointDirectory(tmp_path, max_to_keep=1)
    keeper.save(made.state)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}

    def full(*_):
        raise OSError(28, "No space left on device")

    for module, function in ((manager, "write"), (manager, "_flush_to_disk")):
        with monkeypatch.context() as patch:
            patch.setattr(module, function, full)
            with pytest.raises(CheckpointError, match=r"No space left.*last good one is ckpt-1"):
                keeper.save(made.state)
        assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before
    assert keeper.save(made.state).name == "ckpt-2"


class PowerCut(BaseException):
    """Nothing of ours runs after it."""


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_a_crash_between_two_moves_leaves_the_last_good_one(tmp_path, made, monkeypatch, moves):
    keeper = CheckpointDirectory(tmp_path, max_to_keep=1)
    keeper.save(made.state)
    replace, moved = os.replace, []

    def stop(source, target):
        if len(moved) == moves:
            raise PowerCut
        moved.append(target)
        replace(source, target)

    monkeypatch.setattr(manager.os, "replace", stop)
    with pytest.raises(PowerCut):
        keeper.save(made.state)
    monkeypatch.undo()
    assert keeper.newest_first()[0].name == "ckpt-1"
    # Without its data a checkpoint would be a trap for every other program too.
    assert (tmp_path / "ckpt-2.index").exists() == (moves == 2)
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "ckpt-1")
    assert keeper.save(made.state).name in ("ckpt-2", "ckpt-3")
    assert keeper.newest_first()[0].name in ("ckpt-2", "ckpt-3")


def test_the_list_may_be_edited_to_go_back(tmp_path, made):
    keeper = CheckpointDirectory(tmp_path)
    for step in range(3):
        made.state.step.assign(step)
        keeper.save(made.state)
    text = (tmp_path / "checkpoint").read_text()
    changed = text.replace('model_checkpoint_path: "ckpt-3"', 'model_checkpoint_path: "ckpt-2"', 1)
    (tmp_path / "checkpoint").write_text(changed)
    assert keeper.restore_newest(made.state).name == "ckpt-2"
    assert int(made.state.step.numpy()) == 1
    assert keeper.save(made.state).name == "ckpt-4"
    assert keeper.newest_first()[0].name == "ckpt-4"


def test_a_real_full_disk_leaves_the_last_good_one(tmp_path, made):
    """The kernel refuses to let any file grow: TensorFlow's own writer fails in its own way."""
    keeper = CheckpointDirectory(tmp_path, max_to_keep=1)
    keeper.save(made.state)
    want = tiny_run.values(made)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # else the signal kills us
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(CheckpointError, match="last good one is ckpt-1"):
            keeper.save(made.state)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert files(tmp_path) == ["checkpoint", "ckpt-1.data-00000-of-00001", "ckpt-1.index"]
    fresh = tiny_run.parts(seed=1)
    keeper.restore_newest(fresh.state)
    for key, value in tiny_run.values(fresh).items():
        np.testing.assert_array_equal(value, want[key])


def test_a_folder_that_can_not_be_made_is_an_error(tmp_path, made):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="no earlier one"):
        CheckpointDirectory(tmp_path / "file" / "run").save(made.state)


def test_weights_are_read_without_the_optimizer(tmp_path):
    saved, _ = tiny_run.run(tmp_path, 3)
    network = tiny_run.parts(seed=1).network
    newest = CheckpointDirectory(tmp_path).newest_first()[0]
    assert manager.read_weights(newest, network) == 3
    for want, got in zip(saved.network.variables, network.variables, strict=True):
        np.testing.assert_array_equal(want, got, err_msg=want.path)


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_weights_that_are_cut_off_are_named(tmp_path, made, suffix):
    CheckpointDirectory(tmp_path).save(made.state)
    place = tmp_path / f"ckpt-1{suffix}"
    for part in (2, 3, 9):
        place.write_bytes(place.read_bytes()[: -place.stat().st_size // part])
        with pytest.raises((CheckpointError, ValueError), match="ckpt-1 .*(is damaged|is cut off)"):
            manager.read_weights(tmp_path / "ckpt-1", tiny_run.parts().network)
        assert not manager.is_ours(tmp_path / "ckpt-1") or suffix != ".index"


def test_a_list_of_checkpoints_that_is_no_text(tmp_path, made, caplog):
    keeper = CheckpointDirectory(tmp_path)
    keeper.save(made.state)
    keeper.save(made.state)
    (tmp_path / "checkpoint").write_bytes(b'\xff\xfemodel_checkpoint_path: "ckpt-1"\n')
    assert [path.name for path in keeper.newest_first()] == ["ckpt-2", "ckpt-1"]
    assert "the checkpoints are found by their names" in caplog.text
    keeper.save(made.state)
    assert [path.name for path in keeper.newest_first()] == ["ckpt-3", "ckpt-2", "ckpt-1"]


def test_averages_are_read_in_the_weights_place(tmp_path):
    saved, _ = tiny_run.run(tmp_path, 3)
    network = tiny_run.parts(seed=1).network
    newest = CheckpointDirectory(tmp_path).newest_first()[0]
    manager.read_weights(newest, network, averages=True)
    np.testing.assert_array_equal(
        network.parts[0].kernel.numpy(), saved.optimizer.averages["first/kernel"].numpy()
    )
    # Statistics are not trained, have no average, and come as they are.
    np.testing.assert_array_equal(
        network.parts[1].moving_mean.numpy(), saved.network.parts[1].moving_mean.numpy()
    )


def test_averages_that_are_not_there_are_an_error(tmp_path):
    CheckpointDirectory(tmp_path).save(tiny_run.parts(average_decay=None).state)
    with pytest.raises(ValueError, match="use_moving_average"):
        manager.read_weights(tmp_path / "ckpt-1", tiny_run.parts().network, averages=True)


def test_old_half_written_work_is_swept_away(tmp_path, made):
    shutil.copytree(tmp_path, tmp_path / ".writing-ckpt-1", dirs_exist_ok=True)
    CheckpointDirectory(tmp_path).save(made.state)
    assert files(tmp_path) == ["checkpoint", "ckpt-1.data-00000-of-00001", "ckpt-1.index"]
