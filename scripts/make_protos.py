"""Makes object_detection/protos/*_pb2.py and *_pb2.pyi from protos/*.proto.

    python scripts/make_protos.py            write the generated files
    python scripts/make_protos.py --check    compare with a fresh run; exit code 1 if they differ

Needs grpcio-tools 1.74 to 1.78 (in an environment of its own: it asks for protobuf below 7). Those
releases write code that protobuf 6.31 and every 7.x can import; newer ones write code that 6.31
refuses, older ones code that 7.x refuses.
"""

import argparse
import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "protos"
PACKAGE = ROOT / "object_detection" / "protos"
IMPORT_PATH = "object_detection/protos"
OLDEST, NEWEST = (1, 74), (1, 78)


def compiler_fault():
    """A sentence saying why this Python cannot compile the protos, or None where it can."""
    try:
        version = importlib.metadata.version("grpcio-tools")
    except importlib.metadata.PackageNotFoundError:
        version = None
    wanted = f"grpcio-tools {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    if version is None:
        return (
            f"{sys.executable} has no grpcio-tools; make an environment for it: "
            "python -m venv .venv-protos && .venv-protos/bin/pip install grpcio-tools==1.76.0"
        )
    if not OLDEST <= tuple(int(part) for part in version.split(".")[:2]) <= NEWEST:
        return f"grpcio-tools is {version}; the generated files are made with {wanted}"
    return None


def generate(output):
    """Compiles every file of protos/ into the folder `output`/object_detection/protos."""
    names = sorted(f"{IMPORT_PATH}/{path.name}" for path in SOURCE.glob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{IMPORT_PATH}={SOURCE}"]
    command += [f"--python_out={output}", f"--pyi_out={output}", *names]
    subprocess.run(command, check=True, cwd=ROOT)


def texts(folder):
    """Generated files of a folder: name -> text."""
    return {path.name: path.read_text() for path in sorted(folder.glob("*_pb2.py*"))}


def differences(committed, fresh):
    """Names of generated files that are missing, left over or stale, each with what is wrong."""
    for name in sorted(committed.keys() | fresh.keys()):
        if name not in committed:
            yield f"{name} is missing"
        elif name not in fresh:
            yield f"{name} has no .proto any more"
        elif committed[name] != fresh[name]:
            yield f"{name} is stale"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare only; write nothing")
    check = parser.parse_args().check
    fault = compiler_fault()
    if fault:
        sys.exit(fault)
    with tempfile.TemporaryDirectory() as folder:
        generate(folder)
        fresh = texts(Path(folder, IMPORT_PATH))
    stale = list(differences(texts(PACKAGE), fresh))
    if check:
        sys.exit("\n".join([*stale, "run scripts/make_protos.py"]) if stale else None)
    for path in PACKAGE.glob("*_pb2.py*"):
        if path.name not in fresh:
            path.unlink()
    PACKAGE.mkdir(exist_ok=True)
    for name, text in fresh.items():
        (PACKAGE / name).write_text(text)
    print(f"{len(fresh)} files in {PACKAGE.relative_to(ROOT)}; changed: {len(stale)}")


if __name__ == "__main__":
    main()
