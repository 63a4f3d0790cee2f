"""Export as TFOD 1.x writes it: a frozen graph, a name-based checkpoint, a SavedModel.

Clients of these feed and fetch by name: `image_tensor:0`, `detection_boxes:0`, `num_detections:0`.
"""

from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from object_detection.checkpoints import tfod_writer
from object_detection.checkpoints.names import SUFFIX
from object_detection.checkpoints.variables import names_of, variables_by_path
from object_detection.config import pipeline_file
from object_detection.errors import ExportError
from object_detection.export import exporter, model_info, preparation, serving

INPUTS = "inputs"  # the one input of TF1's signature
CHECKPOINT = "model.ckpt"
_SCOPE = "detector"  # of everything in the graph but inputs and outputs
_INT32 = ("num_detections", "detection_classes")  # in signatures of our own

tf1 = tf.compat.v1


class GraphOptions(NamedTuple):
    """Options of `export_inference_graph.py` only."""

    input_shape: tuple = ()  # of the images; -1 or None for any size; () for any shape
    write_inference_graph: bool = False  # the graph with its variables, as text
    additional_outputs: tuple = ()  # names of further outputs of the frozen graph


class _Traced(NamedTuple):
    """A model as a function of its one input."""

    concrete: object  # ConcreteFunction
    spec: tf.TensorSpec  # of the input: TFOD's name, the requested shape
    names: list  # of its outputs, in order
    shown: list  # of the outputs in the graph


DEFAULTS = GraphOptions()


def export(config, checkpoint, output_directory, options, graph_options=DEFAULTS):
    """Write what TFOD's TF1 exporter writes, all or nothing.

    frozen_inference_graph.pb, model.ckpt.* with its `checkpoint`, pipeline.config, saved_model/
    (frozen, its input `inputs`) and, if requested, inference_graph.pbtxt.

    Args:
        config: TrainEvalPipelineConfig.
        checkpoint: see `exporter.export`.
        output_directory: created if missing.
        options: `ExportOptions`.
        graph_options: `GraphOptions`.

    Returns:
        The folder, and the label map that was copied (None if none could be read).

    Raises:
        ExportError: as `exporter.export`; a shape or a tensor's name that does not fit.
    """
    module_class = serving.module_for(options.input_type)
    spec = _input_spec(module_class.spec, options.input_type, graph_options.input_shape)
    exporter.check_target(output_directory)
    output = Path(output_directory)
    raw = options.raw or bool(graph_options.additional_outputs)
    model = preparation.restore(config, checkpoint, options._replace(raw=raw))
    keys = checkpoint_keys(model.network)
    trained = {path: v.numpy() for path, v in variables_by_path(model.network).items()}
    with exporter.partial_folder(output) as partial:
        fixed = [*spec.shape, None, None][:3]  # of strings only the batch
        served = preparation.served(model, partial, fixed)
        traced = _trace(served.module, spec, options, graph_options.additional_outputs)
        if options.optimize:  # what it reads are not the trained weights
            traced = traced._replace(concrete=_with_constants(traced.concrete))
        _write_checkpoint(model.network, keys, trained, traced, partial)
        if not graph_options.write_inference_graph:
            (partial / "inference_graph.pbtxt").unlink()
        graph_def = _write_frozen(traced, partial / exporter.FROZEN_GRAPH)
        _write_saved_model(graph_def, traced, options.masks, partial)
        pipeline_file.save(config, str(partial))
        exporter.finish(model, served, partial, partial / exporter.FROZEN_GRAPH)
        exporter.move_into_place(partial, output)
    return output, model.label_map


def checkpoint_keys(network):
    """Return {path of a variable: its key in model.ckpt}.

    The names of TFOD 1.x for its extractors; for others the keys of TFOD 2.x, or our own.
    """
    names = names_of(network)
    if set(names.scopes) == set(names.paths):
        return names.scopes
    form = tfod_writer.layout_of(network)
    if form is not None:
        return form.keys
    return {path: f"model/{path.replace('/', '..')}{SUFFIX}" for path in names.paths}


def _input_spec(spec, name, shape):
    """Return the spec of the graph's input.

    Raises:
        ExportError: the shape is not that of a batch of images.
    """
    sides = [None if side in (-1, None) else side for side in shape]
    if not sides:
        return tf.TensorSpec(spec.shape, spec.dtype, name)
    if len(sides) != 4 or sides[3] not in (3, None) or any(s == 0 for s in sides):
        raise ExportError(
            f"input_shape is {','.join(map(str, shape))}; give batch, height, width and 3, for "
            "example 1,600,600,3, with -1 for any"
        )
    # Of files only the batch can be fixed.
    sides = [*sides[:3], 3] if spec.shape.rank == 4 else sides[:1]
    return tf.TensorSpec(sides, spec.dtype, name)


def _trace(module, spec, options, additional):
    """Trace the whole module.

    Raises:
        ExportError: an additional output that the graph does not have.
    """
    mask_format = options.masks if options.masks in serving.MASK_SIGNATURES else None

    def detect(input_tensor):
        outputs, sizes = module.detect(input_tensor)
        return (
            serving.compact_outputs(outputs, sizes, mask_format) | outputs
            if mask_format
            else outputs
        )

    concrete = tf.function(detect, input_signature=[module.spec]).get_concrete_function()
    names = sorted(concrete.structured_outputs)
    default = list(module.default_names) if not options.raw else names
    selected = [name.removesuffix(":0") for name in additional]
    unknown = [name for name in selected if name not in names]
    if unknown:
        raise ExportError(
            f"additional_output_tensor_names: {', '.join(unknown)} is not in the graph; available: "
            f"{', '.join(name for name in names if name not in default)}"
        )
    compact = [n for n in names if mask_format and n in (*serving.MASK_OUTPUTS, serving.IMAGE_SIZE)]
    return _Traced(concrete, spec, names, sorted({*default, *selected, *compact}))


