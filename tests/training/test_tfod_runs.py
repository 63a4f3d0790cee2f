"""Training runs that TFOD began: all they kept is found again, and the next update is theirs."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf
import tiny_run
from google.protobuf import text_format
from reference import REFERENCE, needs_reference

from object_detection.builders import model_builder, optimizer_builder
from object_detection.builders.optimizer_builder import RMSProp
from object_detection.checkpoints import manager
from object_detection.checkpoints.manager import CheckpointDirectory
from object_detection.checkpoints.variables import VariableNames
from object_detection.errors import CheckpointError
from object_detection.protos import pipeline_pb2
from object_detection.training import trained_weights
from object_detection.training.optimizer import Optimizer

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
STEP = 3  # of the schedule 0.01 -> 0.1 over five steps: 0.01 + 0.09 * 3 / 5
RATE = 0.064


def parts(rule=None):
    """The tiny network, with names of TFOD's as a detector has them."""
    made = tiny_run.parts(seed=1)
    if rule is not None:
        optimizer = Optimizer(made.optimizer.plan._replace(rule=rule), made.optimizer.weights)
        made = made._replace(optimizer=optimizer, state=made.state._replace(optimizer=optimizer))
    paths = tuple(made.state.weights)
    names = VariableNames(
        paths=paths,
        keys={path: f"model/_{path}{SUFFIX}" for path in paths},
        variables={path: path for path in paths},
        scopes={path: f"Tiny/{path}" for path in paths},
    )
    return made._replace(state=made.state._replace(names=names))


def write(prefix, tensors):
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=[tf.convert_to_tensor(value) for value in tensors.values()],
    )


def drawn(made, seed):
    """Path -> values for every variable."""
    rng = np.random.default_rng(seed)
    return {
        path: rng.uniform(0.5, 1.5, variable.shape).astype(np.float32)
        for path, variable in made.state.weights.items()
    }


def tfod_2(prefix, made, slots=("momentum",)):
    """Writes a checkpoint as TFOD 2.x's loop does; gives the weights and the slots, by path."""
    weights = drawn(made, 0)
    names = made.state.names.keys
    tensors = {names[path]: value for path, value in weights.items()}
    kept = {}
    for number, slot in enumerate(slots, start=1):
        values = drawn(made, number)
        for path in made.optimizer.weights:
            kept[slot, path] = values[path]
            base = names[path].removesuffix(SUFFIX)
            tensors[f"{base}/.OPTIMIZER_SLOT/optimizer/{slot}{SUFFIX}"] = values[path]
    scalars = {"step": STEP, "optimizer/iter": STEP, "save_counter": 2}
    tensors |= {f"{name}{SUFFIX}": np.int64(value) for name, value in scalars.items()}
    write(prefix, tensors)
    return weights, kept


def tfod_1(prefix, made):
    """The same as TFOD 1.x does, with momentum and averages."""
    weights, momenta, averages = (drawn(made, seed) for seed in range(3))
    names = made.state.names.scopes
    tensors = {names[path]: value for path, value in weights.items()}
    for path in made.optimizer.weights:
        tensors[f"{names[path]}/Momentum"] = momenta[path]
        tensors[f"{names[path]}/ExponentialMovingAverage"] = averages[path]
    tensors["First/block4/weights"] = np.ones(3, np.float32)  # kept and never used
    tensors["global_step"] = np.int64(STEP)
    write(prefix, tensors)
    return weights, momenta, averages


def update(made, gradient):
    """The first update after loading, with a constant gradient."""
    gradients = [tf.fill(weight.shape, gradient) for weight in made.optimizer.weights.values()]
    made.optimizer.apply(gradients, made.state.step.value())


def test_momentum_of_tfod_2_is_the_velocity(tmp_path):
    made = parts()
    weights, slots = tfod_2(tmp_path / "ckpt-2", made)
    CheckpointDirectory(tmp_path).restore_newest(made.state)

    assert int(made.state.step) == STEP
    for path, value in weights.items():
        np.testing.assert_array_equal(made.state.weights[path], value, err_msg=path)
    for (slot, path), value in slots.items():
        np.testing.assert_array_equal(made.optimizer.slots[slot, path], value, err_msg=path)
    update(made, 2.0)
    for path in made.optimizer.weights:
        # v = 0.9 v - rate * g; w = w + v
        velocity = 0.9 * slots["momentum", path] - RATE * 2.0
        np.testing.assert_allclose(
            made.state.weights[path], weights[path] + velocity, rtol=1e-6, err_msg=path
        )


