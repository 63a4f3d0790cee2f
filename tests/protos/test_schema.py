"""The schema equals TFOD's table; what is added is numbered apart and documented."""

import csv
import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from reference import REFERENCE, needs_reference

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "object_detection.protos."
FIRST_EXTENSION = 10000
NO_UPPER_END = {1 << 29, 2147483647}

SCALARS = {
    getattr(FieldDescriptor, f"TYPE_{name.upper()}"): name
    for name in ("bool", "float", "int32", "string", "uint32")
}


def schema_files():
    """Every generated module's file as a FileDescriptorProto."""
    for path in sorted((ROOT / "protos").glob("*.proto")):
        importlib.import_module(f"object_detection.protos.{path.stem}_pb2")
        found = descriptor_pool.Default().FindFileByName(f"object_detection/protos/{path.name}")
        proto = FileDescriptorProto()
        found.CopyToProto(proto)
        yield proto


def ranges(items, last):
    """Number ranges as the table writes them: 2-2, 1-999, 1000-max (both ends included)."""
    spans = ((item.start, last(item.end)) for item in items)
    return ",".join(f"{start}-{'max' if end + 1 in NO_UPPER_END else end}" for start, end in spans)


def message_options(message):
    """The table's options column for a message."""
    texts = []
    if message.options.map_entry:
        texts.append("map_entry=true")
    if message.extension_range:
        texts.append("extension_ranges=" + ranges(message.extension_range, lambda end: end - 1))
    if message.reserved_range:
        texts.append("reserved=" + ranges(message.reserved_range, lambda end: end - 1))
    return ";".join(texts)


def default_of(field):
    """The default as a value that compares equal however it was written; None where unset."""
    if not field.HasField("default_value"):
        return None
    return parsed_default(SCALARS.get(field.type, "enum"), field.default_value)


def parsed_default(kind, text):
    if kind == "float":
        return float(np.float32(text))
    return int(text) if kind in ("int32", "uint32") else text


def field_row(file, message, field):
    kind = SCALARS.get(field.type)
    if kind is None:
        kind = "enum " if field.type == FieldDescriptorProto.TYPE_ENUM else "message "
        kind += field.type_name.lstrip(".")
    label = "repeated" if field.label == FieldDescriptorProto.LABEL_REPEATED else "optional"
    oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
    options = "deprecated=true" if field.options.deprecated else ""
    return (file, field.number, label, kind, default_of(field), oneof, options)


def rows_of(file, scope, message):
    """Rows of a message, of what is nested in it and of its enums: (scope, kind, name) -> facts."""
    here = f"{scope}{message.name}"
    yield (here, "message", ""), (file, message_options(message))
    for field in message.field:
        yield (here, "field", field.name), field_row(file, message, field)
    for index, oneof in enumerate(message.oneof_decl):
        members = {
            field.name
            for field in message.field
            if field.HasField("oneof_index")
            and field.oneof_index == index
            and field.number < FIRST_EXTENSION  # ours may join TFOD's choices
        }
        yield (here, "oneof", oneof.name), (file, frozenset(members))
    for nested in message.nested_type:
        yield from rows_of(file, here + ".", nested)
    for enum in message.enum_type:
        yield from enum_rows(file, here + ".", enum)


def enum_rows(file, scope, enum):
    yield (scope + enum.name, "enum", ""), (file,)
    for value in enum.value:
        yield (scope + enum.name, "enum_value", value.name), (file, value.number)


def schema_rows():
    """The committed schema as a dict of rows."""
    rows = {}
    for file in schema_files():
        rows[file.name, "file", ""] = (file.package, file.syntax or "proto2", set(file.dependency))
        for message in file.message_type:
            rows.update(rows_of(file.name, PACKAGE, message))
        for enum in file.enum_type:
            rows.update(enum_rows(file.name, PACKAGE, enum))
    return rows


def table_rows():
    """TFOD's table as a dict of rows of the same form."""
    rows = {}
    with open(REFERENCE / "reference" / "proto_fields.tsv", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
            members, file, kind = row["oneof_or_members_or_deps"], row["file"], row["kind"]
            facts = {
                "file": lambda r=row, m=members: (
                    r["name"],
                    r["type"],
                    set(filter(None, m.split(","))),
                ),
                "message": lambda r=row: (r["file"], r["options"]),
                "enum": lambda r=row: (r["file"],),
                "enum_value": lambda r=row: (r["file"], int(r["number"])),
                "oneof": lambda r=row, m=members: (r["file"], frozenset(m.split(","))),
                "field": lambda r=row, m=members: table_field(r, m),
            }[kind]()
            if kind == "file":
                rows[file, "file", ""] = facts
            else:
                name = "" if kind in ("message", "enum") else row["name"]
                rows[row["message"], kind, name] = facts
    return rows


def table_field(row, oneof):
    default = row["default"]
    if row["type"] == "string":
        default = default.strip("'")
    value = parsed_default(row["type"], default) if default else None
    number = int(row["number"])
    return (row["file"], number, row["label"], row["type"], value, oneof, row["options"])


def extension_fields():
    """Our own fields as 'Message.field' -> number."""
    return {
        f"{scope.removeprefix(PACKAGE)}.{name}": facts[1]
        for (scope, kind, name), facts in schema_rows().items()
        if kind == "field" and facts[1] >= FIRST_EXTENSION
    }


@needs_reference
def test_every_row_of_the_table_is_in_the_schema_and_equal():
    schema = schema_rows()
    table = table_rows()
    assert len(table) == 1152
    wrong = {key: (row, schema.get(key)) for key, row in table.items() if schema.get(key) != row}
    assert wrong == {}


@needs_reference
def test_fields_the_table_lacks_are_numbered_from_10000():
    """Messages of our own number their fields from 1: only fields of our own lead to them."""
    table, schema = table_rows(), schema_rows()
    own = {key[0] for key in schema if key[1] == "message" and key not in table}
    low = [
        (key, facts)
        for key, facts in schema.items()
        if key not in table
        and key[0] not in own
        and not (key[1] == "field" and facts[1] >= FIRST_EXTENSION)
    ]
    assert low == []


def test_every_extension_field_is_documented_with_its_number():
    documented = dict(
        re.findall(r"^\| `(\w+\.\w+)` \| (\d+) \|", (ROOT / "docs/extensions.md").read_text(), re.M)
    )
    assert extension_fields() == {name: int(number) for name, number in documented.items()}


def test_generated_files_are_fresh():
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not here")
    script = ROOT / "scripts" / "make_protos.py"
    result = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_every_generated_file_was_made_by_the_compiler_that_protobuf_6_31_accepts():
    made = sorted((ROOT / "object_detection" / "protos").glob("*_pb2.py"))
    assert len(made) == len(list((ROOT / "protos").glob("*.proto")))
    for path in made:
        assert "# Protobuf Python Version: 6.31.1" in path.read_text(), path.name
