"""TFOD's fields about fine_tune_checkpoint, and what the file says to them."""

import made_networks
import made_weights
import pytest
from google.protobuf import text_format

from object_detection.checkpoints import restore
from object_detection.checkpoints.names.tfod_tf1 import slim_names
from object_detection.checkpoints.variables import names_of
from object_detection.protos import train_pb2

HEADS = set(made_networks.heads())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """{word: path} of a TF1 detector, a TF2 detector and a slim classifier."""
    folder = tmp_path_factory.mktemp("files")
    slim, keras = made_networks.slim_resnet(), made_networks.keras_resnet()
    scopes = names_of(made_networks.network_of_paths(slim)).scopes
    keys = names_of(made_networks.network_of_paths(keras)).keys
    base = {n: slim[path] for path, n in slim_names(list(slim)).items()}
    contents = {
        "tf1": {scopes[path]: shape for path, shape in slim.items()},
        "tf2": {keys[path]: shape for path, shape in keras.items()},
        "slim": base,
    }
    for name, shapes in contents.items():
        made_weights.write_checkpoint(folder / name, made_weights.values_of(shapes))
    return {name: str(folder / name) for name in contents}


def tune(files, name, text, *, classes=2):
    """What was restored, and the report."""
    paths = made_networks.keras_resnet if name == "tf2" else made_networks.slim_resnet
    network = made_networks.network_of_paths(paths(classes))
    config = text_format.Parse(text, train_pb2.TrainConfig())
    config.fine_tune_checkpoint = files[name]
    report = restore.restore_for_fine_tuning(network, config)
    values = made_networks.values_in(network)
    assert {path for path, value in values.items() if value.any()} == set(report.restored)
    return set(values), report


@pytest.mark.parametrize(
    "name, text, whole",
    [
        ("tf1", "fine_tune_checkpoint_type: 'detection'", False),
        ("tf1", "from_detection_checkpoint: true", False),
        ("tf1", "from_detection_checkpoint: true load_all_detection_checkpoint_vars: true", True),
        ("tf1", "fine_tune_checkpoint_type: 'full' fine_tune_checkpoint_version: V1", True),
        ("tf2", "fine_tune_checkpoint_type: 'detection'", False),
        ("tf2", "fine_tune_checkpoint_type: 'full' fine_tune_checkpoint_version: V2", True),
        (
            "tf2",
            "fine_tune_checkpoint_type: 'detection' load_all_detection_checkpoint_vars: true",
            True,
        ),
        ("slim", "", False),
        ("slim", "fine_tune_checkpoint_type: 'classification'", False),
    ],
)
def test_fields_that_fit_the_file_need_no_word(files, caplog, name, text, whole):
    paths, report = tune(files, name, text)
    assert set(report.restored) == (paths if whole else paths - HEADS)
    assert not caplog.records


@pytest.mark.parametrize(
    "name, text, whole, said",
    [
        (
            "tf2",
            "fine_tune_checkpoint_type: 'classification'",
            False,
            "train_config.fine_tune_checkpoint_type is 'classification', but {} is a detection "
            "checkpoint: its feature extractors restored, as with 'detection'",
        ),
        (
            "tf1",
            "",
            False,
            "train_config.fine_tune_checkpoint_type is '' and from_detection_checkpoint false, "
            "which means a classifier, but {} is a detection checkpoint: its feature extractors "
            "restored, as with 'detection'",
        ),
        (
            "tf1",
            "load_all_detection_checkpoint_vars: true",
            True,
            "is a detection checkpoint: everything that fits restored, as with 'full'",
        ),
        (
            "tf2",
            "fine_tune_checkpoint_type: 'fine_tune'",
            False,
            "train_config.fine_tune_checkpoint_type is 'fine_tune', a word for other models: "
            "restored as 'detection'",
        ),
        (
            "tf2",
            "fine_tune_checkpoint_type: 'detection' fine_tune_checkpoint_version: V1",
            False,
            "train_config.fine_tune_checkpoint_version is V1, but {} is an object-based "
            "checkpoint (V2): read as what it is",
        ),
        (
            "tf1",
            "fine_tune_checkpoint_type: 'full' fine_tune_checkpoint_version: V2",
            True,
            "is V2, but {} is a name-based one (V1): read as what it is",
        ),
        (
            "slim",
            "fine_tune_checkpoint_type: 'detection'",
            False,
            "train_config.fine_tune_checkpoint_type is 'detection', but {} holds a classifier "
            "only: its network is restored, as with 'classification', and the rest of the model "
            "starts anew",
        ),
        (
            "slim",
            "from_detection_checkpoint: true",
            False,
            "train_config.from_detection_checkpoint is true, but {} holds a classifier only",
        ),
        (
            "slim",
            "fine_tune_checkpoint_type: 'feature_extractor'",
            False,
            "is 'feature_extractor', a word for other models: restored as 'classification'",
        ),
        (
            "tf2",
            "fine_tune_checkpoint_type: 'feature_extractor' fine_tune_checkpoint_version: V1",
            False,
            "as with 'detection'; train_config.fine_tune_checkpoint_version is V1",
        ),
    ],
)
def test_fields_that_contradict_the_file_are_corrected_in_one_warning(
    files, caplog, name, text, whole, said
):
    paths, report = tune(files, name, text)
    assert set(report.restored) == (paths if whole else paths - HEADS)
    (record,) = caplog.records
    assert record.levelname == "WARNING" and said.format(files[name]) in record.getMessage()


def test_another_number_of_classes_keeps_all_but_the_head(files):
    paths, report = tune(files, "tf2", "fine_tune_checkpoint_type: 'full'", classes=7)
    assert paths - set(report.restored) == {"roi_stage/head/classes/kernel"}
    assert report.mismatched == ("roi_stage/head/classes/kernel: model [4, 8], file [4, 3]",)
    assert "kept as initialized, roi_stage/head/classes/kernel" in report.summary()
