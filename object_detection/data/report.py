"""The report of the input pipeline: everything dropped or changed, counted by reason and named."""

import logging
import threading

from object_detection.errors import RecordError

_LOG = logging.getLogger(__name__)

# A whole record is skipped.
NOT_AN_EXAMPLE = "record is not a tf.train.Example"
WRONG_TYPE = "feature of the wrong type"
NO_IMAGE = "no image"
BAD_IMAGE = "image that cannot be decoded"
UNEQUAL_LENGTHS = "lists of objects of unequal length"
NO_CLASSES = "objects without a class"
PIXEL_BOXES = "boxes that are not fractions of the image"
MASK_COUNT = "number of masks does not match number of boxes"
BAD_MASK = "mask that cannot be decoded"
MASK_SIZE = "mask shape does not match the image"
UNDECODABLE = "record that cannot be decoded"

# Some objects of a record are dropped or changed; the order is that of the decoder's counts.
BOX_NOT_FINITE = "box with NaN or infinity, dropped"
BOX_WITHOUT_AREA = "box without area inside the image, dropped"
BOX_SWAPPED = "box with a minimum above its maximum, dropped"
UNKNOWN_CLASS_TEXT = "class text missing in the label map, object dropped"
CLASS_ZERO = "class id 0, object dropped (class ids begin at 1)"
CLASS_OUT_OF_RANGE = "class id outside 1..num_classes, object dropped"
LIST_IGNORED = "list whose length is not the number of boxes, ignored"
BOX_CLIPPED = "box reaching out of the image, clipped"
MASK_SCALED = "mask size differs from the image, mask used unchanged"
NO_MASK = "object of an image without masks, used for boxes and classes only"
TOO_MANY_BOXES = "box beyond max_number_of_boxes, left out of training"
OBJECT_REASONS = (
    BOX_NOT_FINITE,
    BOX_WITHOUT_AREA,
    BOX_SWAPPED,
    UNKNOWN_CLASS_TEXT,
    CLASS_ZERO,
    CLASS_OUT_OF_RANGE,
    LIST_IGNORED,
    BOX_CLIPPED,
    MASK_SCALED,
    NO_MASK,
    TOO_MANY_BOXES,
)

# Others.
REPAIRED = "record read after a repair"
DUPLICATE_ID = "source_id used before, made unique"
UNREADABLE_FILE = "record file that cannot be opened"
EMPTY_FILE = "empty record file"
BROKEN_FILE = "broken record file, read up to the fault"

# Allowed in a strict run: these lose nothing, or the config requests them.
_HARMLESS = {BOX_CLIPPED, MASK_SCALED, NO_MASK, TOO_MANY_BOXES, REPAIRED}

_NAMES_LOGGED = 3  # names logged for each reason as they occur; the rest is in the summary
_NAMES_SHOWN = 5  # names for each reason in the summary
_NAMES_KEPT = 100_000  # limits the memory of names


class InputReport:
    """Counts of what one input pipeline read, dropped and changed; thread-safe.

    Args:
        strict: whether the first loss is an `RecordError` instead of a count.
        name: the reader's name, for the log.

    Attributes:
        examples: examples delivered in batches so far, every epoch counted.
        fault: message of the `RecordError` that ended the pipeline, or None. TensorFlow wraps
            errors raised inside a pipeline; this is the original message.
    """

    def __init__(self, *, strict=False, name="input"):
        self.strict = strict
        self.name = name
        self.examples = 0
        self.fault = None
        self._notes = {}  # reason -> {where: (count, name)}
        self._lock = threading.Lock()

    def note(self, reason, name, *, where=None, count=1, detail=""):
        """Count `count` occurrences in the record or file `name`.

        The same `where` (default: the name) is counted once over all epochs.

        Raises:
            RecordError: in a strict run, unless nothing is lost.
        """
        message = f"{self.name}: {reason}: {name}" + (f": {detail}" if detail else "")
        with self._lock:
            notes = self._notes.setdefault(reason, {})
            where = where or name
            if where in notes:
                return
            if len(notes) < _NAMES_KEPT:
                notes[where] = (count, name)
            rank = len(notes)
        if self.strict and reason not in _HARMLESS:
            self.fail(message)
        if rank <= _NAMES_LOGGED:
            more = " (further ones are only counted)" if rank == _NAMES_LOGGED else ""
            _LOG.warning("%s%s", message, more)

    def fail(self, message):
        """End the pipeline: keep `message` as `fault` and raise it as `RecordError`."""
        self.fault = self.fault or message
        raise RecordError(message)

    def counts(self):
        """Return {reason: number of occurrences} in the order of their first occurrence."""
        with self._lock:
            return {
                reason: sum(count for count, _ in notes.values())
                for reason, notes in self._notes.items()
            }

    def names(self, reason):
        """Return the names of the records or files with a note of `reason`."""
        with self._lock:
            return [name for _, name in self._notes.get(reason, {}).values()]

    def places(self, *reasons):
        """Return the places of notes of `reasons`, as passed to `note`."""
        with self._lock:
            return [where for reason in reasons for where in self._notes.get(reason, {})]

    def summary(self):
        """Return one line for each reason with its count and first names; '' without notes."""
        lines = []
        for reason, count in self.counts().items():
            names = self.names(reason)
            rest = ", ..." if len(names) > _NAMES_SHOWN else ""
            lines.append(
                f"{self.name}: {count} x {reason}: {', '.join(names[:_NAMES_SHOWN])}{rest}"
            )
        return "\n".join(lines)

    def log_summary(self):
        """Log the summary, if it is not empty."""
        for line in self.summary().splitlines():
            _LOG.warning("%s", line)
