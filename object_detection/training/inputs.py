"""The input pipelines of a run: their reports, and their errors without TensorFlow's wrapping."""

import contextlib
from typing import Any, Protocol

import tensorflow as tf

from object_detection.data import pipeline as data_pipeline
from object_detection.errors import NoExamplesError, RecordError, TrainingError


class InputPipeline(Protocol):
    """What `builders.dataset_builder.build` returns."""

    dataset: tf.data.Dataset  # of structures.Batch
    report: Any  # data.report.InputReport


class Inputs:
    """The pipelines that a loop reads, kept to explain an error in one of them."""

    def __init__(self):
        self._pipelines = []

    def add(self, pipeline: InputPipeline) -> InputPipeline:
        """Add a pipeline and return it."""
        self._pipelines.append(pipeline)
        return pipeline

    def bad_records(self) -> list[str]:
        """Return the positions of skipped records, which a resumed run excludes from the order.

        Only the chief saves its own: other workers repeat as many examples as their shards have
        bad records.
        """
        return [
            place
            for pipeline in self._pipelines
            for place in data_pipeline.bad_records(pipeline.report)
        ]

    @contextlib.contextmanager
    def explain_errors(self):
        """Wrap a loop: log what the pipelines skipped, and say why one of them ended it.

        Raises:
            TrainingError: with the message of the pipeline, if that is what failed;
                `NoExamplesError` with the pipelines' counts.
        """
        try:
            yield
        except NoExamplesError as error:
            summaries = [pipeline.report.summary() for pipeline in self._pipelines]
            why = "\n".join(text for text in summaries if text) or "Are the record files empty?"
            raise NoExamplesError(f"{error}\n{why}") from error
        except RecordError as error:
            raise TrainingError(str(error)) from error
        except tf.errors.OpError as error:
            faults = [pipeline.report.fault for pipeline in self._pipelines]
            fault = next((fault for fault in faults if fault), None)
            if fault is None:
                raise
            raise TrainingError(fault) from error
        for pipeline in self._pipelines:
            pipeline.report.log_summary()
