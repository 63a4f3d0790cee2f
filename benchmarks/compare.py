"""Compares the speed of this package with other projects, in turns, on one machine.

    make bench                                  (or: python benchmarks/compare.py)
    python benchmarks/compare.py --only=c4,fpn --rounds=3 --output=build/bench.md

Each project runs in a separate process that is ready and waits. The projects take turns, once a
round, so a machine that is slow for a while is slow for all of them. Each round also measures the
roofline: the faster of a large matrix product and a convolution, in the same minute. Ratios are
computed for each round, and their median is printed. Weights are random, images are noise, and
every image has its 300 or 1000 proposals and 100 detections, so that the work is the same.

Other projects are timed if these variables name a Python that has them (docs/performance.md shows
how to create one). Otherwise, their columns are missing:

    TFOD_PYTHON, TFOD_PATH    a Python with TFOD's needs, and the folders of TFOD and slim (a:b)
    TORCHVISION_PYTHON        (TORCHVISION_FIRST: a module to import before torchvision)
    TFVISION_PYTHON           tf-models-official
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sides.worker import MARK

SIDES = Path(__file__).parent / "sides"
SCRIPTS = Path(__file__).parent
PRECISIONS = ("float32", "bfloat16")


class Side(NamedTuple):
    """One of those who take turns."""

    name: str
    command: tuple  # of its process
    prepare: tuple | None = None  # of a process that comes before
    environment: dict = {}
    save: Path | None = None  # where its outputs are put

    def variables(self):
        """Return the environment of its processes."""
        return os.environ | {"PYTHONPATH": str(SIDES)} | self.environment

    def run_preparation(self, log):
        """Run the process that comes before, if there is one, outside of this checkout."""
        if self.prepare:
            command = [str(part) for part in self.prepare]
            folder = tempfile.gettempdir()  # not here: TFOD's package has our name
            subprocess.run(
                command, stdout=log, stderr=log, env=self.variables(), cwd=folder, check=True
            )


class Comparison(NamedTuple):
    """Sides that do the same work."""

    key: str  # for --only
    title: str
    sides: tuple
    flops: tuple | None = None  # of `ours.py flops`; None: not counted


class Process:
    """A side that waits for its turn."""

    def __init__(self, side, log):
        self.side = side
        self._process = subprocess.Popen(
            [str(part) for part in side.command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=side.variables(),
            cwd=tempfile.gettempdir(),
        )
        self.first = self._answer()
        self.answers = []

    def take_turn(self):
        """Works once."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.answers.append(self._answer())

    def end(self):
        """Lets the process go."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def _answer(self):
        for line in self._process.stdout:
            if line.startswith(MARK):
                return json.loads(line[len(MARK) :])
        raise RuntimeError(f"{self.side.name} ended with {self._process.wait()}")

    def median(self, key="seconds"):
        """Of all turns but the first."""
        return statistics.median(answer[key] for answer in self.answers)


def ours(*arguments):
    """The command of this package's side."""
    return (sys.executable, SIDES / "ours.py", *arguments)


def our_inference(work, model, size, proposals=None):
    """Exports in both precisions; the weights are TFOD's own where it takes part."""
    sides = []
    for precision in PRECISIONS:
        folder = work / f"{model}_{proposals}_{precision}"
        prepare = ours("export", model, precision, folder)
        if proposals:
            prepare += ("--proposals", proposals)
        weights = work / f"tfod_{model}" / "checkpoint_in"
        if not proposals and "TFOD_PYTHON" in os.environ and model != "resnet50_fpn":
            prepare += ("--checkpoint", weights)
        save = work / f"{model}_{proposals}_{size[0]}x{size[1]}_{precision}.npz"
        command = ours("infer", folder, *size, "--save", save)
        name = f"this package, {precision}"
        sides.append(Side(name, command, prepare, save=save))
    return sides


def tfod(*arguments, prepare=None, save=None):
    """TFOD's side, where there is one."""
    if "TFOD_PYTHON" not in os.environ:
        return []
    python = os.environ["TFOD_PYTHON"]
    environment = {"PYTHONPATH": f"{os.environ['TFOD_PATH']}:{SIDES}"}
    command = (python, SIDES / "tfod.py", *arguments)
    prepare = prepare and (python, SIDES / "tfod.py", *prepare)
    return [Side("TFOD", command, prepare, environment, save)]


def tfod_inference(work, model, size):
    """TFOD's export of a model."""
    folder = work / f"tfod_{model}"
    done = (folder / "saved_model" / "saved_model.pb").is_file()
    prepare = None if done else ("export", model, folder)
    save = work / f"{model}_{size[0]}x{size[1]}_tfod.npz"
    arguments = ("infer", folder / "saved_model", *size, save)
    return tfod(*arguments, prepare=prepare, save=save)


