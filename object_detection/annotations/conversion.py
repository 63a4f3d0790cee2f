"""The way from annotated images to record files, the same for every format."""

from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context

from tqdm import tqdm

from object_detection.annotations.example_features import features_of
from object_detection.annotations.report import Report

IMAGES_A_TASK = 8  # handed to a worker at a time: few enough to keep all of them busy


def convert(images, writer, settings, *, title, num_workers=1):
    """Writes annotated images as records, in their order.

    Args:
        images: the `AnnotatedImage`s.
        writer: a `ShardedWriter` that is not open yet.
        settings: the `Settings` of `example_features`.
        title: what the progress bar and the report call this set.
        num_workers: processes that read images and rasterize masks; 1 does it in this one.

    Returns:
        The `Report`.
    """
    report = Report(title, writer.pattern)
    work = partial(features_of, settings=settings)
    with writer, _mapped(work, images, num_workers) as outcomes:
        # disable=None: no bar where the output is not a terminal.
        for outcome in tqdm(outcomes, title, total=len(images), unit="image", disable=None):
            _take_in(report, outcome)
            if outcome.features is not None:
                writer.write(outcome.features)
    for path in writer.strangers():
        report.note("record files of another run lie here too; a pattern may match them", path.name)
    return report


@contextmanager
def _mapped(work, items, num_workers):
    """`map(work, items)`, in order, on so many processes."""
    if num_workers == 1:
        yield map(work, items)
        return
    # Spawned, not forked: a fork would copy TensorFlow's threads half alive.
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        try:
            yield pool.map(work, items, chunksize=IMAGES_A_TASK)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _take_in(report, outcome):
    report.add(outcome.findings)
    if outcome.features is None:
        return
    report.written["images"] += 1
    report.written["images without objects"] += not outcome.classes
    report.written["objects"] += len(outcome.classes)
    report.written["crowds"] += outcome.crowds
    report.written["masks"] += len(outcome.features.get("image/object/mask", ()))
    report.objects_of_class.update(outcome.classes)
