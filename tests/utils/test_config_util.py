"""TFOD's functions that change a config before a program runs it."""

import logging

import pytest

from object_detection.errors import ConfigError
from object_detection.protos import pipeline_pb2
from object_detection.utils import config_util

TEXT = """
model {
  faster_rcnn {
    num_classes: 3
    image_resizer { fixed_shape_resizer { height: 64 width: 96 } }
    second_stage_classification_loss { weighted_sigmoid_focal { gamma: 2 } }
  }
}
train_config {
  batch_size: 2
  fine_tune_checkpoint: "ckpt"
  optimizer {
    momentum_optimizer {
      learning_rate {
        cosine_decay_learning_rate { learning_rate_base: 0.5 warmup_learning_rate: 0.25 }
      }
    }
  }
}
train_input_reader {
  label_map_path: "map"
  tf_record_input_reader { input_path: "train" }
}
eval_config { num_examples: 8 }
eval_input_reader { name: "first" tf_record_input_reader { input_path: "val1" } }
eval_input_reader { name: "second" tf_record_input_reader { input_path: "val2" } }
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "pipeline.config").write_text(TEXT)
    return str(tmp_path / "pipeline.config")


@pytest.fixture
def configs(path):
    return config_util.get_configs_from_pipeline_file(path)


def merged(configs, **changes):
    return config_util.merge_external_params_with_configs(configs, None, changes)


def test_the_dict_has_tfods_keys(configs):
    assert set(configs) == {
        "model",
        "train_config",
        "train_input_config",
        "eval_config",
        "eval_input_configs",
        "eval_input_config",
    }
    assert configs["eval_input_config"].name == "first"
    assert config_util.get_number_of_classes(configs["model"]) == 3
    assert config_util.get_label_map_path(configs["train_input_config"]) == "map"


def test_an_override_text_is_merged(path):
    configs = config_util.get_configs_from_pipeline_file(path, "train_config { batch_size: 9 }")

    assert configs["train_config"].batch_size == 9


def test_a_config_survives_the_way_through_the_dict(path, configs, tmp_path):
    config = config_util.create_pipeline_proto_from_configs(configs)
    config_util.save_pipeline_config(config, str(tmp_path / "out"))

    again = config_util.get_configs_from_pipeline_file(str(tmp_path / "out" / "pipeline.config"))
    assert config_util.create_pipeline_proto_from_configs(again) == config
    assert len(config.eval_input_reader) == 2


def test_short_names_change_what_they_say(configs):
    merged(
        configs,
        batch_size=16,
        train_steps=100,
        eval_steps=5,
        num_classes=7,
        label_map_path="new map",
        train_input_path=["a", "b"],
        append_train_input_path="c",
        eval_input_path="v",
        mask_type=2,
        train_shuffle=False,
        sample_1_of_n_eval_examples=4,
        eval_num_epochs=1,
        momentum_optimizer_value=0.5,
        focal_loss_gamma=1.5,
        classification_localization_weight_ratio=3.0,
        sample_from_datasets_weights=[0.25, 0.75, 1.0],
        eval_with_moving_averages=True,
        retain_original_images_in_eval=False,
        use_bfloat16=True,
    )
    train, reader = configs["train_config"], configs["train_input_config"]
    model = configs["model"].faster_rcnn

    assert (train.batch_size, train.num_steps, train.use_bfloat16) == (16, 100, True)
    assert configs["eval_config"].num_examples == 5
    assert configs["eval_config"].use_moving_averages
    assert not configs["eval_config"].retain_original_images
    assert model.num_classes == 7
    assert list(reader.tf_record_input_reader.input_path) == ["a", "b", "c"]
    assert list(reader.sample_from_datasets_weights) == [0.25, 0.75, 1.0]
    assert (reader.label_map_path, reader.mask_type, reader.shuffle) == ("new map", 2, False)
    for reader in configs["eval_input_configs"]:
        assert list(reader.tf_record_input_reader.input_path) == ["v"]
        assert (reader.sample_1_of_n_examples, reader.num_epochs) == (4, 1)
        assert (reader.label_map_path, reader.mask_type) == ("new map", 2)
    assert train.optimizer.momentum_optimizer.momentum_optimizer_value == 0.5
    assert model.second_stage_classification_loss.weighted_sigmoid_focal.gamma == 1.5
    assert model.second_stage_localization_loss_weight == 1
    assert model.second_stage_classification_loss_weight == 3


def test_nothing_is_changed_by_none_or_an_empty_text(configs):
    before = config_util.create_pipeline_proto_from_configs(configs)

    merged(configs, batch_size=None, label_map_path="")

    assert config_util.create_pipeline_proto_from_configs(configs) == before


def test_dotted_keys_reach_every_field(configs):
    changes = {
        "model.faster_rcnn.first_stage_max_proposals": 50,
        "train_config.fine_tune_checkpoint": "C:/my models/ckpt, 1",
        "train_input_config.shuffle": False,
        "eval_input_configs:second:shuffle": False,
        "eval_input_configs:first:input_path": "new",
    }
    config_util.merge_external_params_with_configs(configs, None, changes)

    assert configs["model"].faster_rcnn.first_stage_max_proposals == 50
    assert configs["train_config"].fine_tune_checkpoint == "C:/my models/ckpt, 1"
    assert not configs["train_input_config"].shuffle
    first, second = configs["eval_input_configs"]
    assert (first.shuffle, second.shuffle) == (True, False)
    assert list(first.tf_record_input_reader.input_path) == ["new"]


def test_hparams_are_read_by_their_values(configs):
    class HParams:
        def values(self):
            return {"batch_size": 5}

    config_util.merge_external_params_with_configs(configs, HParams())

    assert configs["train_config"].batch_size == 5


def test_an_ambiguous_reader_is_reported(configs):
    with pytest.raises(ConfigError, match='fits 2 readers; the names of all are: "first", "sec'):
        config_util.merge_external_params_with_configs(
            configs, None, {"eval_input_configs::shuffle": False}
        )


def test_a_key_that_means_nothing_is_reported_and_left_out(configs, caplog):
    with caplog.at_level(logging.WARNING):
        merged(configs, batchsize=3)

    assert "batchsize is ignored: there is no such key. Did you mean batch_size?" in caplog.text


def test_a_wrong_field_behind_a_dot_is_an_error(configs):
    with pytest.raises(ConfigError, match='did you mean "num_classes"'):
        config_util.merge_external_params_with_configs(
            configs, None, {"model.faster_rcnn.num_clases": 3}
        )


RATE = "train_config { optimizer { momentum_optimizer { learning_rate { %s } } } }"


@pytest.mark.parametrize(
    ("curve", "then"),
    [
        ("constant_learning_rate { learning_rate: 0.5 }", {"learning_rate": 1.0}),
        (
            "exponential_decay_learning_rate { initial_learning_rate: 0.5 decay_factor: 0.75 }",
            {"initial_learning_rate": 1.0, "decay_factor": 0.75},
        ),
        (  # from 0.5 to 1.0 all rates double
            "cosine_decay_learning_rate { learning_rate_base: 0.5 warmup_learning_rate: 0.125 }",
            {"learning_rate_base": 1.0, "warmup_learning_rate": 0.25},
        ),
    ],
)
def test_a_learning_rate_scales_its_curve(curve, then):
    config = config_util.pipeline_file.parse(RATE % curve)
    configs = config_util.create_configs_from_pipeline_proto(config)

    merged(configs, learning_rate=1.0)

    optimizer = configs["train_config"].optimizer.momentum_optimizer
    rate = getattr(optimizer.learning_rate, config_util.get_learning_rate_type(optimizer))
    assert {name: getattr(rate, name) for name in then} == then


def test_a_learning_rate_scales_all_manual_steps():
    curve = (
        "manual_step_learning_rate { initial_learning_rate: 0.5 schedule { learning_rate: 0.25 } }"
    )
    config = config_util.pipeline_file.parse(RATE % curve)
    merged(config_util.create_configs_from_pipeline_proto(config), learning_rate=1.0)

    optimizer = config.train_config.optimizer.momentum_optimizer
    manual = optimizer.learning_rate.manual_step_learning_rate
    assert (manual.initial_learning_rate, manual.schedule[0].learning_rate) == (1.0, 0.5)


def test_momentum_of_an_optimizer_without_it_is_an_error():
    config = config_util.pipeline_file.parse("train_config { optimizer { adam_optimizer { } } }")

    with pytest.raises(TypeError, match="adam_optimizer has no momentum"):
        merged(config_util.create_configs_from_pipeline_proto(config), momentum_optimizer_value=0.5)


def test_a_checkpoint_is_cleared(path, tmp_path):
    config_util.clear_fine_tune_checkpoint(path, str(tmp_path / "clear.config"))

    configs = config_util.get_configs_from_pipeline_file(str(tmp_path / "clear.config"))
    assert not configs["train_config"].fine_tune_checkpoint
    assert configs["train_config"].batch_size == 2


@pytest.mark.parametrize(
    ("resizer", "size"),
    [
        ("fixed_shape_resizer { height: 64 width: 96 }", [64, 96]),
        ("keep_aspect_ratio_resizer { max_dimension: 80 }", [-1, -1]),
        ("keep_aspect_ratio_resizer { max_dimension: 80 pad_to_max_dimension: true }", [80, 80]),
        ("identity_resizer { }", [-1, -1]),
    ],
)
def test_the_size_a_resizer_gives(resizer, size):
    text = f"model {{ faster_rcnn {{ image_resizer {{ {resizer} }} }} }}"
    model = config_util.pipeline_file.parse(text).model

    config = config_util.get_image_resizer_config(model)
    assert config_util.get_spatial_image_size(config) == size


def test_types_are_none_where_nothing_is_set():
    assert (
        config_util.get_optimizer_type(pipeline_pb2.TrainEvalPipelineConfig().train_config) is None
    )


def test_parts_in_files_of_their_own_become_one_config(tmp_path):
    parts = {
        "model": "faster_rcnn { num_classes: 3 }",
        "train": "batch_size: 2",
        "reader": 'tf_record_input_reader { input_path: "val" }',
    }
    for name, text in parts.items():
        (tmp_path / name).write_text(text)
    configs = config_util.get_configs_from_multiple_files(
        model_config_path=str(tmp_path / "model"),
        train_config_path=str(tmp_path / "train"),
        eval_input_config_path=str(tmp_path / "reader"),
    )

    assert set(configs) == {"model", "train_config", "eval_input_configs", "eval_input_config"}
    whole = config_util.create_pipeline_proto_from_configs(configs)
    assert whole.model.faster_rcnn.num_classes == 3
    assert whole.train_config.batch_size == 2
    assert len(whole.eval_input_reader) == 1


def test_a_part_that_cannot_be_read_is_reported(tmp_path):
    (tmp_path / "model").write_text("faster_rcnn { num_clases: 3 }")
    with pytest.raises(ConfigError, match="model:1:15.*num_clases"):
        config_util.get_configs_from_multiple_files(model_config_path=str(tmp_path / "model"))
    with pytest.raises(ConfigError, match="absent cannot be read"):
        config_util.get_configs_from_multiple_files(train_config_path=str(tmp_path / "absent"))


def test_a_reader_is_updated_by_its_name(configs):
    config_util.update_input_reader_config(
        configs, "eval_input_configs", "second", "label_map_path", "other"
    )
    config_util.update_input_reader_config(configs, "train_input_config", value="new.record")

    assert [reader.label_map_path for reader in configs["eval_input_configs"]] == ["", "other"]
    assert configs["train_input_config"].tf_record_input_reader.input_path == ["new.record"]


def test_the_older_way_to_name_a_checkpoint_type(configs):
    train_config = configs["train_config"]
    config_util.update_fine_tune_checkpoint_type(train_config)
    assert train_config.fine_tune_checkpoint_type == "classification"

    train_config.fine_tune_checkpoint_type = "full"
    config_util.update_fine_tune_checkpoint_type(train_config)
    assert train_config.fine_tune_checkpoint_type == "full"
