"""Which names of a training checkpoint belong to which of our variables."""

import pytest

from object_detection.checkpoints.names import training_state
from object_detection.checkpoints.names.training_state import OURS, TFOD_1, TFOD_2
from object_detection.checkpoints.variables import VariableNames

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
NAMES = VariableNames(
    paths=("a/kernel", "b/bias"),
    keys={"a/kernel": f"model/_a/kernel{SUFFIX}", "b/bias": f"model/_b/bias{SUFFIX}"},
    variables={"a/kernel": "A/kernel", "b/bias": "B/bias"},
    scopes={"a/kernel": "A/weights", "b/bias": "B/biases"},
)


def tfod_2(*slots, optimizer="optimizer"):
    """Names of a checkpoint of TFOD 2.x, with these slots of a/kernel."""
    names = [*NAMES.keys.values(), f"step{SUFFIX}", f"save_counter{SUFFIX}"]
    return [*names, *(f"model/_a/kernel/.OPTIMIZER_SLOT/{optimizer}/{s}{SUFFIX}" for s in slots)]


def tfod_1(*slots):
    return ["A/weights", "B/biases", "global_step", *(f"A/weights/{slot}" for slot in slots)]


@pytest.mark.parametrize(
    ("stored", "slots"),
    [
        (tfod_2("momentum"), {"momentum": "momentum"}),
        (tfod_2("rms", "momentum"), {"mean_square": "rms", "momentum": "momentum"}),
        (tfod_2("rms"), {"mean_square": "rms"}),
        (tfod_2("m", "v"), {"first_moment": "m", "second_moment": "v"}),
        (tfod_2("accumulator"), {}),
        (tfod_2(), {}),
        (tfod_1("Momentum"), {"momentum": "Momentum"}),
        (tfod_1("RMSProp", "RMSProp_1"), {"mean_square": "RMSProp", "momentum": "RMSProp_1"}),
        (tfod_1("Adam", "Adam_1"), {"first_moment": "Adam", "second_moment": "Adam_1"}),
    ],
)
def test_slots_of_every_optimizer(stored, slots):
    run = training_state.find(stored, NAMES)
    got = {slot: name.removesuffix(SUFFIX).split("/")[-1] for (slot, _), name in run.slots.items()}
    assert got == slots
    assert {path for _, path in run.slots} <= {"a/kernel"} and not run.averages


def test_averages_stand_beside_the_slots_of_the_optimizer_they_wrap():
    stored = tfod_2("average") + tfod_2("momentum", optimizer="optimizer/ema_base_optimizer")
    run = training_state.find(stored, NAMES)
    assert run.slots == {
        ("momentum", "a/kernel"): "model/_a/kernel/.OPTIMIZER_SLOT/optimizer/ema_base_optimizer/"
        f"momentum{SUFFIX}"
    }
    assert run.averages == {
        "a/kernel": f"model/_a/kernel/.OPTIMIZER_SLOT/optimizer/average{SUFFIX}"
    }
    run = training_state.find(tfod_1("Momentum", "ExponentialMovingAverage"), NAMES)
    assert run.averages == {"a/kernel": "A/weights/ExponentialMovingAverage"}
    assert run.slots == {("momentum", "a/kernel"): "A/weights/Momentum"}


def test_who_wrote_it():
    ours = [training_state.name_of(f"model/{flat}") for flat in ("a.kernel", "b.bias", "c.kernel")]
    ours += [training_state.name_of(e) for e in ("optimizer/momentum/a.kernel", "average/b.bias")]
    run = training_state.find(ours, NAMES)
    assert (run.writer, run.step) == (OURS, f"step{SUFFIX}")
    assert run.unknown == (f"model/c..kernel{SUFFIX}",)
    assert run.slots == {("momentum", "a/kernel"): f"optimizer/momentum/a..kernel{SUFFIX}"}
    assert list(run.averages) == ["b/bias"]

    run = training_state.find([*tfod_2(), f"model/_c/kernel{SUFFIX}"], NAMES)
    assert (run.writer, run.step) == (TFOD_2, f"step{SUFFIX}")
    assert run.unknown == (f"model/_c/kernel{SUFFIX}",) and run.weights == NAMES.keys
    # What TFOD 1.x stores without using it is no sign of another model.
    run = training_state.find([*tfod_1(), "C/weights"], NAMES)
    assert (run.writer, run.step, run.unknown) == (TFOD_1, "global_step", ())
    assert run.weights == NAMES.scopes


def test_a_checkpoint_of_step_0_is_blank():
    stored = [f"step{SUFFIX}", f"save_counter{SUFFIX}", f"optimizer/iter{SUFFIX}"]
    run = training_state.find(stored, NAMES)
    assert run.is_blank and run.writer == TFOD_2
    assert not training_state.find(tfod_2(), NAMES).is_blank
