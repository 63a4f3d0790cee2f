"""Flags and fields that name paths: addresses are refused, wrong paths found before TensorFlow."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from object_detection import addresses
from object_detection.checkpoints import location
from object_detection.cli import path_flags
from object_detection.config import paths
from object_detection.errors import AddressError, CheckpointError, PathError
from object_detection.protos import eval_pb2, input_reader_pb2, pipeline_pb2, train_pb2

ROOT = Path(__file__).resolve().parents[2]
# Flags that hold text but no path. A new flag with text belongs here or in `path_flags.KINDS`.
TEXTS = {
    *("additional_output_tensor_names", "best_metric", "boxes_classes", "class_attribute"),
    *("class_name", "class_suffix", "classes", "classes_to_use", "config_override", "extractor"),
    *("format", "group_tag", "host", "hparams_overrides", "input_shape", "input_size"),
    *("input_type", "master", "model_name", "name", "ignore_class", "ignore_class", "overlap"),
    *("padding", "reader", "roi", "runner", "set", "side_input_names", "side_input_shapes"),
    *("side_input_types", "splits", "step", "tpu_name", "train_datasets", "train_tag"),
    *("val_datasets", "val_tag", "window", "worker_job_name", "year", "encoding"),
    *("train_keypoint_annotations_file", "val_keypoint_annotations_file"),  # not supported
    *("train_densepose_annotations_file", "val_densepose_annotations_file"),
}


def test_every_flag_with_text_is_a_path_or_declared_to_be_none():
    source = "".join(path.read_text() for path in (ROOT / "object_detection").rglob("*.py"))
    pattern = r'DEFINE_(?:string|multi_string|list)\(\s*"(\w+)"'
    result = set(re.findall(pattern, source))
    known = {key.rpartition(".")[2] for key in path_flags.KINDS}
    assert len(result) > 80
    assert not result - known - TEXTS
    assert not known & TEXTS


@pytest.mark.parametrize(
    ("value", "name", "words"),
    [
        ("gs://bucket/run", "--model_dir", "gs:// is not supported here"),
        ("S3://b/x", "--images", "s3:// is not supported here"),
        ("hdfs://h/x", "train_config.fine_tune_checkpoint", "hdfs:// is not supported"),
        ("file:///data/run", "--model_dir", "write the path itself, '/data/run'"),
        ("file://localhost/data/run", "--model_dir", "write the path itself, '/data/run'"),
        ("http://host:1", "--dispatcher", "accepts grpc:// only"),
        ("gs://b", "data_service", "accepts grpc:// only"),
    ],
)
def test_addresses_are_refused_by_name(value, name, words):
    with pytest.raises(AddressError, match=re.escape(words)) as caught:
        addresses.refuse(value, name)
    assert str(caught.value).startswith(f"{name} is {value!r}")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("grpc://host:5050", "--dispatcher"),
        ("grpc://host:5050", "data_service"),
        ("rtsp://camera/1", "--video"),
        ("/mnt/data=gs://bucket/data", "--worker_paths"),
        ("C:/data/run", "--model_dir"),
        ("C://data/run", "--model_dir"),
        ("runs/a:b//c", "--model_dir"),
    ],
)
def test_what_is_no_address_or_accepted_passes(value, name):
    addresses.refuse(value, name)


@pytest.mark.parametrize(
    ("command", "argument"),
    [
        ("model_main_tf2", "--model_dir=gs://bucket/run"),
        ("model_main_tf2", "--pipeline_config_path=gs://bucket/pipeline.config"),
        ("predict", "--saved_model=gs://bucket/model"),
        ("predict", "--images=gs://bucket/*.jpg"),
        ("predict", "gs://bucket/a.jpg"),
        ("legacy.train", "--train_dir=s3://bucket/run"),
        ("inference.infer_detections", "--input_tfrecord_paths=a.record,gs://b/c.record"),
        ("dataset_tools.create_coco_tf_record", "--output_dir=gs://bucket/records"),
        ("data_service", "--dispatcher=http://first:5050"),
    ],
)
def test_a_command_refuses_an_address_before_it_starts(tmp_path, command, argument):
    (tmp_path / "a.record").touch()
    given = {
        "model_main_tf2": {"pipeline_config_path": ".", "model_dir": "run"},
        "predict": {"saved_model": ".", "images": ".", "output": "out"},
        "inference.infer_detections": {"output_tfrecord_path": "b", "inference_graph": "."},
    }.get(command, {})
    own = argument[2:].partition("=")[0] if argument.startswith("--") else "images"
    others = [f"--{name}={value}" for name, value in given.items() if name != own]
    done = run(tmp_path, command, *others, argument)
    assert done.returncode == 1, done.stderr
    value = argument.rpartition("=")[2].rpartition(",")[2]
    assert f"--{own} is {value!r}" in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == ["a.record"]


def run(folder, command, *arguments):
    """A command in a folder, without TensorFlow: importing it fails."""
    (folder / "a.record").touch()
    blocked = (
        "import runpy, sys\n"
        "sys.modules['tensorflow'] = None\n"
        f"sys.argv[:1] = ['{command}']\n"
        f"runpy.run_module('object_detection.{command}', run_name='__main__', alter_sys=True)"
    )
    return subprocess.run(
        [sys.executable, "-c", blocked, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("command", "arguments", "sentence"),
    [
        (
            "predict",
            ("--saved_model=modle", "--images=.", "--output=out"),
            "--saved_model is 'modle': there is no such file, folder or checkpoint. Did you mean "
            "model?",
        ),
        ("predict", ("--saved_model=model", "--images=*.tif", "--output=out"), "matches no file"),
        (
            "predict",
            ("--saved_model=model", "--images=model", "--output=a.record/out"),
            "a.record is a file, where a folder is needed",
        ),
        ("serve", ("--model=modle",), "--model is 'modle'"),
        ("serve", ("--model_config_file=x",), "--model_config_file is 'x': there is no such file"),
        ("init", ("--data=modle", "--output_dir=out"), "--data is 'modle'"),
        (
            "evaluate",
            ("--annotations_file=gt.json", "--results=a.record"),
            "--annotations_file is 'gt.json': there is no such file",
        ),
        ("browse_data", ("--records=b*.record",), "--records: no file matches 'b*.record'"),
        (
            "exporter_main_v2",
            (
                "--pipeline_config_path=nowhere.config",
                "--trained_checkpoint_dir=model",
                "--output_directory=out",
            ),
            "nowhere.config cannot be read (No such file or directory)",
        ),
        (
            "model_main_tf2",
            ("--pipeline_config_path=a.record", "--model_dir=a.record"),
            "--model_dir is 'a.record'",
        ),
    ],
)
def test_a_wrong_path_is_reported_before_tensorflow(tmp_path, command, arguments, sentence):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "1.jpg").touch()
    done = run(tmp_path, command, *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_an_existing_prefix_is_weights(tmp_path):
    (tmp_path / "model.ckpt-7.index").touch()
    path_flags.check_value("--checkpoint", path_flags.WEIGHTS, str(tmp_path / "model.ckpt-7"))
    with pytest.raises(PathError, match="Did you mean"):
        path_flags.check_value("--checkpoint", path_flags.WEIGHTS, str(tmp_path / "model.ckpt-8"))


def test_fields_of_configs():
    reader = input_reader_pb2.InputReader(
        label_map_path="gs://b/map.pbtxt", data_service="http://h:1", cache_folder="s3://b"
    )
    reader.tf_record_input_reader.input_path.append("gs://b/a.record")
    config = pipeline_pb2.TrainEvalPipelineConfig(train_input_reader=reader)
    result = [str(fault) for fault in paths.check_readers(config, ("train_input_reader",)).faults]
    assert len(result) == 4 and all("://" in text for text in result)
    train = train_pb2.TrainConfig(fine_tune_checkpoint="gs://b/ckpt-0")
    (fault,) = paths.check_checkpoint(train).faults
    assert str(fault).startswith("train_config.fine_tune_checkpoint is 'gs://b/ckpt-0': gs:// is")
    evaluation = eval_pb2.EvalConfig(visualization_export_dir="gs://b/pictures")
    assert len(paths.check_evaluation(evaluation).faults) == 1
    with pytest.raises(CheckpointError, match="gs:// is not supported here"):
        location.find("gs://b/ckpt-0")


def test_the_name_of_a_command():
    assert path_flags.command_of(["/x/object_detection/predict.py"]) == "predict"
    assert path_flags.command_of(["/x/integrations/azoda/__main__.py"]) == "azoda"
    assert path_flags.command_of(["/bin/od-browse-data"]) == "browse_data"