def _import_function(graph_def, function, traced, captured=None):
    """Import a function's graph into the current one, with the names of its input and outputs.

    Args:
        graph_def: of the function.
        function: whose inputs and outputs are those of `traced`.
        traced: `_Traced`.
        captured: {name of an inner tensor: tensor of this graph} that replace it.
    """
    source = tf1.placeholder(traced.spec.dtype, traced.spec.shape, traced.spec.name)
    output_of = dict(zip(traced.names, function.outputs, strict=True))
    tensors = tf.import_graph_def(
        graph_def,
        input_map={function.inputs[0].name: source, **(captured or {})},
        return_elements=[output_of[name].name for name in traced.shown],
        name=_SCOPE,
    )
    for name, tensor in zip(traced.shown, tensors, strict=True):
        tf.identity(tensor, name)


def _write_checkpoint(network, keys, trained, traced, folder):
    """Write model.ckpt.*, its `checkpoint`, and inference_graph.pbtxt: the graph with variables.

    With `--optimize` the graph has constants instead; the checkpoint holds the trained weights.
    """
    variables = variables_by_path(network)
    handles = {id(v.value.handle): path for path, v in variables.items()}
    function = traced.concrete
    with tf.Graph().as_default(), tf1.Session() as session:
        stored = {
            path: tf1.get_variable(
                path.replace(".", "_"),
                value.shape,
                initializer=tf1.zeros_initializer(),
                use_resource=True,
            )
            for path, value in trained.items()
        }
        captured = {
            inner.name: stored[handles[id(outer)]].handle
            for outer, inner in function.graph.captures
            if id(outer) in handles
        }
        _import_function(function.graph.as_graph_def(), function, traced, captured)
        tf.io.write_graph(tf1.get_default_graph(), str(folder), "inference_graph.pbtxt")
        for path, variable in stored.items():
            session.run(variable.initializer, {variable.initializer.inputs[1]: trained[path]})
        saver = tf1.train.Saver({keys[path]: variable for path, variable in stored.items()})
        saver.save(session, str(folder / CHECKPOINT), write_state=False)
    state = f'model_checkpoint_path: "{CHECKPOINT}"\nall_model_checkpoint_paths: "{CHECKPOINT}"\n'
    (folder / "checkpoint").write_text(state)


def _write_frozen(traced, path):
    """Write the graph with its weights as constants; return the GraphDef."""
    function = _with_constants(traced.concrete)
    with tf.Graph().as_default() as graph:
        _import_function(function.graph.as_graph_def(), function, traced)
        graph_def = graph.as_graph_def()
    path.write_bytes(graph_def.SerializeToString())
    return graph_def


def _with_constants(function):
    """Return a concrete function with its weights as constants."""
    from tensorflow.python.framework import convert_to_constants

    return convert_to_constants.convert_variables_to_constants_v2(
        function, lower_control_flow=False
    )


def _write_saved_model(graph_def, traced, mask_format, partial):
    """Write saved_model/ of a frozen graph, with the assets in `partial`."""
    builder = tf1.saved_model.Builder(str(partial / "saved_model"))
    with tf.Graph().as_default() as graph, tf1.Session() as session:
        tf.import_graph_def(graph_def, name="")
        inputs = {INPUTS: graph.get_tensor_by_name(f"{traced.spec.name}:0")}
        outputs = {name: graph.get_tensor_by_name(f"{name}:0") for name in traced.shown}
        own = {serving.IMAGE_SIZE, *serving.MASK_OUTPUTS}
        default = {name: tensor for name, tensor in outputs.items() if name not in own}
        signatures = {serving.SIGNATURE: _signature(inputs, default)}
        if mask_format in serving.MASK_SIGNATURES:
            name = serving.MASK_SIGNATURES[mask_format]
            compact = {k: outputs[k] for k in (*serving.COMPACT, *(own & set(outputs)))}
            with tf.name_scope(name):
                compact |= {k: tf.cast(outputs[k], tf.int32) for k in _INT32}
            signatures[name] = _signature(inputs, compact)
        assets = [partial / name for name in (preparation.LABEL_MAP, model_info.NAME)]
        builder.add_meta_graph_and_variables(
            session,
            [tf1.saved_model.tag_constants.SERVING],
            signature_def_map=signatures,
            assets_collection=[tf.constant(str(path)) for path in assets if path.is_file()],
        )
    builder.save()
    (partial / "saved_model" / "variables").mkdir(exist_ok=True)  # as TFOD has it, empty


def _signature(inputs, outputs):
    return tf1.saved_model.build_signature_def(
        inputs={name: tf1.saved_model.build_tensor_info(x) for name, x in inputs.items()},
        outputs={name: tf1.saved_model.build_tensor_info(x) for name, x in outputs.items()},
        method_name=tf1.saved_model.signature_constants.PREDICT_METHOD_NAME,
    )
