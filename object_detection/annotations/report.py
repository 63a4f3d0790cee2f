"""What a conversion did, counted and named: the closing report on the screen and as JSON."""

import json
import os
from collections import Counter
from pathlib import Path

from object_detection.annotations.record import Finding

SKIPPED_IMAGE, SKIPPED_OBJECT = "skipped images", "skipped objects"
CLIPPED, DERIVED = "clipped objects", "derived values"
RE_ENCODED, NOTED = "images stored anew", "worth a look"
LEFT_OUT = "left out as asked"  # by a flag: nothing to correct
GROUPS = (SKIPPED_IMAGE, SKIPPED_OBJECT, CLIPPED, DERIVED, RE_ENCODED, NOTED, LEFT_OUT)

NAMES_ON_SCREEN = 10


class Report:
    """Counts of what was written to one set of records, and each finding with its names.

    Args:
        title: what the report is of, such as the split.
        destination: where the records lie.
    """

    def __init__(self, title, destination):
        self.title, self.destination = title, destination
        self.written = Counter()
        self.objects_of_class = Counter()
        self.names = {group: {} for group in GROUPS}

    def add(self, findings):
        """Takes in findings of any number of images."""
        for finding in findings:
            self.names[finding.group].setdefault(finding.reason, []).append(finding.key)

    def note(self, reason, key):
        """Takes in one finding that is no image's and no object's."""
        self.add([Finding(NOTED, reason, key)])

    def count(self, group):
        """How many names stand in a group."""
        return sum(len(names) for names in self.names[group].values())

    def text(self):
        """The report for the screen: every count, and the first names of each finding."""
        written = self.written
        lines = [
            f"{self.title}: {written['images']} images written to {self.destination}",
            f"  {written['objects']} objects ({written['crowds']} crowds), "
            f"{written['masks']} masks, {written['images without objects']} images without objects",
        ]
        if self.objects_of_class:
            counts = [f"{name} {count}" for name, count in self.objects_of_class.most_common()]
            lines.append(f"  objects by class: {_first(counts)}")
        for group in GROUPS:
            if self.names[group]:
                lines.append(f"  {group}: {self.count(group)}")
            for reason, names in self.names[group].items():
                lines.append(f"    {reason}: {len(names)} ({_first(names)})")
        return "\n".join(lines)

    def as_dict(self):
        """The whole report, every name in it."""
        return {
            "title": self.title,
            "records": str(self.destination),
            "written": dict(self.written),
            "objects_of_class": dict(self.objects_of_class),
            **{group: dict(reasons) for group, reasons in self.names.items()},
        }

    def save(self, path):
        """Writes the whole report as JSON; the file appears complete or not at all."""
        path = Path(path)
        temporary = path.with_name(f".{path.name}.partial")
        temporary.write_text(json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n")
        os.replace(temporary, path)


def _first(names):
    """The first few of a list, and how many more there are."""
    more = len(names) - NAMES_ON_SCREEN
    return ", ".join(names[:NAMES_ON_SCREEN]) + (f", ... and {more} more" if more > 0 else "")
