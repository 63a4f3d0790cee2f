"""Freezing by patterns."""

import pytest
import tiny_run

from object_detection.training import trained_weights


@pytest.fixture(scope="module")
def network():
    return tiny_run.parts().network


def chosen(network, **patterns):
    return sorted(trained_weights.choose(network, **patterns))


def test_all_trainable_weights_without_patterns(network):
    assert chosen(network) == ["first/bias", "first/kernel", "norm/beta", "norm/gamma"]


def test_freezing_takes_away(network):
    assert chosen(network, freeze=["norm"]) == ["first/bias", "first/kernel"]


def test_only_what_is_named_is_updated(network):
    assert chosen(network, only=["first", ".*beta"], freeze=["first/b"]) == [
        "first/kernel",
        "norm/beta",
    ]


def test_patterns_match_from_the_beginning(network):
    with pytest.raises(ValueError, match="'kernel' matches no weight"):
        trained_weights.choose(network, freeze=["kernel"])


def test_a_pattern_without_a_match_shows_what_there_is(network):
    with pytest.raises(
        ValueError, match="update_trainable_variables: 'head'.*first, norm; for example first/"
    ):
        trained_weights.choose(network, only=["head"])


def test_nothing_left_to_train_is_an_error(network):
    with pytest.raises(ValueError, match="leaves no weight"):
        trained_weights.choose(network, freeze=[".*"])


def test_the_count_is_logged(network, caplog):
    caplog.set_level("INFO", logger="absl")
    trained_weights.choose(network, freeze=["first/kernel"])
    # bias, gamma, beta have three each; the kernel nine, mean and variance three each.
    assert "Training 3 of 4 weights: 9 of 24 parameters." in caplog.text
