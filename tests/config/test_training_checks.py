"""Faults of train_config are found before training starts."""

import pytest
from findings_of import config_with, only_fault, only_warning, sentences

from object_detection.config import training_checks

RATE = "train_config.optimizer.momentum_optimizer.learning_rate"
COSINE = f"{RATE}.cosine_decay_learning_rate"


def check(*changes):
    return training_checks.check(config_with(*changes))


def test_a_sound_train_config_passes():
    assert sentences(check()) == ([], [])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("-train_config",), "train_config is not set. Add train_config { batch_size: ..."),
        (("train_config.batch_size=0",), "batch_size is 0; at least 1"),
        (("train_config.gradient_clipping_by_norm=-1",), "is -1; at least 0. 0 turns clipping off"),
        (
            ("train_config.fine_tune_checkpoint=a", "train_config.fine_tune_checkpoint_type=all"),
            'fine_tune_checkpoint_type is "all"; allowed: full, detection, classification',
        ),
        (("train_config.freeze_variables=a(",), "holds 'a(', which is no regular expression"),
        (("-train_config.optimizer",), "optimizer is not set. Add momentum_optimizer"),
        ((f"{RATE}={{}}",), "learning_rate is not set. Add for example constant_learning_rate"),
        ((f"{RATE}.constant_learning_rate.learning_rate=-1",), "learning_rate is -1; at least 0"),
        (
            ("train_config.optimizer.momentum_optimizer.momentum_optimizer_value=9",),
            "momentum_optimizer_value is 9; allowed: 0 to 1",
        ),
        (
            ("train_config.data_augmentation_options={}",),
            "data_augmentation_options is empty. Name a step",
        ),
        (
            ("train_config.data_augmentation_options={random_horizontal_flip {probability: 50}}",),
            "random_horizontal_flip.probability is 50; allowed: 0 to 1",
        ),
        ((f"{RATE}.exponential_decay_learning_rate.decay_steps=0",), "decay_steps is 0; at least"),
        (
            (
                f"{RATE}.manual_step_learning_rate="
                "{schedule {step: 9 learning_rate: 1} schedule {step: 5 learning_rate: 1}}",
            ),
            "schedule has the steps 9, 5; they must ascend",
        ),
        ((f"{RATE}.manual_step_learning_rate.warmup=true",), "there is no schedule to warm up to"),
        (
            (f"{COSINE}.total_steps=100",),
            "warmup_steps is 10000 (its default), above total_steps, which is 100",
        ),
        (
            (
                f"{COSINE}.total_steps=100",
                f"{COSINE}.warmup_steps=10",
                f"{COSINE}.learning_rate_base=0.0001",
            ),
            "warmup_learning_rate is 0.0002 (its default), above learning_rate_base, which is 0.00",
        ),
    ],
)
def test_a_fault_is_reported(changes, said):
    assert said in only_fault(check(*changes))


@pytest.mark.parametrize("word", ["fine_tune", "feature_extractor"])
def test_a_word_for_other_models_is_left_to_the_reader_of_the_file(word):
    changes = (
        "train_config.fine_tune_checkpoint=a",
        f"train_config.fine_tune_checkpoint_type={word}",
    )
    assert not check(*changes).faults


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("train_config.num_steps=0",), "num_steps is 0: training goes on until it is stopped"),
        (
            ("train_config.fine_tune_checkpoint_type=full",),
            "is set but has no effect without fine_tune_checkpoint",
        ),
        (
            (f"{COSINE}.total_steps=80", f"{COSINE}.warmup_steps=10"),
            "total_steps is 80, but train_config.num_steps is 100: the rate is 0 from there on",
        ),
        (
            (f"{COSINE}.total_steps=200", f"{COSINE}.warmup_steps=10"),
            "training ends before the rate has come down. Set it to 100.",
        ),
        (
            ("model.faster_rcnn.feature_extractor.batch_norm_trainable=false",),
            "its batch norms stay frozen at their start",
        ),
    ],
)
def test_what_is_odd_is_a_warning(changes, said):
    assert said in only_warning(check(*changes))


def test_a_cosine_as_long_as_the_training_passes():
    assert sentences(check(f"{COSINE}.total_steps=100", f"{COSINE}.warmup_steps=10")) == ([], [])
