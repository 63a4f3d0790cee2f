r"""Adds to Open Images' annotations what their hierarchy of classes implies, as its challenges do.

    python dataset_tools/oid_hierarchical_labels_expansion.py \
        --json_hierarchy_file=bbox_labels_600_hierarchy.json \
        --input_annotations=challenge-2018-train-annotations-bbox.csv \
        --output_annotations=expanded.csv --annotation_type=1

A box or mask of a class is one of each class above it too. An image-level label that is true holds
for the classes above, one that is false for the classes below.
"""

import json
import os
from collections import Counter
from pathlib import Path

from absl import flags

from object_detection.cli import runner
from object_detection.errors import AnnotationError

FLAGS = flags.FLAGS
BOXES_OR_SEGMENTS, IMAGE_LABELS = 1, 2
NAMED = 10  # classes that a message names


class OIDHierarchicalLabelsExpansion:
    """Expands rows. The name and the two methods are TFOD's.

    Args:
        hierarchy: the content of the JSON: 'LabelName', and 'Subcategory' as a list of the same.
            Its root is everything, not a class.
    """

    def __init__(self, hierarchy):
        self.above, self.below = {}, {}  # class -> {class: None} in the order of the file
        for node in hierarchy.get("Subcategory", ()):
            self._take_in(node, ())

    def _take_in(self, node, above):
        name = node["LabelName"]
        self.above.setdefault(name, {}).update(dict.fromkeys(reversed(above)))
        self.below.setdefault(name, {})
        for each in above:
            self.below[each][name] = None
        for child in node.get("Subcategory", ()):
            self._take_in(child, (*above, name))

    def expand_boxes_or_segments_from_csv(self, csv_row, labelname_column_index=1):
        """A row of boxes or segments, and copies of it for the classes above.

        Args:
            csv_row: the line, with or without its end.
            labelname_column_index: place of the class.

        Returns:
            A list of lines, the first as it was.

        Raises:
            KeyError: the hierarchy does not have the class.
        """
        return _copies(csv_row, labelname_column_index, self.above)

    def expand_labels_from_csv(self, csv_row, labelname_column_index=1, confidence_column_index=2):
        """Like the other, for image-level labels: those below where the confidence is 0.

        A confidence between 0 and 1 implies nothing.
        """
        confidence = float(_cells(csv_row)[confidence_column_index])
        if confidence not in (0, 1):
            return [csv_row]
        implied = self.above if confidence else self.below
        return _copies(csv_row, labelname_column_index, implied)


def _cells(line):
    """Return the cells of a line unchanged, quotes included."""
    cells = line.rstrip("\r\n").split(",")
    if '"' not in line:
        return cells
    joined, is_open = [], False
    for cell in cells:
        if is_open:
            joined[-1] += f",{cell}"
        else:
            joined.append(cell)
        is_open ^= cell.count('"') % 2 == 1
    return joined


def _copies(line, place, implied):
    """A line and its copies for the classes that its own implies."""
    cells = _cells(line)
    end = line[len(line.rstrip("\r\n")) :]
    return [
        line,
        *(
            ",".join([*cells[:place], name, *cells[place + 1 :]]) + end
            for name in implied[cells[place]]
        ),
    ]


def expand(hierarchy_file, source, target, annotation_type):
    """Expands a table, line by line; the new file appears whole or not at all.

    Args:
        hierarchy_file: path of the JSON.
        source: path of the table.
        target: path of the new one.
        annotation_type: 1 for boxes or segments, 2 for image-level labels.

    Returns:
        How many lines were read and written, and a `Counter` of the classes that the hierarchy does
        not have; their lines are written as they are.

    Raises:
        AnnotationError: a file cannot be read, or is of another form.
    """
    if annotation_type not in (BOXES_OR_SEGMENTS, IMAGE_LABELS):
        raise AnnotationError(
            f"--annotation_type is {annotation_type}; 1: boxes or segments, 2: image-level labels"
        )
    try:
        expansion = OIDHierarchicalLabelsExpansion(_hierarchy(hierarchy_file))
    except (AttributeError, KeyError, TypeError):
        raise AnnotationError(f"{hierarchy_file}: not every node has a 'LabelName'") from None
    target = Path(target)
    partial = target.with_name(f".{target.name}.partial")
    try:
        with open(source, encoding="utf-8-sig", newline="") as lines:
            with open(partial, "w", encoding="utf-8", newline="") as output:
                counts = _expand(lines, output, expansion, source, annotation_type)
        os.replace(partial, target)
    except OSError as error:
        raise AnnotationError(f"{error.filename}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AnnotationError(f"{source} is not a text file in UTF-8") from None
    finally:
        partial.unlink(missing_ok=True)
    return counts


def _expand(lines, output, expansion, source, annotation_type):
    header = next(lines, "")
    columns = [cell.strip() for cell in _cells(header)]
    required = ["LabelName"] + ["Confidence"] * (annotation_type == IMAGE_LABELS)
    missing = [name for name in required if name not in columns]
    if missing:
        raise AnnotationError(f"{source} has no column {', '.join(missing)} in its first line")
    places = [columns.index(name) for name in required]
    expand_row = (
        expansion.expand_labels_from_csv
        if annotation_type == IMAGE_LABELS
        else expansion.expand_boxes_or_segments_from_csv
    )
    end = "\r\n" if header.endswith("\r\n") else "\n"
    output.write(header)
    read, written, unknown = 0, 0, Counter()
    for number, line in enumerate(lines, start=2):
        if not line.strip():
            continue
        if not line.endswith("\n"):  # the last one
            line += end
        try:
            expanded = expand_row(line, *places)
        except KeyError as error:
            unknown[error.args[0]] += 1
            expanded = [line]
        except (IndexError, ValueError):
            raise AnnotationError(
                f"{source} line {number} is no row: {line.strip()[:80]!r}"
            ) from None
        output.writelines(expanded)
        read, written = read + 1, written + len(expanded)
    return read, written, unknown


def _hierarchy(path):
    try:
        hierarchy = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise AnnotationError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise AnnotationError(f"{path} is not JSON: {error}") from None
    if not isinstance(hierarchy, dict) or not isinstance(hierarchy.get("Subcategory"), list):
        raise AnnotationError(f"{path} has no 'Subcategory' at its top: it is no hierarchy")
    return hierarchy


def define_flags():
    """TFOD's flags."""
    flags.DEFINE_string("json_hierarchy_file", "", "The hierarchy of the classes, as JSON.")
    flags.DEFINE_string("input_annotations", "", "The table of boxes, segments or labels.")
    flags.DEFINE_string("output_annotations", "", "The table to write.")
    flags.DEFINE_integer("annotation_type", None, "1: boxes or segments; 2: image-level labels.")


def main(argv):
    runner.refuse_arguments(argv)
    names = ("json_hierarchy_file", "input_annotations", "output_annotations")
    for name in names:
        if not FLAGS[name].value:
            raise AnnotationError(f"--{name} is missing: {FLAGS[name].help}")
    files = [FLAGS[name].value for name in names]
    read, written, unknown = expand(*files, FLAGS.annotation_type)
    print(f"{read} rows became {written} in {FLAGS.output_annotations}")
    if unknown:
        first = [f"{name} {count}" for name, count in unknown.most_common(NAMED)]
        print(
            f"written as they are, for the hierarchy does not have their class: "
            f"{unknown.total()} rows ({', '.join(first)})"
        )


def run():
    """The command."""
    runner.run(main, define_flags)


if __name__ == "__main__":
    run()
