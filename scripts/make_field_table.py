"""Makes docs/fields.md: what becomes of every field of a config.

    python scripts/make_field_table.py            write it
    python scripts/make_field_table.py --check    compare with a fresh one; exit code 1 if stale

It comes of the schema (defaults), of object_detection/config/field_use.py (what is read, refused or
without effect, and why) and of scripts/field_remarks.txt (a few words on each field that works).
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from object_detection.config import field_checks, field_use  # noqa: E402
from object_detection.config.findings import listed, number  # noqa: E402

PAGE = ROOT / "docs" / "fields.md"
REMARKS = ROOT / "scripts" / "field_remarks.txt"
FIRST_EXTENSION = 10000

HEAD = """# Every field

Made by `python scripts/make_field_table.py`; `make check` compares.

| | |
| --- | --- |
| works | the code goes by it |
| holds | what it asks for is so in any case: setting it changes nothing and is not warned of |
| no effect | set to anything but its default it is a warning that names it and says why |
| refused | set to anything but its default it stops the run before anything is built |

Defaults are the schema's: what holds where a config leaves the field out. A field marked *ours* is
not in the original API ([extensions](extensions.md)). Fields below one that is refused or has no
effect go with it and are not listed. {counts}

The tests set every field of this page: those that work to another valid value, which has to change
what is built; the others to see the warning, the fault or the absence of both that is listed here.
"""
# Heading, message that is its root, and what the section is about.
PARTS = (
    ("model", "DetectionModel", "`model { faster_rcnn { ... } }` and everything below it."),
    ("train_config", "TrainConfig", "Optimizers and learning rates with it."),
    (
        "train_config.data_augmentation_options",
        "PreprocessingStep",
        "[Augmentation](augmentation.md) says what each step does, and shows it.",
    ),
    ("train_input_reader, eval_input_reader", "InputReader", ""),
    ("eval_config", "EvalConfig", ""),
    ("The whole file", "TrainEvalPipelineConfig", ""),
)


def read_remarks(path=REMARKS):
    """{'Message.field' or '*.field': a few words} of the file of remarks."""
    remarks, message = {}, ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            message = line.strip("[]")
        elif line.strip() and not line.startswith("#"):
            field, _, words = line.partition(": ")
            if f"{message}.{field}" in remarks:
                raise SystemExit(f"{path.name} speaks of {message}.{field} twice")
            remarks[f"{message}.{field}"] = words
    return remarks


def use_of(message, field):
    """(one of the four words of the page, the reason or '') of a field of a message."""
    key = f"{message}.{field.name}"
    if field.name in field_use.read_fields(message):
        return "works", ""
    if key in field_use.IMPLIED:
        return "holds", field_use.IMPLIED[key]
    if key in field_use.WITHOUT_EFFECT:
        return "no effect", field_use.WITHOUT_EFFECT[key]
    if key in field_use.REFUSED:
        return "refused", field_use.REFUSED[key]
    if field_checks.is_refused(field, message):
        return "refused", f"supported: {listed(_members(message, field), 20)}"
    raise SystemExit(f"{key} has no use; give it one in object_detection/config/field_use.py")


def _members(message, field):
    names = [member.name for member in field.containing_oneof.fields]
    return [name for name in names if name in field_use.read_fields(message)]


def default_of(field):
    """What holds where a field is left out, as one would write it in a config."""
    if field.is_repeated:
        return "none"
    if field.message_type is not None or not field.has_default_value:
        return "not set"
    value = field.default_value
    if field.enum_type is not None:
        return f"`{field.enum_type.values_by_number[value].name}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{number(value)}`"


def row(message, field, remarks):
    """One line of a table."""
    use, words = use_of(message, field)
    if use == "works":
        key = f"{message}.{field.name}"
        words = remarks.get(key) or remarks.get(f"*.{field.name}")
        if words is None:
            raise SystemExit(f"{key} works, but {REMARKS.name} has no remark for it")
    if field.number >= FIRST_EXTENSION:
        words += " (*ours*)"
    return f"| `{field.name}` | {use} | {default_of(field)} | {words} |"


def places_of(messages):
    """{message: ['Message.field', ...] where it stands}."""
    places = {name: [] for name in messages}
    for name, descriptor in messages.items():
        for field in descriptor.fields:
            if field.message_type is not None and field.name in field_use.read_fields(name):
                below = field_checks.message_name(field.message_type)
                places.get(below, []).append(f"{name}.{field.name}")
    return places


def part(title, words, messages, places, remarks):
    """The text of one part: a table for each message."""
    lines = [f"## {title}", ""] + ([words, ""] if words else [])
    for name, descriptor in messages.items():
        lines += [f"### {name}", ""]
        if places[name]:
            lines += [f"Used in {', '.join(f'`{place}`' for place in places[name])}.", ""]
        if not descriptor.fields:
            lines += ["It has no fields.", ""]
            continue
        lines += ["| field | | default | |", "| --- | --- | --- | --- |"]
        lines += [row(name, field, remarks) for field in descriptor.fields] + [""]
    return lines


def refuse_leftovers(messages, remarks):
    """Remarks on fields that there are not are mistakes."""
    known = {f"{name}.{field.name}" for name, it in messages.items() for field in it.fields}
    unknown = remarks.keys() - known - {f"*.{key.rpartition('.')[2]}" for key in known}
    if unknown:
        raise SystemExit(f"{REMARKS.name} speaks of unknown fields: {', '.join(sorted(unknown))}")


def text():
    """The page."""
    messages, remarks = field_checks.reached(), read_remarks()
    refuse_leftovers(messages, remarks)
    places, done, lines = places_of(messages), set(), []
    roots = {root for _, root, _ in PARTS}
    for title, root, words in PARTS:
        below = field_checks.reached(messages[root])
        # Messages with a section of their own, or in an earlier section, are not repeated.
        others = set().union(*(_names(messages, one) for one in roots - {root} if one in below))
        own = {n: d for n, d in below.items() if n not in done | others}
        done |= own.keys()
        lines += part(title, words, own, places, remarks)
    uses = [use_of(name, field)[0] for name, d in messages.items() for field in d.fields]
    tally = ", ".join(f"{uses.count(one)} {one}" for one in ("works", "holds", "no effect"))
    counts = f"Of {len(uses)} fields: {tally}, {uses.count('refused')} refused."
    return HEAD.format(counts=counts) + "\n" + "\n".join(lines).rstrip() + "\n"


def _names(messages, root):
    return field_checks.reached(messages[root]).keys()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare only; write nothing")
    check, fresh = parser.parse_args().check, text()
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if not check:
        PAGE.write_text(fresh, encoding="utf-8")
        print(f"{PAGE.relative_to(ROOT)}: {'as it was' if fresh == old else 'changed'}")
    elif fresh != old:
        sys.exit("docs/fields.md is stale; run scripts/make_field_table.py")


if __name__ == "__main__":
    main()
