"""Freezing by patterns."""

import pytest
import tiny_run

from object_detection.checkpoints.variables import VariableNames
from object_detection.training import trained_weights


@pytest.fixture(scope="module")
def network():
    return tiny_run.parts().network


def chosen(network, **patterns):
    return sorted(trained_weights.select(network, **patterns))


def names_like_tfods(**tables):
    """Stands for `names_of`: the tiny network's paths, and these tables."""
    paths = ("first/kernel", "first/bias", "norm/gamma", "norm/beta")
    paths += ("norm/moving_mean", "norm/moving_variance")

    def names_of(network):
        made = {
            kind: {path: f"{prefix}/{path}" for path in paths} for kind, prefix in tables.items()
        }
        return VariableNames(paths, **{"keys": {}, "variables": {}, "scopes": {}, **made})

    return names_of


def test_all_trainable_weights_without_patterns(network):
    assert chosen(network) == ["first/bias", "first/kernel", "norm/beta", "norm/gamma"]


def test_freezing_takes_away(network):
    assert chosen(network, freeze=["norm"]) == ["first/bias", "first/kernel"]


def test_only_what_is_named_is_updated(network):
    assert chosen(network, only=["first", ".*beta"], freeze=["first/b"]) == [
        "first/kernel",
        "norm/beta",
    ]


def test_a_group_of_layers_is_chosen_besides(network, monkeypatch):
    monkeypatch.setattr(trained_weights, "stage_of", {"first/kernel": 4, "first/bias": 5}.get)
    assert "first/kernel" not in chosen(network, stages="5+")
    assert "first/bias" in chosen(network, stages="5+")
    assert "first/bias" not in chosen(network, stages="5+", freeze=["first/bias"])
    with pytest.raises(ValueError, match="freeze_variables and --train_layers=heads leaves no"):
        chosen(network, stages="heads", freeze=["norm"])


def test_patterns_are_searched_for_anywhere_unless_they_say_where(network):
    assert chosen(network, freeze=["kernel"]) == ["first/bias", "norm/beta", "norm/gamma"]
    assert chosen(network, freeze=["a$"]) == ["first/bias", "first/kernel"]
    with pytest.raises(ValueError, match=r"'\^kernel' matches no weight"):
        trained_weights.select(network, freeze=["^kernel"])


def test_the_first_kind_of_names_with_a_match_counts(network, monkeypatch):
    # "first" is in a name of TFOD's of every weight, and in two of our paths.
    names_of = names_like_tfods(scopes="first_stage", keys="model")
    monkeypatch.setattr(trained_weights, "names_of", names_of)
    with pytest.raises(ValueError, match="leaves no weight"):
        trained_weights.select(network, freeze=["first"])
    assert chosen(network, freeze=["first_stage/norm/.*"]) == ["first/bias", "first/kernel"]
    # Another pattern may go by another kind.
    assert chosen(network, freeze=["model/norm", "^first/kernel"]) == ["first/bias"]


def test_names_that_not_all_variables_have_do_not_count(network, monkeypatch):
    whole = names_like_tfods(scopes="Stage")

    def without_one(network):
        names = whole(network)
        del names.scopes["norm/gamma"]
        return names

    monkeypatch.setattr(trained_weights, "names_of", without_one)
    with pytest.raises(ValueError, match="'Stage' matches no weight"):
        trained_weights.select(network, freeze=["Stage"])


def test_a_pattern_without_a_match_shows_the_names_like_it(network):
    with pytest.raises(
        ValueError, match=r"update_trainable_variables: 'frist/\.\*' matches.*Names like it: first"
    ):
        trained_weights.select(network, only=["frist/.*"])


def test_a_pattern_like_nothing_shows_what_there_is(network):
    with pytest.raises(
        ValueError, match="freeze_variables: 'head'.*begin with first, norm; for example first/"
    ):
        trained_weights.select(network, freeze=["head"])


def test_statistics_alone_are_no_error(network, caplog):
    assert len(chosen(network, freeze=["moving_mean"])) == 4
    assert "'moving_mean' matches only statistics" in caplog.text


def test_a_pattern_that_is_no_regular_expression(network):
    with pytest.raises(
        ValueError, match=r"freeze_variables: 'first\(' is not a regular expression"
    ):
        trained_weights.select(network, freeze=["first("])


@pytest.mark.parametrize(
    ("patterns", "field"),
    [
        ({"freeze": [".*"]}, "train_config.freeze_variables leaves"),
        (
            {"only": ["first"], "freeze": ["first"]},
            "train_config.update_trainable_variables and train_config.freeze_variables leaves",
        ),
    ],
)
def test_nothing_left_to_train_is_an_error(network, patterns, field):
    with pytest.raises(ValueError, match=f"{field} no weight"):
        trained_weights.select(network, **patterns)


def test_what_a_pattern_does_is_logged(network, caplog):
    caplog.set_level("INFO", logger="absl")
    trained_weights.select(network, freeze=["first/kernel", "beta|bias"], only=[".*"])
    # bias, gamma, beta have three each; the kernel nine, mean and variance three each.
    for line in (
        "freeze_variables: 'first/kernel' matches 1 weight(s) with 9 parameters: first/kernel",
        "'beta|bias' matches 2 weight(s) with 6 parameters: first/bias, norm/beta",
        "update_trainable_variables: '.*' matches 4 weight(s) with 18 parameters: first/kernel, "
        "first/bias, norm/gamma and 1 more",
    ):
        assert line in caplog.text
    assert "Training 1 of 4 weights: 3 of 24 parameters." in caplog.text  # gamma is left