def test_momentum_of_tfod_1_is_a_sum_of_gradients(tmp_path, caplog):
    made = parts()
    weights, momenta, averages = tfod_1(tmp_path / "model.ckpt-3", made)
    caplog.set_level("INFO", logger="absl")
    CheckpointDirectory(tmp_path).restore_newest(made.state)

    assert "multiplied by the learning rate of this step, 0.064" in caplog.text
    assert int(made.state.step) == STEP
    for path, value in averages.items():
        if path in made.optimizer.averages:
            np.testing.assert_array_equal(made.optimizer.averages[path], value)
    update(made, 2.0)
    for path in made.optimizer.weights:
        # a = 0.9 a + g; w = w - rate * a
        want = weights[path] - RATE * (0.9 * momenta[path] + 2.0)
        np.testing.assert_allclose(made.state.weights[path], want, rtol=1e-6, err_msg=path)
    for path, variable in made.state.weights.items():
        if path not in made.optimizer.weights:
            np.testing.assert_array_equal(variable, weights[path])


def test_slots_of_rms_prop(tmp_path):
    made = parts(RMSProp(0.9, 1.0))
    weights, slots = tfod_2(tmp_path / "ckpt-2", made, slots=("rms", "momentum"))
    CheckpointDirectory(tmp_path).restore_newest(made.state)
    update(made, 2.0)
    for path in made.optimizer.weights:
        # s = 0.9 s + 0.1 g^2; m = 0.9 m + rate * g / sqrt(s + 1); w = w - m
        square = 0.9 * slots["rms", path] + 0.1 * 4.0
        momentum = 0.9 * slots["momentum", path] + RATE * 2.0 / np.sqrt(square + 1.0)
        np.testing.assert_allclose(
            made.state.weights[path], weights[path] - momentum, rtol=1e-5, err_msg=path
        )


@pytest.mark.parametrize(
    ("written", "rule"), [(("momentum",), RMSProp(0.9, 1.0)), (("m", "v"), None)]
)
def test_slots_of_another_optimizer_are_not_taken(tmp_path, caplog, written, rule):
    made = parts(rule)
    weights, _ = tfod_2(tmp_path / "ckpt-2", made, slots=written)
    CheckpointDirectory(tmp_path).restore_newest(made.state)
    assert "begin anew" in caplog.text
    assert not any(slot.numpy().any() for slot in made.optimizer.slots.values())
    np.testing.assert_array_equal(made.state.weights["first/kernel"], weights["first/kernel"])


def test_the_checkpoint_of_step_0_is_passed_over(tmp_path, caplog):
    write(
        tmp_path / "ckpt-1", {f"{name}{SUFFIX}": np.int64(0) for name in ("step", "save_counter")}
    )
    keeper = CheckpointDirectory(tmp_path)
    assert keeper.restore_newest(parts().state) is None
    assert "ckpt-1 holds no weights: TFOD saved it at step 0" in caplog.text
    made = parts()
    tfod_2(tmp_path / "ckpt-2", made)
    assert keeper.restore_newest(made.state).name == "ckpt-2"


def test_another_model_of_tfods_is_refused(tmp_path):
    other = tiny_run.parts(width=5)
    names = parts().state.names
    tfod_2(tmp_path / "ckpt-2", other._replace(state=other.state._replace(names=names)))
    made = parts()
    untouched = tiny_run.values(made)
    with pytest.raises(CheckpointError, match=r"first/kernel is \[3, 5\] there and \[3, 3\] here"):
        CheckpointDirectory(tmp_path).restore_newest(made.state)
    for key, value in tiny_run.values(made).items():
        np.testing.assert_array_equal(value, untouched[key])


