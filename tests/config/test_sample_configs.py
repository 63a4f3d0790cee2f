"""Our sample configs say how they are used, and are sound but for paths they cannot know."""

from pathlib import Path

import pytest
from findings_of import sentences

from object_detection.config import pipeline_file, preflight
from object_detection.modeling.backbones import BACKBONES

FOLDER = Path(__file__).resolve().parents[2] / "samples" / "configs"
PATHS = sorted(FOLDER.glob("*.config"))
EXPECTED = {
    "mask_rcnn_inception_resnet_v2_atrous_coco",
    "mask_rcnn_inception_v2_coco",
    "mask_rcnn_resnet101_atrous_coco",
    "mask_rcnn_resnet50_atrous_coco",
    "mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8",
}


def test_the_public_names_are_here():
    assert {path.stem for path in PATHS} >= EXPECTED


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_sample_opens_with_command_time_and_score(path):
    head = path.read_text().partition("\nmodel {")[0]

    assert all(line.startswith("#") for line in head.strip().split("\n"))
    for word in ("model_main_tf2", path.name, "Expected time:", "Expected score:"):
        assert word in head


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_sample_has_no_fault_but_its_paths_and_an_extractor_to_come(path):
    config = pipeline_file.load(path)
    found = preflight.check(
        config,
        purpose="train",
        supported_extractors=tuple(BACKBONES),
        reads=("train_input_reader", "eval_input_reader"),
    )
    faults, warnings = sentences(found)
    left = [
        fault
        for fault in faults
        if "PATH_TO_BE_CONFIGURED" not in fault
        and "which matches no file" not in fault
        and "feature_extractor.type is" not in fault
    ]

    assert (left, warnings) == ([], [])
