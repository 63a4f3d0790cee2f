"""What a conversion did, counted and named: the closing report on the screen and as JSON."""

from collections import Counter

from object_detection.datasets.annotations import Finding
from object_detection.datasets.records import read_json, write_json, write_text
from object_detection.utils.messages import shorten

SKIPPED_IMAGE, SKIPPED_OBJECT = "skipped images", "skipped objects"
CLIPPED, DERIVED = "clipped objects", "derived values"
RE_ENCODED, NOTED = "images stored anew", "worth a look"
LEFT_OUT = "left out as asked"  # by a flag: nothing to correct
GROUPS = (SKIPPED_IMAGE, SKIPPED_OBJECT, CLIPPED, DERIVED, RE_ENCODED, NOTED, LEFT_OUT)
# With these nothing was lost and nothing is to be corrected; any other is an error to `--strict`.
HARMLESS = (DERIVED, RE_ENCODED, LEFT_OUT)

NAMES_ON_SCREEN, NAMES_IN_ERROR = 10, 3


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
        self.failure = None  # why the records are of no use, where they are of none
        self.path = ""  # of the text with every name, once it is saved

    def add(self, findings):
        """Takes in findings of any number of images; values of any length are quoted in short."""
        for finding in findings:
            reason, key = shorten(finding.reason, 500), shorten(finding.key, 300)
            self.names[finding.group].setdefault(reason, []).append(key)

    def note(self, reason, key):
        """Takes in one finding that is no image's and no object's."""
        self.add([Finding(NOTED, reason, key)])

    def count(self, group):
        """Return the number of names in a group."""
        return sum(len(names) for names in self.names[group].values())

    def reasons(self, groups):
        """Return the reasons in some groups with how often and of what, most frequent first."""
        counted = [
            (len(keys), f"{reason} ({len(keys)}: {_first(keys, NAMES_IN_ERROR)})")
            for group in groups
            for reason, keys in self.names[group].items()
        ]
        return [text for _, text in sorted(counted, key=lambda pair: -pair[0])[:NAMES_IN_ERROR]]

    def faults(self):
        """How many findings there are that somebody could correct in the data."""
        return sum(self.count(group) for group in GROUPS if group not in HARMLESS)

    def text(self, names=NAMES_ON_SCREEN):
        """Every count, and of each finding the first `names` names; None: all, one a line."""
        written = self.written
        lines = [
            f"{self.title}: {written['images']} images written to {self.destination}",
            f"  {written['objects']} objects ({written['crowds']} crowds), "
            f"{written['masks']} masks, {written['images without objects']} images without objects",
        ]
        if self.objects_of_class:
            counts = [f"{name} {count}" for name, count in self.objects_of_class.most_common()]
            lines.append(f"  objects by class: {_first(counts, names)}")
        for group in GROUPS:
            if self.names[group]:
                lines.append(f"  {group}: {self.count(group)}")
            for reason, keys in self.names[group].items():
                if names is None:
                    lines += [f"    {reason}: {len(keys)}", *(f"      {key}" for key in keys)]
                else:
                    lines.append(f"    {reason}: {len(keys)} ({_first(keys, names)})")
        # A file name may hold bytes that are no text.
        return "\n".join(lines).encode(errors="backslashreplace").decode()

    def to_dict(self):
        """The whole report, every name in it."""
        return {
            "title": self.title,
            "records": str(self.destination),
            "written": dict(self.written),
            "objects_of_class": dict(self.objects_of_class),
            **{group: dict(reasons) for group, reasons in self.names.items()},
        }

    def save(self, base, made_from=None):
        """Write the report next to the records: `BASE.report.txt` and `BASE.report.json`.

        Both hold every name; the JSON also holds, for a later run, what the records are made from.
        """
        self.path = str(_place(base, "txt"))
        write_text(_place(base, "txt"), self.text(names=None) + "\n")
        write_json(_place(base, "json"), self.to_dict() | {"made_from": made_from})

    @classmethod
    def load(cls, base):
        """The report that `save` wrote."""
        content = read_json(_place(base, "json"))
        report = cls(content["title"], content["records"])
        report.path = str(_place(base, "txt"))
        report.written.update(content["written"])
        report.objects_of_class.update(content["objects_of_class"])
        report.names = {group: content.get(group, {}) for group in GROUPS}
        return report

    @staticmethod
    def made_from(base):
        """What the records are made from, as given to `save`; None where nothing says it."""
        return (read_json(_place(base, "json")) or {}).get("made_from")


def _place(base, kind):
    return base.with_name(f"{base.name}.report.{kind}")


def _first(keys, count):
    """The first few of a list, and how many more there are."""
    if count is None or len(keys) <= count:
        return ", ".join(keys)
    return ", ".join(keys[:count]) + f", ... and {len(keys) - count} more"
