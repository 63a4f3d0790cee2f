"""What the input pipeline found wrong with its data: every drop counted by reason and named."""

import logging
import threading

from object_detection.errors import RecordError

_LOG = logging.getLogger(__name__)

# A record is left out whole.
NOT_AN_EXAMPLE = "record is no tf.train.Example"
WRONG_TYPE = "feature of the wrong type"
NO_IMAGE = "no image"
BAD_IMAGE = "image that cannot be decoded"
UNEQUAL_LENGTHS = "lists of objects of unequal length"
NO_CLASSES = "objects without a class"
PIXEL_BOXES = "boxes that are not fractions of the image"
MASK_COUNT = "another number of masks than of boxes"
BAD_MASK = "mask that cannot be decoded"
MASK_SIZE = "mask of another shape than the image"
UNDECODABLE = "record that cannot be decoded"

# Some objects of a record are left out or changed; the order is that of the decoder's counts.
BOX_NOT_FINITE = "box with NaN or infinity, dropped"
BOX_WITHOUT_AREA = "box without area inside the image, dropped"
BOX_SWAPPED = "box with a minimum above its maximum, dropped"
UNKNOWN_CLASS_TEXT = "class text missing in the label map, object dropped"
CLASS_ZERO = "class id 0, object dropped (class ids begin at 1)"
CLASS_OUT_OF_RANGE = "class id outside 1..num_classes, object dropped"
LIST_IGNORED = "list of another length than the boxes, ignored"
BOX_CLIPPED = "box reaching out of the image, clipped"
MASK_SCALED = "mask of another size than the image, used as it is"
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

# What a strict run bears: nothing is lost by these, or the config asks for it.
_HARMLESS = {BOX_CLIPPED, MASK_SCALED, NO_MASK, TOO_MANY_BOXES, REPAIRED}

_NAMES_LOGGED = 3  # names logged for each reason as they turn up; the rest is in the summary
_NAMES_SHOWN = 5  # names for each reason in the summary
_NAMES_KEPT = 100_000  # bounds the memory that names take


class InputReport:
    """Counts of what one input pipeline read, dropped and changed; safe to read while it runs.

    Args:
        strict: whether the first loss is an `RecordError` instead of a count.
        name: the reader's name, for the log.

    Attributes:
        examples: examples delivered in batches so far, every epoch counted.
        fault: message of the `RecordError` that ended the pipeline, or None. TensorFlow wraps what
            is raised inside a pipeline; this is the plain sentence.
    """

    def __init__(self, *, strict=False, name="input"):
        self.strict = strict
        self.name = name
        self.examples = 0
        self.fault = None
        self._found = {}  # reason -> {where: (count, name)}
        self._lock = threading.Lock()

    def note(self, reason, name, *, where=None, count=1, detail=""):
        """Counts `count` things found in the record or file `name`.

        The same `where` (default: the name) is counted once however many epochs meet it.

        Raises:
            RecordError: in a strict run, unless nothing is lost.
        """
        message = f"{self.name}: {reason}: {name}" + (f": {detail}" if detail else "")
        with self._lock:
            found = self._found.setdefault(reason, {})
            where = where or name
            if where in found:
                return
            if len(found) < _NAMES_KEPT:
                found[where] = (count, name)
            rank = len(found)
        if self.strict and reason not in _HARMLESS:
            self.fail(message)
        if rank <= _NAMES_LOGGED:
            more = " (further ones are only counted)" if rank == _NAMES_LOGGED else ""
            _LOG.warning("%s%s", message, more)

    def fail(self, message):
        """Ends the pipeline: keeps `message` as `fault` and raises it as `RecordError`."""
        self.fault = self.fault or message
        raise RecordError(message)

    def counts(self):
        """How many things were found for each reason, in the order they first turned up."""
        with self._lock:
            return {
                reason: sum(count for count, _ in found.values())
                for reason, found in self._found.items()
            }

    def names(self, reason):
        """Names of the records or files in which `reason` was found."""
        with self._lock:
            return [name for _, name in self._found.get(reason, {}).values()]

    def places(self, *reasons):
        """Where `reasons` were found, as given to `note`."""
        with self._lock:
            return [where for reason in reasons for where in self._found.get(reason, {})]

    def summary(self):
        """One line for each reason with its count and first names; '' where nothing was found."""
        lines = []
        for reason, count in self.counts().items():
            names = self.names(reason)
            rest = ", ..." if len(names) > _NAMES_SHOWN else ""
            lines.append(
                f"{self.name}: {count} x {reason}: {', '.join(names[:_NAMES_SHOWN])}{rest}"
            )
        return "\n".join(lines)

    def log_summary(self):
        """Writes the summary to the log, if there is anything to say."""
        for line in self.summary().splitlines():
            _LOG.warning("%s", line)
