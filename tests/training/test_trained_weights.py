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
    assert chosen(network) == ["beta", "bias", "gamma", "kernel"]


def test_freezing_takes_away(network):
    assert chosen(network, freeze=["b.*"]) == ["gamma", "kernel"]


def test_only_what_is_named_is_updated(network):
    assert chosen(network, only=["kernel", "b"], freeze=["beta"]) == ["bias", "kernel"]


def test_patterns_match_from_the_beginning(network):
    with pytest.raises(ValueError, match="'ernel' matches no weight"):
        trained_weights.choose(network, freeze=["ernel"])


def test_a_pattern_without_a_match_shows_what_there_is(network):
    with pytest.raises(ValueError, match="update_trainable_variables: 'head'.*kernel"):
        trained_weights.choose(network, only=["head"])


def test_nothing_left_to_train_is_an_error(network):
    with pytest.raises(ValueError, match="leaves no weight"):
        trained_weights.choose(network, freeze=[".*"])


def test_the_count_is_logged(network, caplog):
    caplog.set_level("INFO", logger="absl")
    trained_weights.choose(network, freeze=["kernel"])
    # bias, gamma, beta have three each; the kernel nine, mean and variance three each.
    assert "Training 3 of 4 weights: 9 of 24 parameters." in caplog.text
