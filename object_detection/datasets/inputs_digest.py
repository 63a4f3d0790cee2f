"""What records are made from, in a few characters, by which a later run sees what changed."""

import hashlib
import io
import pickle
from pathlib import Path


class _Pickler(pickle.Pickler):
    """Bytes that depend on values alone; of a file, on its name, size and time."""

    def reducer_override(self, value):
        if not isinstance(value, Path):
            return NotImplemented
        try:
            state = value.stat()
        except (OSError, ValueError):  # not there, or a name that no file can have
            return str, (str(value),)
        return str, (f"{value} {state.st_size} {state.st_mtime_ns}",)


def of_image(image):
    """The digest of an `AnnotatedImage` and of the files it names: 16 hexadecimal digits."""
    buffer = io.BytesIO()
    pickler = _Pickler(buffer, protocol=5)
    pickler.fast = True  # no references to what came before: equal values give equal bytes
    pickler.dump(tuple(image))
    return hashlib.sha256(buffer.getbuffer()).hexdigest()[:16]


def of_shard(digests):
    """The digest of a shard, of those of its images in order."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


def of_settings(settings, num_shards, num_images, version):
    """What holds for all shards, as plain values whose names say what changed.

    Args:
        settings: the `Settings` of `example_features`.
        num_shards: as the user gave it.
        num_images: of the whole set.
        version: of this package.
    """
    labels = repr(sorted(settings.class_ids.items()))
    return {
        "version": version,
        "include_masks": settings.include_masks,
        "mask_storage": settings.mask_storage,
        "bit_depth": settings.bit_depth,
        "num_shards": num_shards,
        "number of images": num_images,
        "label map": hashlib.sha256(labels.encode()).hexdigest()[:16],
    }
