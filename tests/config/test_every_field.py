"""docs/fields.md is true: every field that does not work is set, to see what is said of it."""

import subprocess
import sys
from pathlib import Path

import pytest
import whole_configs

from object_detection.config import field_checks, field_use, preflight
from object_detection.modeling.backbones import BACKBONES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configs")
    (folder / "weights").write_text("")
    return folder


def check(config):
    return preflight.check(config, purpose="train", supported_extractors=tuple(BACKBONES), reads=())


def names_of(findings):
    """The last names of their paths."""
    return {finding.where.rpartition(".")[2].partition("[")[0] for finding in findings}


def is_refused(key, field):
    return field_checks.is_refused(field, key.rpartition(".")[0])


def test_the_page_is_that_of_the_code():
    script = ROOT / "scripts" / "make_field_table.py"
    result = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_every_message_has_a_place_in_the_configs_of_these_tests(folder):
    placed = {key.rpartition(".")[0] for key, *_ in whole_configs.places_of_fields(folder)}
    with_fields = {name for name, it in field_checks.reached().items() if it.fields}
    assert placed == with_fields


def test_a_field_that_is_refused_is_a_fault_that_names_it(folder):
    tried = set()
    for key, config, path, field in whole_configs.places_of_fields(folder):
        if is_refused(key, field):
            found = check(whole_configs.with_another(config, path, field, folder))
            assert field.name in names_of(found.faults), key
            tried.add(key)
    assert tried >= field_use.REFUSED.keys() | {"DetectionModel.ssd"}


def test_a_field_without_effect_is_a_warning_that_names_it(folder):
    tried = set()
    for key, config, path, field in whole_configs.places_of_fields(folder):
        if key in field_use.WITHOUT_EFFECT:
            found = check(whole_configs.with_another(config, path, field, folder))
            assert found.faults == (), key
            said = [warning for warning in found.warnings if "no effect" in warning.problem]
            assert field.name in names_of(said), key
            tried.add(key)
    assert tried == field_use.WITHOUT_EFFECT.keys()


def test_a_field_that_holds_anyway_passes_in_silence(folder):
    tried = set()
    for key, config, path, field in whole_configs.places_of_fields(folder):
        if key in field_use.IMPLIED:
            tried.add(key)
            found = check(whole_configs.with_another(config, path, field, folder))
            # What it says contradicts its place, the RPN's convolution.
            wanted = {"op"} if key == "Hyperparams.op" else set()
            assert names_of(found.warnings) - names_of(check(config).warnings) == wanted, key
            assert found.faults == (), key
    assert tried == field_use.IMPLIED.keys()