def other(variable, name, script, *arguments):
    """Another project's side, where there is one."""
    if variable not in os.environ:
        return []
    return [Side(name, (os.environ[variable], SIDES / script, *arguments))]


def inference(work):
    """The comparisons of inference."""
    for key, model, size, proposals in (
        ("c4", "resnet50_c4", (600, 1024), None),
        ("inception", "inception_resnet_v2", (600, 1024), None),
        ("fpn", "resnet50_fpn", (800, 1333), None),
        ("more", "resnet50_c4", (800, 1333), None),
        ("more", "resnet50_c4", (1024, 1024), None),
        ("more", "resnet50_c4", (600, 1024), 1000),
        ("more", "resnet50_fpn", (600, 1024), None),
        ("more", "resnet50_fpn", (1024, 1024), None),
        ("more", "resnet50_fpn", (800, 1333), 300),
    ):
        sides = []
        if key in ("c4", "inception"):  # first, for its weights are ours too
            sides += tfod_inference(work, model, size)
        sides += our_inference(work, model, size, proposals)
        if model == "resnet50_fpn" and proposals is None:
            sides += other(
                "TORCHVISION_PYTHON", "torchvision", "torchvision_model.py", "infer", *size
            )
        if key == "fpn":
            padded = [-(-side // 32) * 32 for side in size]
            sides += other("TFVISION_PYTHON", "TF Vision", "tf_vision.py", "infer", *padded)
        count = proposals or (1000 if model == "resnet50_fpn" else 300)
        title = f"{model}, {size[0]} x {size[1]}, {count} proposals: an image"
        flops = (model, *size, *(("--proposals", proposals) if proposals else ()))
        yield Comparison(key, title, tuple(sides), flops)


def training():
    """The comparisons of training steps."""
    for key, model, size, batch in (
        ("train", "resnet50_c4", (640, 640), 1),
        ("train_fpn", "resnet50_fpn", (640, 640), 1),
        ("more", "resnet50_c4", (640, 640), 2),
        ("more", "resnet50_c4", (800, 1333), 1),
    ):
        sides = [
            Side(f"this package, {precision}", ours("train", model, precision, *size, batch))
            for precision in PRECISIONS
        ]
        if key == "train":
            command = ours("train", model, "float32", *size, batch, "--checkpointing")
            sides.append(Side("this package, float32, gradient checkpointing", command))
            sides += tfod("train", model, *size, batch)
        if key == "train_fpn":
            sides += other(
                "TORCHVISION_PYTHON", "torchvision", "torchvision_model.py", "train", *size, batch
            )
        title = f"{model}, {size[0]} x {size[1]}, batch {batch}: a training step"
        yield Comparison(key, title, tuple(sides))


def rooflines():
    """The sides that tell what the machine can do."""
    pythons = {"tensorflow": sys.executable}
    if "TORCHVISION_PYTHON" in os.environ:
        pythons["torch"] = os.environ["TORCHVISION_PYTHON"]
    return [
        Side(precision, (python, SIDES / "roofline.py", library, precision))
        for precision in PRECISIONS
        for library, python in pythons.items()
    ]


def run(comparison, rounds, log):
    """Lets the sides of a comparison take turns; its lines of Markdown."""
    for side in comparison.sides:
        side.run_preparation(log)
    gflop = gflop_of(comparison, log)
    limits = [Process(side, log) for side in (rooflines() if gflop else ())]
    processes = [Process(side, log) for side in comparison.sides]
    try:
        for _ in range(rounds):
            for process in (*limits, *processes):
                process.take_turn()
    finally:
        for process in (*limits, *processes):
            process.end()
    lines = lines_of(comparison, processes, gflop, ceilings(limits))
    return [*lines, *agreement(comparison), ""]


def agreement(comparison):
    """How far the outputs of this package are from those of TFOD, whose weights they have."""
    saved = {side.name: side.save for side in comparison.sides if side.save}
    if "TFOD" not in saved:
        return []
    lines = []
    wanted = np.load(saved.pop("TFOD"))
    for name, path in saved.items():
        found = np.load(path)
        far = {
            key.removeprefix("detection_"): np.abs(found[key] - wanted[key]).max()
            for key in ("detection_scores", "detection_boxes", "detection_masks")
        }
        same = np.mean(found["detection_classes"] == wanted["detection_classes"])
        figures = ", ".join(f"{key} {value:.1e}" for key, value in far.items())
        lines.append(
            f"{name} beside TFOD: {same:.0%} of the classes are the same; off by {figures}."
        )
    return ["  \n".join(lines)]


def gflop_of(comparison, log):
    """GFLOP of an image, or None."""
    if comparison.flops is None:
        return None
    command = [str(part) for part in ours("flops", *comparison.flops)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True, check=True)
    answer = next(line for line in done.stdout.splitlines() if line.startswith(MARK))
    return json.loads(answer[len(MARK) :])["gflop"]


def ceilings(limits):
    """{precision: GFLOP/s}, the best of all libraries, kernels and rounds."""
    best = {}
    for process in limits:
        for answer in (process.first, *process.answers):
            most = max(answer.values())
            best[process.side.name] = max(best.get(process.side.name, 0.0), most)
    return best


def lines_of(comparison, processes, gflop, ceiling):
    """The table of a comparison."""
    lines = [f"### {comparison.title}", ""]
    if gflop:
        figures = ", ".join(f"{value:.0f} in {name}" for name, value in ceiling.items())
        lines += [f"{gflop:.0f} GFLOP here; the machine does {figures} GFLOP/s.", ""]
    others = [process for process in processes if "this package" not in process.side.name]
    ratio_heads = "".join(f" as fast as {process.side.name} x |" for process in others)
    share_heads = " GFLOP/s | of the roofline |" if gflop else ""
    lines.append(f"| | median s | fastest s | first s | peak MB |{share_heads}{ratio_heads}")
    lines.append("|---|" + "---|" * (4 + 2 * bool(gflop) + len(others)))
    for process in processes:
        seconds = process.median()
        fastest = min(answer["seconds"] for answer in process.answers)
        cells = [
            process.side.name,
            f"{seconds:.3f}",
            f"{fastest:.3f}",
            f"{process.first['seconds']:.1f}",
            f"{process.answers[-1]['peak_mb']:.0f}",
        ]
        is_ours = process not in others
        if gflop:
            limit = ceiling.get(process.side.name.rpartition(", ")[2]) if is_ours else None
            cells.append(f"{gflop / seconds:.0f}" if is_ours else "")
            cells.append(f"{gflop / seconds / limit:.0%}" if limit else "")
        cells += [f"{ratio(process, than):.2f}" if is_ours else "" for than in others]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def ratio(process, than):
    """How many times as fast, the median of the rounds."""
    pairs = zip(process.answers, than.answers, strict=True)
    return statistics.median(theirs["seconds"] / own["seconds"] for own, theirs in pairs)


def scripts(log):
    """What the other benchmarks print, as they print it: (key, title, lines)."""
    for key, title, arguments in (
        ("startup", "Start-up", ["start_up.py"]),
        ("rewrites", "Each exact rewrite alone", ["rewrites.py"]),
        ("input", "Input pipeline", ["input_pipeline.py"]),
        ("evaluation", "Evaluation", ["evaluation.py", "--images", "100"]),
        ("records", "Records", ["create_records.py"]),
    ):
        yield key, title, [sys.executable, str(SCRIPTS / arguments[0]), *arguments[1:]]


def machine():
    """One line about the machine."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        named = (line.partition(":")[2].strip() for line in file if line.startswith("model name"))
        model = next(named, model)
    flags = " ".join(sorted(_flags() & {"avx512f", "avx512_bf16", "amx_bf16"}))
    return f"{date.today()}, {os.cpu_count()} cores of {model} ({flags or 'no AVX-512'})"


def _flags():
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("flags"):
                return set(line.split())
    return set()


def main():
    """Runs what is asked for and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="keys, such as c4,fpn,train,startup")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", type=Path, help="keeps exports there for the next time")
    parser.add_argument("--output", type=Path, default=Path("build/bench.md"))
    given = parser.parse_args()
    wanted = set(filter(None, given.only.split(",")))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    work = (given.work or Path(tempfile.mkdtemp(prefix="bench"))).absolute()
    lines = ["# Benchmarks", "", machine(), ""]
    with open(given.output.with_suffix(".log"), "w") as log:
        for comparison in (*inference(work), *training()):
            if wanted and comparison.key not in wanted:
                continue
            print(f"{comparison.title} ...", flush=True)
            table = run(comparison, given.rounds, log)
            print("\n".join(table), flush=True)
            lines += table
            given.output.write_text("\n".join(lines))
        for key, title, command in scripts(log):
            if wanted and key not in wanted:
                continue
            print(f"{title} ...", flush=True)
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True)
            lines += [f"### {title}", "", "```", done.stdout.strip(), "```", ""]
            given.output.write_text("\n".join(lines))
    print(f"written to {given.output}")


if __name__ == "__main__":
    main()
