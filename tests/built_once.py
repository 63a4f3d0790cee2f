"""What several test files need and takes long to make is made once in a test run."""

import fcntl
import os


def built_once(tmp_path_factory, name, build):
    """The folder `name` of this test run; whichever worker comes first fills it.

    Args:
        tmp_path_factory: pytest's.
        name: of the folder.
        build: called with the empty folder; the other workers wait until it is done.

    Returns:
        The folder. It is shared: read it, and write elsewhere.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # each worker has a folder of its own in there
    folder = root / "built_once" / name
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        content, done = folder / "content", folder / "done"
        if not done.exists():
            content.mkdir()
            build(content)
            done.touch()
    return content
