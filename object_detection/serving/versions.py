"""Models by name, each with the numbered versions in its folder.

The rules are TensorFlow Serving's: numbered folders, and the highest number is served. A new
version is loaded and run once while the old one serves; then it takes over, and the old one
finishes its queue.
"""

import dataclasses
import logging
import threading
from pathlib import Path

from object_detection.serving.batching import Batcher
from object_detection.serving.limits import RequestError
from object_detection.serving.model_config import ModelConfig
from object_detection.serving.served_model import ServedModel, saved_model_in

LOADING, AVAILABLE, UNLOADING, END = "LOADING", "AVAILABLE", "UNLOADING", "END"
_LOG = logging.getLogger(__name__)


class Version:
    """Version of a model with its state and, while it is available, its queue."""

    def __init__(self, number, folder):
        self.number, self.folder, self.stamp = number, folder, _stamp(folder)
        self.state, self.error = LOADING, ""
        self.model, self.batcher = None, None

    def status(self):
        """Return its row in TensorFlow Serving's status."""
        status = {"error_code": "UNKNOWN" if self.error else "OK", "error_message": self.error}
        return {"version": str(self.number), "state": self.state, "status": status}


class NamedModel:
    """Model with its versions.

    Args:
        config: `ModelConfig`.
        limits: `Limits` of each version's queue.
        observe: called with (name, images, seconds) after each batch.
    """

    def __init__(self, config: ModelConfig, limits, observe):
        self.name, self.config = config.name, config
        self._limits = limits
        self._observe = lambda images, seconds: observe(config.name, images, seconds)
        self._versions, self._lock = {}, threading.Lock()

    def versions(self):
        """Return all known `Version`s, the newest first."""
        with self._lock:
            return sorted(self._versions.values(), key=lambda version: -version.number)

    def available(self):
        """Return the available `Version`s, the newest first."""
        return [version for version in self.versions() if version.state == AVAILABLE]

    def find(self, number=None, label=None):
        """Return the `Version` to use; raise `RequestError` (404; 503 if none is available yet)."""
        available = self.available()
        if label is not None:
            if label not in self.config.labels:
                known = ", ".join(self.config.labels) or "none"
                raise RequestError(404, f"model {self.name} has no such label; it has: {known}")
            number = self.config.labels[label]
        if number is None:
            if not available:
                raise RequestError(503, f"model {self.name} is not loaded yet", retry_after=1)
            return available[0]
        for version in available:
            if version.number == number:
                return version
        served = ", ".join(str(version.number) for version in available) or "none"
        raise RequestError(404, f"model {self.name} has no version {number}; served: {served}")

    def update(self):
        """Load new versions and unload those no longer selected.

        A version that failed to load is loaded again when its file changes.
        """
        folders = numbered_versions(self.config.base_path)
        selected = self.config.selected(folders)
        for number in selected:
            known = self._versions.get(number)
            if known is None or (known.state == END and known.stamp != _stamp(folders[number])):
                self._load(number, folders[number])
        for version in self.available():
            # The old one stays until the new one works.
            served = [other for other in self.available() if other.number in selected]
            if version.number not in selected and served:
                self._unload(version)
        with self._lock:
            for version in list(self._versions.values()):
                if version.state == END and version.number not in folders:
                    del self._versions[version.number]

    def close(self):
        """Finish all queues."""
        for version in self.available():
            self._unload(version)

    def _load(self, number, folder):
        version = Version(number, folder)
        with self._lock:
            self._versions[number] = version
        _LOG.info("model %s: loading version %d from %s", self.name, number, folder)
        try:
            version.model = ServedModel(folder)
        except Exception as error:  # of any kind: a broken export must not stop the server
            version.state, version.error = END, str(error)[:500]
            _LOG.error("model %s: version %d failed: %s", self.name, number, version.error)
            return
        fixed = [s.fixed_batch for s in version.model.signatures.values() if s.fixed_batch]
        limits = dataclasses.replace(self._limits, max_batch=min([self._limits.max_batch, *fixed]))
        run = version.model.run
        version.batcher = Batcher(lambda key, rows: run(key[0], rows), limits, self._observe)
        version.state = AVAILABLE
        _LOG.info("model %s: version %d is available", self.name, number)

    def _unload(self, version):
        version.state = UNLOADING
        version.batcher.close()
        version.model, version.state = None, END
        _LOG.info("model %s: version %d is unloaded", self.name, version.number)


class Registry:
    """All models of a server, and the thread that searches for new versions.

    Args:
        configs: `ModelConfig`s.
        limits: `Limits`.
        observe: called with (name, images, seconds) after each batch.
    """

    def __init__(self, configs, limits, observe=lambda name, images, seconds: None):
        self.models = {config.name: NamedModel(config, limits, observe) for config in configs}
        self._stop = threading.Event()
        self._thread = None

    def find(self, name, number=None, label=None):
        """Return a `Version`; raise `RequestError` (404, 503)."""
        return self.model(name).find(number, label)

    def model(self, name=None):
        """Return a `NamedModel`, the first without a name; raise `RequestError` (404)."""
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise RequestError(404, f"no model {name[:100]!r}; served: {', '.join(self.models)}")
        return self.models[name]

    def ready(self):
        """Return whether every model is available and the server is not stopping."""
        return not self._stop.is_set() and all(model.available() for model in self.models.values())

    def alive(self):
        """Return whether the threads of all available models are alive."""
        versions = [v for model in self.models.values() for v in model.available()]
        return all(version.batcher.alive for version in versions)

    def update(self):
        """Search all folders once."""
        for model in self.models.values():
            model.update()

    def watch(self, seconds):
        """Search all folders periodically in a thread; 0 seconds: never."""
        if seconds > 0:
            self._thread = threading.Thread(
                target=self._watch, args=(seconds,), name="versions", daemon=True
            )
            self._thread.start()

    def close(self):
        """Stop the search and finish all queues."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        for model in self.models.values():
            model.close()

    def _watch(self, seconds):
        while not self._stop.wait(seconds):
            try:
                self.update()
            except OSError as error:  # a disk may be unavailable for a while
                _LOG.error("cannot search for new versions: %s", error)


def numbered_versions(base_path):
    """Return {number: folder with saved_model.pb} of a model's folder.

    A folder that is a SavedModel or an export itself is version 1.
    """
    base = Path(base_path)
    own = saved_model_in(base)
    if own is not None:
        return {1: own}
    folders = {}
    for folder in base.iterdir() if base.is_dir() else ():
        if folder.name.isascii() and folder.name.isdigit() and len(folder.name) < 19:
            saved_model = saved_model_in(folder)
            if saved_model is not None:
                folders[int(folder.name)] = saved_model
    return folders


def _stamp(folder):
    return (folder / "saved_model.pb").stat().st_mtime_ns
