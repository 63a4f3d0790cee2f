"""Compares the speed of this checkout with that of another one, in turns on one machine.

    git worktree add --detach ../before COMMIT && make -C ../before .venv/.installed
    python benchmarks/baseline.py --checkout=../before --only=c4,train,evaluation --rounds=9

Both checkouts do the same work, once a round each, and the one that begins alternates. The ratio of
a round is seconds of the other checkout to seconds of this one: above 1, this one is faster. The
script prints the median of the ratios and its 90 % interval (bootstrap, 10,000 samples).
"""

import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from compare import PRECISIONS, Process, Side, machine

CHECKOUT = Path(__file__).resolve().parents[1]


def interval(ratios, seed=0):
    """Return (low, median, high) of ratios: the median with its 90 % bootstrap interval."""
    draws = np.random.default_rng(seed).choice(ratios, (10_000, len(ratios)))
    low, high = np.quantile(np.median(draws, axis=1), [0.05, 0.95])
    return float(low), float(np.median(ratios)), float(high)


def works(folder, keys):
    """Yield (title, function from (checkout, python) to a `Side`) of the selected work."""
    for precision in PRECISIONS:
        if "c4" in keys:
            yield f"c4, 600 x 1024, {precision}: an image", _inference(folder, precision)
        if "train" in keys:
            yield f"c4, 640 x 640, {precision}: a training step", _training(precision)
    if "evaluation" in keys:
        yield "evaluation of 50 images with 100 masks each", _evaluation


def _inference(folder, precision):
    def side(checkout, python):
        script = checkout / "benchmarks" / "sides" / "ours.py"
        export = folder / f"{checkout.name}_{precision}"
        prepare = (python, script, "export", "resnet50_c4", precision, export)
        command = (python, script, "infer", export, 600, 1024, "--save", f"{export}.npz")
        return _side(checkout, command, prepare)

    return side


def _training(precision):
    def side(checkout, python):
        script = checkout / "benchmarks" / "sides" / "ours.py"
        return _side(checkout, (python, script, "train", "resnet50_c4", precision, 640, 640, 1))

    return side


_EVALUATE = """
import functools
import evaluation
from worker import serve
from object_detection.metrics import coco_engine
evaluation.image_of = functools.cache(evaluation.image_of)  # made in the first turn only
serve(lambda: evaluation.ours(50, coco_engine.default_engine()))
"""


def _evaluation(checkout, python):
    return _side(checkout, (python, "-c", _EVALUATE))


def _side(checkout, command, prepare=None):
    folders = [checkout / "benchmarks" / "sides", checkout / "benchmarks"]
    environment = {"PYTHONPATH": os.pathsep.join(map(str, folders))}
    return Side(str(checkout), command, prepare, environment)


def compare(make_side, checkouts, rounds, log):
    """Return the ratio of each round."""
    sides = [make_side(*checkout) for checkout in checkouts]
    for side in sides:
        side.run_preparation(log)
    processes = [Process(side, log) for side in sides]
    try:
        for number in range(rounds):
            for process in processes if number % 2 == 0 else processes[::-1]:
                process.take_turn()
    finally:
        for process in processes:
            process.end()
    ours, theirs = ([turn["seconds"] for turn in process.answers] for process in processes)
    return np.array(theirs) / np.array(ours)


def main():
    """Run the selected comparisons and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--checkout", type=Path, required=True, help="folder of the other checkout")
    parser.add_argument("--python", help="its Python; default: .venv/bin/python in it")
    parser.add_argument("--only", default="c4,train,evaluation", help="comma-separated keys")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    other = options.checkout.resolve()
    python = options.python or str(other / ".venv" / "bin" / "python")
    checkouts = [(CHECKOUT, sys.executable), (other, python)]
    print(machine(), flush=True)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log = stack.enter_context(open(folder / "log", "w"))
        for title, make_side in works(folder, set(options.only.split(","))):
            low, median, high = interval(compare(make_side, checkouts, options.rounds, log))
            print(
                f"{title}: {median:.3f} times as fast ({low:.3f} to {high:.3f}, "
                f"{options.rounds} pairs)",
                flush=True,
            )


if __name__ == "__main__":
    main()
