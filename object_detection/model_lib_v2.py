"""TFOD's `model_lib_v2` for programs that start training or evaluation themselves.

The runs are those of `model_main_tf2.py`; the config determines what the arguments do not.
"""

from absl import logging

from object_detection.config import pipeline_file, tfod_overrides
from object_detection.training import commands


def train_loop(
    pipeline_config_path,
    model_dir,
    config_override=None,
    train_steps=None,
    use_tpu=False,
    save_final_config=False,
    checkpoint_every_n=1000,
    checkpoint_max_to_keep=7,
    record_summaries=True,
    performance_summary_exporter=None,
    num_steps_per_iteration=100,
    **kwargs,
):
    """Train a model in `model_dir`, resuming an earlier run there.

    Args:
        pipeline_config_path: a pipeline.config, or a TrainEvalPipelineConfig message.
        model_dir: where checkpoints, event files and the config as run go.
        config_override: a TrainEvalPipelineConfig, or its text, to be merged over the config.
        train_steps: overrides train_config.num_steps.
        use_tpu: must be False.
        save_final_config, performance_summary_exporter, num_steps_per_iteration: without effect
            here: the config as run is always saved, and steps are counted one by one.
        checkpoint_every_n: steps between checkpoints.
        checkpoint_max_to_keep: how many checkpoints stay; 0: all.
        record_summaries: whether input images are written to TensorBoard.
        kwargs: further changes of the config, as `merge_external_params_with_configs` takes them.

    Returns:
        0, or another exit code where the run was interrupted.

    Raises:
        ConfigError: the config cannot be read or has faults.
        TrainingError: the run cannot continue; the message says why.
        ValueError: use_tpu.
    """
    del save_final_config, performance_summary_exporter, num_steps_per_iteration
    _refuse_tpu(use_tpu)
    config, name = _config_of(pipeline_config_path, config_override, kwargs)
    if train_steps:
        config.train_config.num_steps = train_steps
    reads = ("train_input_reader",)
    commands.checked(config, purpose="train", reads=reads, source=name, model_dir=str(model_dir))
    from object_detection.training import distribution, jobs

    distribution.let_gpu_memory_grow()
    options = jobs.TrainOptions(
        model_dir=str(model_dir),
        checkpoint_every_n=checkpoint_every_n,
        checkpoint_max_to_keep=checkpoint_max_to_keep,
        record_summaries=record_summaries,
    )
    return jobs.train(config, options)


def eval_continuously(
    pipeline_config_path,
    config_override=None,
    train_steps=None,
    sample_1_of_n_eval_examples=1,
    sample_1_of_n_eval_on_train_examples=1,
    use_tpu=False,
    override_eval_num_epochs=True,
    postprocess_on_cpu=False,
    model_dir=None,
    checkpoint_dir=None,
    wait_interval=180,
    timeout=3600,
    eval_index=None,
    save_final_config=False,
    eval_on_train_data=False,
    run_once=False,
    **kwargs,
):
    """Evaluate the checkpoints of a folder as they appear.

    Args:
        pipeline_config_path, config_override, train_steps, use_tpu, kwargs: as in `train_loop`.
        sample_1_of_n_eval_examples: evaluate on every n-th example.
        sample_1_of_n_eval_on_train_examples: the same for the training examples.
        model_dir: where the metrics go, in eval/; by default `checkpoint_dir`.
        checkpoint_dir: the folder of checkpoints; by default `model_dir`.
        wait_interval: seconds between checks of the folder.
        timeout: seconds without a new checkpoint after which evaluation ends.
        eval_index: number of the eval_input_reader; None: all of them (TFOD: the first).
        eval_on_train_data: evaluate on the training data.
        run_once: evaluate the newest checkpoint and return.
        override_eval_num_epochs, postprocess_on_cpu, save_final_config: without effect here: an
            evaluation always reads all examples once.

    Returns:
        0, or another exit code where the run was interrupted.

    Raises:
        ConfigError, TrainingError, ValueError: as `train_loop`; or neither folder is given.
    """
    del override_eval_num_epochs, postprocess_on_cpu, save_final_config
    _refuse_tpu(use_tpu)
    if not (model_dir or checkpoint_dir):
        raise ValueError("give checkpoint_dir, the folder whose checkpoints are to be evaluated")
    config, name = _config_of(pipeline_config_path, config_override, kwargs)
    if train_steps:
        config.train_config.num_steps = train_steps
    if wait_interval is not None:
        config.eval_config.eval_interval_secs = int(wait_interval)
    if eval_index is not None and not eval_on_train_data:
        reader = config.eval_input_reader[eval_index]
        config.ClearField("eval_input_reader")
        config.eval_input_reader.add().CopyFrom(reader)
    readers, every = config.eval_input_reader, sample_1_of_n_eval_examples
    if eval_on_train_data:
        readers, every = [config.train_input_reader], sample_1_of_n_eval_on_train_examples
    for reader in readers:
        reader.sample_1_of_n_examples = every or reader.sample_1_of_n_examples
    reads = ("train_input_reader" if eval_on_train_data else "eval_input_reader",)
    commands.checked(config, purpose="eval", reads=reads, source=name)
    from object_detection.training import distribution, jobs

    distribution.let_gpu_memory_grow()
    options = jobs.EvalOptions(
        model_dir=str(model_dir or checkpoint_dir),
        checkpoint_dir=str(checkpoint_dir or model_dir),
        run_once=run_once,
        eval_timeout=timeout,
        on_train_data=eval_on_train_data,
    )
    return jobs.evaluate(config, options)


def _refuse_tpu(use_tpu):
    if use_tpu:
        raise ValueError("TPUs are not supported; omit use_tpu to run on GPUs or the CPU")


def _config_of(source, override, changes):
    """Return a copy of a TrainEvalPipelineConfig or of the one in a file, and its name."""
    if hasattr(source, "train_config"):
        config, name = type(source)(), "the config"
        config.CopyFrom(source)
    else:
        config, name = pipeline_file.load(source), str(source)
    if override is not None:
        if isinstance(override, str):
            override = pipeline_file.parse(override, "config_override")
        config.MergeFrom(override)
    if changes:
        logging.info("Changes of %s: %s", name, ", ".join(sorted(changes)))
        configs = tfod_overrides.create_configs_from_pipeline_proto(config)
        tfod_overrides.merge_external_params_with_configs(configs, None, changes)
    return config, name
