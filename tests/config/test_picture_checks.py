"""What pictures of an evaluation ask for."""

import pytest
from findings_of import config_with

from object_detection.config import data_checks, preflight
from object_detection.modeling.backbones import BACKBONES

COLOR = "eval_config.groundtruth_box_visualization_color"


def test_a_color_that_does_not_exist_is_refused():
    (fault,) = data_checks.evaluation_settings(config_with(f"{COLOR}=blakc").eval_config)
    assert f'{COLOR} is "blakc", which is not a color' in str(fault)
    assert '"#rrggbb"' in str(fault)


@pytest.mark.parametrize(
    "change",
    [
        f"{COLOR}=LightBlue",
        f"{COLOR}=#ff8000",
        "eval_config.skip_scores=true",
        "eval_config.visualization_export_dir=pictures",
        "eval_config.retain_original_images=false",
        "train_config.summarize_gradients=true",
    ],
)
def test_what_is_honoured_is_not_warned_of(change):
    found = preflight.check(
        config_with(change),
        purpose="train",
        supported_extractors=tuple(BACKBONES),
        reads=(),
    )
    field = change.partition("=")[0]
    assert not [text for text in (*found.faults, *found.warnings) if field in str(text)]
