"""azoda's two JSON files: the experiment's and the deployment's.

A key works here, is reported to have no effect, or is rejected. Keys may be nested or dotted.
"""

import re

from object_detection.integrations import json_settings
from object_detection.integrations.json_settings import REQUIRED, JsonFile, Key, Settings

_AZURE = "it configures Azure, and this command runs on this machine"
_CLUSTER = "it sizes a cluster in Azure, and this command runs on this machine"
_STAGE = "MODEL_PARAMS.FIRST_STAGE"
EXPERIMENT = {
    "ENV_CONFIG_FILE": Key(str, without_effect=_AZURE),
    "DESCRIPTION": Key(str, default=""),
    "EXP_NAME": Key(str, default=""),
    "COMPUTE_NAME": Key(str, without_effect=_AZURE),
    "DOCKER_IMAGE_NAME": Key(str, without_effect=_AZURE),
    "DOCKER_IMAGE": Key(str, without_effect=_AZURE),
    "TF_VERSION": Key(
        int, without_effect="models of TF 1 and TF 2 are read in the same way", one_of=(1, 2)
    ),
    "DATA_MOUNT": Key(str, default=""),
    "IMAGE_TYPE": Key(str, default=REQUIRED),
    "TRAIN_CSV": Key(str, default="latest"),
    "TEST_CSV": Key(str, default="latest"),
    "EVAL_CONF": Key(float, default=0.5, least=0, most=1),
    "RUN_PARAMS.STEPS": Key(int, default=REQUIRED, least=1),
    "MODEL_PARAMS.BASE_MODEL": Key(str, default=REQUIRED),
    f"{_STAGE}.STRIDE": Key(int, least=1),
    f"{_STAGE}.NMS_IOU_THRESHOLD": Key(float, least=0, most=1),
    f"{_STAGE}.NMS_SCORE_THRESHOLD": Key(float, least=0, most=1),
    f"{_STAGE}.MAX_PROPOSALS": Key(int, least=1),
    f"{_STAGE}.LOCALIZATION_LOSS_WEIGHT": Key(float, least=0),
    f"{_STAGE}.OBJECTNESS_LOSS_WEIGHT": Key(float, least=0),
    "HYPERTUNE": Key(bool, default=False),
    "NODES": Key(int, without_effect=_CLUSTER, least=1),
}
DEPLOYMENT = {
    "ENV_CONFIG_FILE": Key(str, without_effect=_AZURE),
    "EXPERIMENT": Key(str, without_effect=_AZURE),
    "RUN_ID": Key(
        str, without_effect="it names a run in Azure; --model selects the model to serve"
    ),
    "TF_VERSION": Key(
        int, without_effect="models of TF 1 and TF 2 are served in the same way", one_of=(1, 2)
    ),
    "REG_MODEL": Key(
        bool, without_effect="there is no registry; --model selects the model to serve"
    ),
    "IMAGE_TYPE": Key(str, default=REQUIRED),
    "USE_ACI": Key(bool, without_effect=_AZURE),
    "COMPUTE_TARGET_NAME": Key(str, without_effect=_AZURE),
    "ACI_PARAMS.USE_ACI": Key(bool, without_effect=_AZURE),
    "ACI_PARAMS.ACI_AUTH": Key(
        bool, without_effect="this server has no authentication: use a proxy"
    ),
    "AKS_PARAMS.USE_AKS": Key(bool, without_effect=_AZURE),
    "AKS_PARAMS.VM_TYPE": Key(str, without_effect=_AZURE),
    "AKS_PARAMS.COMPUTE_TARGET_NAME": Key(str, without_effect=_AZURE),
}
# Equivalent keys of the older, flat layout and of the newer one.
_EQUIVALENT = (
    ("USE_ACI", "ACI_PARAMS.USE_ACI"),
    ("COMPUTE_TARGET_NAME", "AKS_PARAMS.COMPUTE_TARGET_NAME"),
    ("DOCKER_IMAGE", "DOCKER_IMAGE_NAME"),
)


def read_experiment(path) -> Settings:
    """Read the settings of an experiment JSON; raise `SettingsError`."""
    settings = _read(path, EXPERIMENT)
    if settings.values["HYPERTUNE"]:
        raise settings.error(
            "HYPERTUNE",
            "is true, but the search of Azure's HyperDrive is not available here: set it to false "
            "and run train once for each value of NMS_IOU_THRESHOLD and MAX_PROPOSALS",
        )
    for key in ("IMAGE_TYPE", "MODEL_PARAMS.BASE_MODEL"):
        name = settings.values[key]
        if name in (".", "..") or re.search(r"[/\\\0]", name):
            raise settings.error(key, f"is {name!r}; it must be the name of one folder, not a path")
    return settings


def read_deployment(path) -> Settings:
    """Read the settings of a deployment JSON, in its older or its newer layout."""
    settings = _read(path, DEPLOYMENT)
    name = settings.values["IMAGE_TYPE"]
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        problem = f"is {name!r}; it becomes the model's name: use letters, digits, '.', '_', '-'"
        raise settings.error("IMAGE_TYPE", problem)
    return settings


def _read(path, keys):
    """Read a file and check it; azoda's own parser accepted numbers in quotes."""
    settings = json_settings.check(JsonFile(path), keys, quoted_numbers=True)
    for key, other in _EQUIVALENT:
        if {key, other} <= settings.present:
            raise settings.error(key, f"means the same as {other}, which is present too; keep one")
    return settings
