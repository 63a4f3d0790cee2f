"""Every public config parses; its model is accepted or refused in so many words."""

import pytest
from findings_of import sentences
from reference import REFERENCE, needs_reference

from object_detection.config import pipeline_file, preflight
from object_detection.modeling.backbones import BACKBONES

PATHS = sorted((REFERENCE / "data" / "configs").rglob("*.config")) if REFERENCE else []


@needs_reference
def test_all_109_are_here():
    assert len(PATHS) == 109


@needs_reference
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_public_config_parses_and_its_model_is_judged(path):
    config = pipeline_file.load(path)
    found = preflight.check(config, purpose="export", supported_extractors=tuple(BACKBONES))
    faults, _ = sentences(found)

    kind = config.model.WhichOneof("model")
    if kind != "faster_rcnn":
        assert len(faults) == 1 and faults[0].startswith(f"model.{kind} is a")
        return
    extractor = config.model.faster_rcnn.feature_extractor.type
    refused = [fault for fault in faults if fault.startswith("model.faster_rcnn.feature_extractor")]
    assert len(refused) == (extractor not in BACKBONES)
    others = [fault for fault in faults if fault not in refused]
    allowed = ("rfcn_box_predictor", "context_config", "second_stage_classification_loss")
    assert all(any(name in fault for name in allowed) for fault in others), others
