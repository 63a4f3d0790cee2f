"""The label maps that TFOD's scripts read by default, from the folder they are started in."""

from pathlib import Path

from absl import flags

FLAGS = flags.FLAGS


def define(default):
    """Defines `--label_map_path` with TFOD's default."""
    flags.DEFINE_string(
        "label_map_path",
        default,
        "Label map whose numbers hold; it is written there if absent. Unset, and without a file at "
        "TFOD's place: label_map.pbtxt next to the records, with TFOD's numbers.",
    )


def resolve():
    """Forgets the default where TFOD's file is not there: its folder is that of TFOD's sources."""
    flag = FLAGS["label_map_path"]
    if flag.using_default_value and not Path(flag.value).is_file():
        flag.value = ""
