"""TensorFlow Serving's gRPC messages, as far as predictions need them, without TensorFlow.

They are described in a separate pool, so that they do not clash with the generated modules of
`tensorflow` and `tensorflow-serving-api`; the bytes are the same. Protobuf keeps undescribed fields
as unknown fields.
"""

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bytes": _FIELD.TYPE_BYTES,
    "string": _FIELD.TYPE_STRING,
    "bool": _FIELD.TYPE_BOOL,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
    "uint32": _FIELD.TYPE_UINT32,
    "uint64": _FIELD.TYPE_UINT64,
    "float": _FIELD.TYPE_FLOAT,
    "double": _FIELD.TYPE_DOUBLE,
}
# Message: rows of (field, number, type); "*" before a type repeats it, "map:" keys it by strings.
_MESSAGES = {
    "Dim": [("size", 1, "int64"), ("name", 2, "string")],
    "TensorShapeProto": [("dim", 2, "*Dim"), ("unknown_rank", 3, "bool")],
    "TensorProto": [
        ("dtype", 1, "int32"),
        ("tensor_shape", 2, "TensorShapeProto"),
        ("version_number", 3, "int32"),
        ("tensor_content", 4, "bytes"),
        ("float_val", 5, "*float"),
        ("double_val", 6, "*double"),
        ("int_val", 7, "*int32"),
        ("string_val", 8, "*bytes"),
        ("int64_val", 10, "*int64"),
        ("bool_val", 11, "*bool"),
        ("uint32_val", 16, "*uint32"),
        ("uint64_val", 17, "*uint64"),
    ],
    "Int64Value": [("value", 1, "int64")],
    "ModelSpec": [
        ("name", 1, "string"),
        ("version", 2, "Int64Value"),
        ("signature_name", 3, "string"),
        ("version_label", 4, "string"),
    ],
    "PredictRequest": [
        ("model_spec", 1, "ModelSpec"),
        ("inputs", 2, "map:TensorProto"),
        ("output_filter", 3, "*string"),
    ],
    "PredictResponse": [("outputs", 1, "map:TensorProto"), ("model_spec", 2, "ModelSpec")],
    "GetModelMetadataRequest": [("model_spec", 1, "ModelSpec"), ("metadata_field", 2, "*string")],
    "Any": [("type_url", 1, "string"), ("value", 2, "bytes")],
    "GetModelMetadataResponse": [("model_spec", 1, "ModelSpec"), ("metadata", 2, "map:Any")],
    "SignatureDefMap": [("signature_def", 1, "map:bytes")],
    "GetModelStatusRequest": [("model_spec", 1, "ModelSpec")],
    "StatusProto": [("error_code", 1, "int32"), ("error_message", 2, "string")],
    "ModelVersionStatus": [
        ("version", 1, "int64"),
        ("state", 2, "int32"),
        ("status", 3, "StatusProto"),
    ],
    "GetModelStatusResponse": [("model_version_status", 1, "*ModelVersionStatus")],
}
# DataType of TensorFlow: numpy's type, and the field that holds values that are not packed.
DATA_TYPES = {
    1: (np.float32, "float_val"),
    2: (np.float64, "double_val"),
    3: (np.int32, "int_val"),
    4: (np.uint8, "int_val"),
    7: (np.object_, "string_val"),
    9: (np.int64, "int64_val"),
    10: (np.bool_, "bool_val"),
    22: (np.uint32, "uint32_val"),
    23: (np.uint64, "uint64_val"),
}
_NUMBERS = {np.dtype(kind): number for number, (kind, _) in DATA_TYPES.items()}
_STRING = 7


def _pool():
    file = descriptor_pb2.FileDescriptorProto(name="wire.proto", package="wire", syntax="proto3")
    for name, rows in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in rows:
            _describe(message, field, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _describe(message, name, number, kind):
    field = message.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL)
    if kind.startswith("map:"):
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _describe(entry, "key", 1, "string")
        _describe(entry, "value", 2, kind.removeprefix("map:"))
        field.label, field.type = _FIELD.LABEL_REPEATED, _FIELD.TYPE_MESSAGE
        field.type_name = f".wire.{message.name}.{entry.name}"
        return
    if kind.startswith("*"):
        field.label, kind = _FIELD.LABEL_REPEATED, kind[1:]
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".wire.{kind}"


_CLASSES = message_factory.GetMessageClassesForFiles(["wire.proto"], _pool())
TensorProto = _CLASSES["wire.TensorProto"]
PredictRequest = _CLASSES["wire.PredictRequest"]
PredictResponse = _CLASSES["wire.PredictResponse"]
GetModelMetadataRequest = _CLASSES["wire.GetModelMetadataRequest"]
GetModelMetadataResponse = _CLASSES["wire.GetModelMetadataResponse"]
SignatureDefMap = _CLASSES["wire.SignatureDefMap"]
GetModelStatusRequest = _CLASSES["wire.GetModelStatusRequest"]
GetModelStatusResponse = _CLASSES["wire.GetModelStatusResponse"]


def put_array(proto, array):
    """Writes an array, or an array of bytes objects, into a `TensorProto`."""
    array = np.asarray(array)
    if array.dtype.kind in "SO":
        proto.dtype = _STRING
        proto.string_val.extend(bytes(value) for value in array.reshape(-1).tolist())
    else:
        proto.dtype = _NUMBERS[array.dtype]
        proto.tensor_content = np.ascontiguousarray(array).tobytes()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)


def array_of(proto, most_bytes=None):
    """The array in a `TensorProto`; of strings an object array of bytes.

    Args:
        proto: the message.
        most_bytes: a larger array is refused before it is made: one value may stand for many.

    Raises:
        ValueError: a type that is not carried, or values that do not make up the shape.
    """
    if proto.dtype not in DATA_TYPES:
        raise ValueError(f"DataType {proto.dtype} is not supported")
    kind, field = DATA_TYPES[proto.dtype]
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise ValueError(f"a tensor needs a whole shape, got {shape}")
    count = 1
    for size in shape:
        count *= size
    if most_bytes is not None and count * np.dtype(kind).itemsize > most_bytes:
        raise ValueError(f"a tensor of shape {shape} is larger than {most_bytes} bytes")
    if proto.tensor_content:
        if proto.dtype == _STRING or len(proto.tensor_content) != count * np.dtype(kind).itemsize:
            raise ValueError(f"{len(proto.tensor_content)} bytes do not make a tensor {shape}")
        return np.frombuffer(proto.tensor_content, kind).reshape(shape)
    values = getattr(proto, field)
    if len(values) > count or (not values and count):
        raise ValueError(f"{len(values)} values do not make a tensor {shape}")
    array = np.empty(count, kind)
    if kind is not np.object_ and len(values):
        low, high = min(values), max(values)
        if kind is np.uint8 and not 0 <= low <= high <= 255:
            raise ValueError(f"values from {low} to {high} are no uint8")
    array[: len(values)] = values
    array[len(values) :] = values[-1] if values else 0  # as in TensorFlow the last one repeats
    return array.reshape(shape)
