"""Times commands from the start of their process: --help, a fault, a first step, an export.

    PYTHONPATH=. python benchmarks/start_up.py [--runs 3] [--only help fault step export]

Makes its own records (20 photograph-like images with polygons) and a config of the model of
`benchmarks/train_step.py`: Mask R-CNN on ResNet-50 C4, 640 x 640, batch 1. Of every command it
prints the seconds, and the CPU seconds, which say more on a busy machine; of the first step also
when each part of the start was done. The export is that of the checkpoint that a run of one step
leaves.
"""

import argparse
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from create_records import make_data
from train_step import RESNET50_C4_MASKS

PLACES = {  # what the log says once a part of the start is done
    "config read": r"object_detection \S+ from ",
    "TensorFlow started": r"TensorFlow \S+, Keras",
    "model built": r"Training \d+ of \d+ weights",
    "state saved": r"Saved .* at step 0",
    "first step": r"step 1/1 ",
}
CONFIG = """
model {{ {model} }}
train_config {{ batch_size: 1 num_steps: 1 gradient_clipping_by_norm: 10
  data_augmentation_options {{ random_horizontal_flip {{}} }}
  optimizer {{ momentum_optimizer {{ momentum_optimizer_value: 0.9
    learning_rate {{ constant_learning_rate {{ learning_rate: 1e-4 }} }} }} }} }}
train_input_reader {{ label_map_path: "{records}/label_map.pbtxt"
  load_instance_masks: true mask_type: PNG_MASKS
  tf_record_input_reader {{ input_path: "{records}/coco_train.record-?????-of-00100" }} }}
eval_config {{ }}
eval_input_reader {{ label_map_path: "{records}/label_map.pbtxt"
  tf_record_input_reader {{ input_path: "{records}/coco_train.record-?????-of-00100" }} }}
"""


def module(name, *flags):
    """The command line of one of the package's commands."""
    return [sys.executable, "-m", f"object_detection.{name}", *flags]


def seconds_of(command):
    """(seconds, CPU seconds, what it wrote) of a command run to its end."""
    start, used = time.perf_counter(), _cpu_of_children()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    spent = time.perf_counter() - start, _cpu_of_children() - used
    return *spent, done.stdout + done.stderr


def seconds_to_first_step(command):
    """Part of the start -> (seconds, CPU seconds) since the start of the process."""
    start, places = time.perf_counter(), {}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        output_lines = []
        for line in process.stderr:
            output_lines.append(line)
            for place, pattern in PLACES.items():
                if place not in places and re.search(pattern, line):
                    places[place] = time.perf_counter() - start, _cpu_of(process.pid)
        if "first step" not in places:
            raise SystemExit("".join(output_lines[-40:]))
    return places


def _cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_of(pid):
    """CPU seconds of a running process; None where the system has no /proc."""
    path = Path(f"/proc/{pid}/stat")
    if not path.exists():
        return float("nan")
    user, system = path.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / 100


def prepared(folder):
    """Writes records and config into a folder; the config's path."""
    make_data(folder, 20)
    flags = [f"--train_image_dir={folder}/img", "--include_masks", f"--output_dir={folder}/records"]
    flags.append(f"--train_annotations_file={folder}/instances.json")
    subprocess.run(module("dataset_tools.create_coco_tf_record", *flags), check=True)
    path = folder / "pipeline.config"
    path.write_text(CONFIG.format(model=RESNET50_C4_MASKS, records=folder / "records"))
    return path


def main():
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    kinds = ("help", "fault", "step", "export")
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = prepared(folder)
        train = module("model_main_tf2", f"--pipeline_config_path={config}")
        if "help" in options.only:
            for command in ("model_main_tf2", "exporter_main_v2", "predict", "serve"):
                show(f"{command} --help", options, module(command, "--helpshort"))
        if "fault" in options.only:
            fault = "--config_override=model.faster_rcnn.feature_extractor.type=resnet5"
            show("a config's fault", options, [*train, f"--model_dir={folder}/no", fault])
        if {"step", "export"} & set(options.only):
            for run in range(options.runs if "step" in options.only else 1):
                places = seconds_to_first_step([*train, f"--model_dir={folder}/run{run}"])
                parts = (
                    f"{place} {wall:.1f} s ({cpu:.1f})" for place, (wall, cpu) in places.items()
                )
                print(f"first step of model_main_tf2 (of CPU): {', '.join(parts)}", flush=True)
        if "export" in options.only:
            flags = [f"--pipeline_config_path={config}", f"--trained_checkpoint_dir={folder}/run0"]
            export = module("exporter_main_v2", *flags, f"--output_directory={folder}/exported")
            show("export", options, export)


def show(name, options, command):
    """Prints the median times of a command."""
    found = [seconds_of(command) for _ in range(options.runs)]
    wall, cpu = (statistics.median(run[part] for run in found) for part in (0, 1))
    print(f"{name}: {wall:.2f} s, of CPU {cpu:.2f} s", flush=True)


if __name__ == "__main__":
    main()
