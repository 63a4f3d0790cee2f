"""azoda's JSONs: the samples as they stand, and one sentence with file, line and key for faults."""

import json

import azoda_files
import pytest

from object_detection.errors import SettingsError
from object_detection.integrations.azoda import settings


@pytest.fixture
def experiment(tmp_path):
    def read(**changes):
        path = tmp_path / "exp_config.json"
        azoda_files.write_json(path, azoda_files.EXPERIMENT, **changes)
        return settings.read_experiment(path)

    return read


def test_the_experiment_as_azoda_writes_it(experiment):
    result = experiment()

    assert result.values["RUN_PARAMS.STEPS"] == 1000
    assert result.values["MODEL_PARAMS.FIRST_STAGE.MAX_PROPOSALS"] == 200
    assert result.values["EVAL_CONF"] == 0.5


def test_what_is_azures_is_notes_to_have_no_effect(experiment):
    notes = " ".join(experiment().notes)

    for key in ("ENV_CONFIG_FILE", "COMPUTE_NAME", "DOCKER_IMAGE_NAME", "TF_VERSION", "NODES"):
        assert f"{key} has no effect" in notes
    assert "IMAGE_TYPE" not in notes
    assert "exp_config.json line 2: ENV_CONFIG_FILE" in notes


def test_every_key_is_used_notes_or_refused(experiment):
    result = experiment()
    used = {key for key in result.values if not settings.EXPERIMENT[key].without_effect}

    assert used == {
        "DESCRIPTION",
        "EXP_NAME",
        "DATA_MOUNT",
        "IMAGE_TYPE",
        "TRAIN_CSV",
        "TEST_CSV",
        "EVAL_CONF",
        "RUN_PARAMS.STEPS",
        "MODEL_PARAMS.BASE_MODEL",
        "HYPERTUNE",
        *(f"MODEL_PARAMS.FIRST_STAGE.{key}" for key in _STAGE),
    }


_STAGE = azoda_files.EXPERIMENT["MODEL_PARAMS"]["FIRST_STAGE"]


def test_dotted_keys_and_numbers_in_quotes(tmp_path):
    path = tmp_path / "e.json"
    content = {"IMAGE_TYPE": "a", "RUN_PARAMS.STEPS": "250", "MODEL_PARAMS.BASE_MODEL": "m"}
    path.write_text("\N{BYTE ORDER MARK}" + json.dumps(content))

    result = settings.read_experiment(path)

    assert result.values["RUN_PARAMS.STEPS"] == 250
    assert result.values["TRAIN_CSV"] == "latest"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"RUN_PARAMS": {"STEPS": "many"}},
            ["line 14: RUN_PARAMS.STEPS", '"many"', "whole number"],
        ),
        ({"RUN_PARAMS": {"STEPS": 1.5}}, ["RUN_PARAMS.STEPS", "1.5", "whole number"]),
        ({"RUN_PARAMS": {"STEPS": True}}, ["RUN_PARAMS.STEPS", "true", "whole number"]),
        ({"RUN_PARAMS": {"STEPS": 0}}, ["RUN_PARAMS.STEPS", "at least 1"]),
        ({"RUN_PARAMS": 1000}, ["line 13: RUN_PARAMS", "object with RUN_PARAMS.STEPS"]),
        ({"RUN_PARAMS": {"STEP": 3}}, ["RUN_PARAMS.STEP", "did you mean RUN_PARAMS.STEPS"]),
        ({"RUN_PARAMS": {}}, ["RUN_PARAMS.STEPS", "missing"]),
        ({"EVAL_CONF": 1.5}, ["line 12: EVAL_CONF", "at least 0, at most 1"]),
        ({"EVAL_CONF": float("nan")}, ["EVAL_CONF", "NaN"]),
        ({"EVAL_CONF": None}, ["EVAL_CONF", "null"]),
        ({"IMAGE_TYPE": ""}, ["line 9: IMAGE_TYPE", "empty"]),
        ({"IMAGE_TYPE": ["a"]}, ["IMAGE_TYPE", "a string"]),
        ({"IMAGE_TYPE": "../up"}, ["IMAGE_TYPE", "not a path"]),
        ({"TF_VERSION": 3}, ["TF_VERSION", "one of 1, 2"]),
        ({"HYPERTUNE": True}, ["HYPERTUNE", "HyperDrive"]),
        ({"HYPERTUNE": "no"}, ["HYPERTUNE", "true or false"]),
        ({"LEARNING_RATE": 1}, ["LEARNING_RATE", "allowed: "]),
        ({"EVALCONF": 0.5}, ["EVALCONF", "did you mean EVAL_CONF"]),
        ({"DOCKER_IMAGE": "x"}, ["DOCKER_IMAGE", "means the same"]),
    ],
)
def test_a_fault_is_one_sentence_with_file_and_key(experiment, changes, words):
    with pytest.raises(SettingsError) as caught:
        experiment(**changes)

    text = str(caught.value)
    assert "exp_config.json" in text
    assert "\n" not in text
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"IMAGE_TYPE": "a",}', "line 1, column 20"),
        ("[1]", "must be an object"),
        ('{"NODES": 1, "NODES": 2}', "duplicate key NODES"),
        ("[" * 100_000, "nested"),
    ],
)
def test_what_is_no_json_object_is_notes(tmp_path, text, words):
    path = tmp_path / "e.json"
    path.write_text(text)

    with pytest.raises(SettingsError, match=words):
        settings.read_experiment(path)


def test_a_missing_file_is_notes(tmp_path):
    with pytest.raises(SettingsError, match="no.json cannot be read: No such file"):
        settings.read_experiment(tmp_path / "no.json")


@pytest.mark.parametrize("layout", [azoda_files.OLD_DEPLOYMENT, azoda_files.NEW_DEPLOYMENT])
def test_the_deployment_in_both_layouts(tmp_path, layout):
    result = settings.read_deployment(azoda_files.write_json(tmp_path / "d.json", layout))

    assert result.values["IMAGE_TYPE"] == "usecase_mask"
    assert len(result.notes) == len(result.present) - 1  # all but IMAGE_TYPE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"USE_ACI": True}, "USE_ACI means the same as ACI_PARAMS.USE_ACI"),
        ({"IMAGE_TYPE": "a b"}, "letters, digits"),
        ({"REG_MODEL": "yes"}, "true or false"),
        ({"ACI_PARAMS": True}, "object with ACI_PARAMS.USE_ACI"),
    ],
)
def test_faults_of_a_deployment(tmp_path, changes, words):
    path = azoda_files.write_json(tmp_path / "d.json", azoda_files.NEW_DEPLOYMENT, **changes)

    with pytest.raises(SettingsError, match=words):
        settings.read_deployment(path)
