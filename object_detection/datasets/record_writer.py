"""Record files that are whole or absent: shards grow in a hidden folder and appear together.

Beside each finished shard of the folder lie notes on what is in it, with which a later run goes on.
"""

import json
import os
import re
import shutil
from pathlib import Path


def shard_name(base, index, count):
    """TFOD's name of a shard: `NAME-00003-of-00010`; of no shards (0), the plain name."""
    return f"{base}-{index:05d}-of-{count:05d}" if count else str(base)


class ShardedRecords:
    """The record files of one data set, on their way from a hidden folder to their own names.

    Args:
        base: path of the records without the shard's suffix.
        num_shards: how many files; 0: one file of that very name.
    """

    def __init__(self, base, num_shards):
        self.base, self.num_shards = Path(base), num_shards
        self.paths = [
            Path(shard_name(base, index, num_shards)) for index in range(max(num_shards, 1))
        ]
        self.folder = self.base.with_name(f".{self.base.name}.partial")

    @property
    def pattern(self):
        """The name of all the shards, as a config's `input_path` takes it."""
        if not self.num_shards:
            return str(self.base)
        return f"{self.base}-?????-of-{self.num_shards:05d}"

    def begin(self, inputs):
        """Makes the folder anew.

        Args:
            inputs: what the records are made from, as plain values, for `unfinished`.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        write_json(self.folder / "inputs.json", inputs)

    def unfinished(self):
        """What a stopped run left here.

        Returns:
            Its `inputs` (None: nothing is here) and, for each shard it finished, index -> notes.
        """
        inputs = read_json(self.folder / "inputs.json")
        finished = {}
        for index, path in enumerate(self.paths):
            notes = read_json(self._notes(index))
            here = [place for place in (self._partial(index), path) if place.is_file()]
            if notes and here and here[0].stat().st_size == notes["bytes"]:
                finished[index] = notes["notes"]
        return inputs, finished

    def open(self, index):
        """Opens a shard for its records; it counts as finished only after `finish`."""
        return self._partial(index).open("wb")

    def finish(self, index, notes):
        """Declares a shard whole; `notes` (plain values) are given back by `unfinished`."""
        size = self._partial(index).stat().st_size
        write_json(self._notes(index), {"bytes": size, "notes": notes})

    def appear(self):
        """Gives all shards their names; those that have them since a stopped run keep them."""
        for index, path in enumerate(self.paths):
            if self._partial(index).exists():
                os.replace(self._partial(index), path)

    def forget(self):
        """Removes the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def strangers(self):
        """Files of the same name that another run left here: `NAME*` would read them too."""
        shard = re.compile(re.escape(self.base.name) + r"(-\d{5}-of-\d{5})?")
        found = {path for path in self.base.parent.iterdir() if shard.fullmatch(path.name)}
        return sorted(found - set(self.paths))

    def _partial(self, index):
        return self.folder / f"{index:05d}"

    def _notes(self, index):
        return self.folder / f"{index:05d}.json"


def write_json(path, content):
    """Writes plain values; the file appears complete or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_text(path, text):
    """Writes a text file; it appears complete or not at all."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    os.replace(temporary, path)


def read_json(path):
    """Plain values of a file; None where there is none or it cannot be read."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
