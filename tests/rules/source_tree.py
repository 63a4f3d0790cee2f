"""The files of the repository and their imports, for the rule tests."""

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "object_detection"
GENERATED = ("_pb2.py", "_pb2.pyi")


def tracked_files():
    """Every file that belongs to the repository: by git, else what lies there but for caches."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        paths = [ROOT / line for line in listed.stdout.splitlines()]
    else:
        paths = [path for path in ROOT.rglob("*") if "__pycache__" not in path.parts]
    return sorted(path for path in paths if path.is_file())


def sources(*folders):
    """Hand-written Python files under the given folders of the repository."""
    for path in tracked_files():
        parts = path.relative_to(ROOT).parts
        if parts[0] in folders and path.suffix == ".py" and not path.name.endswith(GENERATED):
            yield path


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports_of_package(path):
    """Dotted names below `object_detection` that a file imports, in functions too.

    `from object_detection.utils import label_map_util` gives `utils.label_map_util`, and
    `from object_detection.ops.boxes import area` gives `ops.boxes.area`.
    """
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            first, _, rest = name.partition(".")
            if first == "object_detection" and rest:
                yield rest