@pytest.mark.parametrize("version", [1, 2])
def test_a_run_goes_on_beside_tfods_files(tmp_path, version):
    made = parts()
    first = tmp_path / ("ckpt-2" if version == 2 else "model.ckpt-3")
    (tfod_2 if version == 2 else tfod_1)(first, made)
    listed = f'model_checkpoint_path: "{first.name}"\nall_model_checkpoint_paths: "{first.name}"\n'
    (tmp_path / "checkpoint").write_text(listed)
    kept = {
        path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "checkpoint"
    }

    tiny_run.run(tmp_path, 40, made=made)

    assert int(made.state.step) == 40
    saved = [path.name for path in CheckpointDirectory(tmp_path).newest_first()]
    newest = 10 if version == 2 else 8  # at 5, 10, ..., 40; numbered after TFOD's own
    assert saved[0] == f"ckpt-{newest}" and saved[-1] == first.name
    assert f"ckpt-{newest - 7}" not in saved  # ours make room, TFOD's does not
    for name, content in kept.items():
        assert (tmp_path / name).read_bytes() == content
    again = parts()
    assert CheckpointDirectory(tmp_path).restore_newest(again.state).name == saved[0]
    assert int(again.state.step) == 40


def test_weights_and_averages_are_evaluated(tmp_path, monkeypatch):
    made = parts()
    tfod_1(tmp_path / "model.ckpt-3", made)
    asked = {}
    monkeypatch.setattr(
        manager,
        "restore_opened",
        lambda network, stored, **how: asked.update(how, prefix=stored.path),
    )
    prefix = tmp_path / "model.ckpt-3"
    assert manager.read_weights(prefix, tiny_run.parts().network, averages=True) == STEP
    assert asked == {"moving_averages": True, "prefix": str(prefix)}


@needs_reference
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the script that writes the weights
def test_the_references_training_checkpoint(tmp_path):
    parity = REFERENCE / "reference" / "parity"
    spec = importlib.util.spec_from_file_location("make_weights", parity / "make_weights.py")
    make_weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_weights)
    case = parity / "a_tf2_mask_resnet50"
    stored = make_weights.write(str(case), str(tmp_path / "ckpt-7"), train=True)
    config = text_format.Parse(
        (case / "pipeline.config").read_text(), pipeline_pb2.TrainEvalPipelineConfig()
    )
    network = model_builder.build_network(config.model, is_training=True)
    plan = optimizer_builder.build(config.train_config.optimizer)
    optimizer = Optimizer(plan, trained_weights.select(network))
    state = manager.fresh_state(network, optimizer)

    assert CheckpointDirectory(tmp_path).restore_newest(state).name == "ckpt-7"

    assert int(state.step) == stored[f"step{SUFFIX}"] == 1234
    keys = state.names.keys
    momenta = {
        path: stored[
            keys[path].removesuffix(SUFFIX) + f"/.OPTIMIZER_SLOT/optimizer/momentum{SUFFIX}"
        ]
        for path in optimizer.weights
    }
    assert (len(state.weights), len(momenta)) == (283, 177)
    for path, variable in state.weights.items():
        np.testing.assert_array_equal(variable, stored[keys[path]], err_msg=path)
    for path, value in momenta.items():
        np.testing.assert_array_equal(optimizer.slots["momentum", path], value, err_msg=path)
    gradients = {path: 0.1 * weight.numpy() for path, weight in optimizer.weights.items()}
    used = optimizer.apply([tf.constant(g) for g in gradients.values()], state.step.value())
    # The warm-up climbs from 0 to 0.008 in 5000 steps.
    rate = np.float32(0.008 * 1234 / 5000)
    np.testing.assert_allclose(used, rate, rtol=1e-6)
    for path, gradient in gradients.items():
        # v = 0.9 v - rate * g; w = w + v
        velocity = np.float32(0.9) * momenta[path] - rate * gradient
        np.testing.assert_allclose(
            optimizer.slots["momentum", path], velocity, rtol=1e-5, atol=1e-9, err_msg=path
        )
        np.testing.assert_allclose(
            state.weights[path], stored[keys[path]] + velocity, rtol=1e-5, atol=1e-7, err_msg=path
        )
