"""Starts and ends every command in one way.

- The version and origin of the package are logged first.
- Flags that name paths are checked before TensorFlow starts, see `path_flags`.
- An error that the user can repair is one message without a traceback; the exit code is 1.
- Ctrl-C is one line and exit code 130, SIGTERM one line and 143, also while modules are imported.
  Partial output is removed (`finally`): results are complete or missing.
"""

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, NoReturn

import object_detection
from object_detection.errors import ObjectDetectionError, describe_os_error

INTERRUPTED = 128 + signal.SIGINT
RENAMED_FLAGS = {"neutral_class": "ignore_class"}
_PATIENCE = 5.0  # seconds for an interrupted process to end its threads
_WORDS = {signal.SIGINT: "Interrupted.", signal.SIGTERM: "Terminated (SIGTERM)."}


_slow_starts: list[Callable[[], None]] = []  # the check of `before_slow_start`


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does."""


class _Signals:
    """Handler of the signals that end this process; it raises in the main thread."""

    def __init__(self):
        self.received: int | None = None

    def install(self) -> None:
        """Handle SIGINT and SIGTERM if they have Python's or the system's handlers.

        Other handlers stay, and so does an ignored SIGINT (background jobs of shells, nohup).
        """
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._raise)
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._raise)

    def _raise(self, number: int, frame: FrameType | None) -> NoReturn:
        del frame
        self.received = number
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    def restore(self) -> None:
        """Restore the handlers: while the interpreter ends, another signal kills at once."""
        before = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
        for number, handler in before.items():
            if signal.getsignal(number) == self._raise:
                ends = sys.excepthook is _report_uncaught  # the process runs this command only
                signal.signal(number, signal.SIG_DFL if ends else handler)


_signals = _Signals()


def guard_start() -> None:
    """Report Ctrl-C as one line from now on, in a process that runs a command of this package.

    Called while the package is imported, long before `run`: importing numpy or TensorFlow takes
    seconds, in which users notice typing errors.
    """
    if "--multiprocessing-fork" in sys.orig_argv:  # a worker of a command, which ends it
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        return
    _signals.install()
    sys.excepthook = _report_uncaught


def run(
    main: Callable[[list[str]], int | None],
    define_flags: Callable[[], None] | None = None,
    *,
    arguments: list[str] | None = None,
    only_own_errors: bool = False,
) -> NoReturn:
    """Run a command and exit with its code; never returns.

    Args:
        main: takes the arguments other than flags, the command's name first; returns the exit
            code, None for 0.
        define_flags: defines absl flags. None: the command parses `sys.argv` itself, and `main`
            gets `arguments`.
        arguments: the command line, its name first. Default: that of the process.
        only_own_errors: report `ObjectDetectionError` and `OSError` without a traceback, and no
            other. By default also `ValueError` and the errors of TensorFlow's operations, which is
            how functions refuse what they are given.
    """
    _signals.install()
    arguments = list(sys.argv if arguments is None else arguments)
    code: Any = None
    try:
        code = attempt(
            lambda: (
                main(arguments)
                if define_flags is None
                else _run_with_flags(main, define_flags, arguments, only_own_errors)
            ),
            only_own_errors,
        )
    except SystemExit as end:
        code = end.code
    finally:
        _signals.restore()
    if code in (INTERRUPTED, 128 + signal.SIGTERM):
        _end_soon(code)
    sys.exit(code)


def run_one_of(
    commands: dict[str, tuple[Callable[[], None], Callable[[], int | None]]],
    description: str,
    arguments: list[str] | None = None,
) -> NoReturn:
    """Run a sub-command, as in `python -m object_detection.X train --flag=...`; never returns.

    Args:
        commands: name -> (function that defines its flags, function that returns an exit code).
        description: printed without a command, and for --help in place of a command.
        arguments: the command line, its name first. Default: that of the process.
    """
    arguments = list(sys.argv if arguments is None else arguments)
    requested = arguments[1:2]
    if not requested or requested[0] not in commands:
        print(description.strip())
        if requested and requested[0] not in ("--help", "-h", "--helpshort", "--helpfull"):
            *names, last = commands
            known = f"{', '.join(names)} and {last}"
            sys.exit(f"error: {requested[0]!r} is not a command; available: {known}")
        sys.exit(0 if requested else 1)
    define_flags, work = commands[arguments.pop(1)]

    def main(rest):
        refuse_arguments(rest)
        return work()

    run(main, define_flags, arguments=arguments)


def attempt(work: Callable[[], int | None], only_own_errors: bool = False) -> int:
    """Return the exit code of a command's work.

    Errors that the user can repair, Ctrl-C and SIGTERM are reported.

    Args:
        work: returns an exit code, None for 0.
        only_own_errors: as for `run`.
    """
    try:
        return work() or 0
    except BrokenPipeError:  # `| head` has read enough
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt as error:
        return _interrupted(signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        if _signals.received is not None:  # an interrupt that a library turned into another error
            return _interrupted(_signals.received)
        others = () if only_own_errors else (ValueError, *_tensorflow_errors())
        if not isinstance(error, (ObjectDetectionError, OSError, *others)):
            raise
        _report(error)
        return 1


def before_slow_start() -> None:
    """Check the paths of the command's flags; called before TensorFlow is imported.

    A command's own checks of the flags come first.
    """
    while _slow_starts:
        _slow_starts.pop()()


def log_version() -> None:
    """Log version and location: other packages have the name object_detection as well."""
    from absl import logging

    version, origin = object_detection.__version__, object_detection.__path__[0]
    logging.info("object_detection %s from %s", version, origin)


def show_progress_lines() -> None:
    """Show INFO lines unless the user set a verbosity."""
    from absl import flags, logging

    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.INFO)


def refuse_arguments(arguments: Iterable[str], hint: str = "") -> None:
    """Raise absl's `UsageError` for arguments that are not flags.

    Args:
        arguments: as `main` gets them, the command's name first.
        hint: an additional remark, for example on quotes.
    """
    from absl import app

    _, *others = arguments
    if others:
        raise app.UsageError(f"unknown arguments: {' '.join(others)}{hint and f' ({hint})'}")


def _run_with_flags(main, define_flags, arguments, only_own_errors):
    from absl import app, flags

    before = set(flags.FLAGS)
    define_flags()
    for name in set(flags.FLAGS) - before:  # --help shows the flags of the started file
        flags.FLAGS.register_key_flag_for_module(arguments[0], flags.FLAGS[name])

    def checked(rest):
        from object_detection.cli import path_flags

        def work():
            show_progress_lines()
            log_version()
            command = path_flags.command_of(arguments)
            path_flags.check_outputs(command, flags.FLAGS)
            _slow_starts[:] = [lambda: path_flags.check_inputs(command, flags.FLAGS)]
            return main(rest)

        return attempt(work, only_own_errors)

    _refuse_renamed_flags(arguments, flags.FLAGS)
    app.run(checked, argv=arguments)


def _refuse_renamed_flags(arguments, defined):
    """End the process with the new name of a flag that is used by its old one."""
    for argument in arguments[1:]:
        old = argument.partition("=")[0]
        new = RENAMED_FLAGS.get(old.lstrip("-")) if old.startswith("-") else None
        if new in defined:
            sys.exit(f"error: {old} was renamed to --{new}")


def _tensorflow_errors():
    """Return the errors of TensorFlow's operations; nothing if it is not imported."""
    tensorflow = sys.modules.get("tensorflow")
    errors = getattr(tensorflow, "errors", None)
    return (errors.OpError,) if hasattr(errors, "OpError") else ()


def _report(error):
    message = describe_os_error(error) if isinstance(error, OSError) else str(error)
    _print_error(f"error: {message or type(error).__name__}")
    if "absl.logging" in sys.modules:  # the doctor runs without absl
        sys.modules["absl.logging"].debug("Raised here:", exc_info=error)


def _print_error(line):
    """Write a line to standard error, which may be closed."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _interrupted(number):
    """Report the signal and return the exit code. A second signal kills at once."""
    _signals.restore()
    _print_error(f"\n{_WORDS[number]}" if sys.stderr.isatty() else _WORDS[number])
    return 128 + number


def _end_soon(code):
    """End the process after a timeout: threads of libraries may still run."""
    timer = threading.Timer(_PATIENCE, os._exit, (code,))
    timer.daemon = True
    timer.start()


def _report_uncaught(kind, error, trace):
    """Report an interrupt before or after `run` as one line; a `sys.excepthook`."""
    if not issubclass(kind, KeyboardInterrupt) and _signals.received is None:
        traceback.print_exception(kind, error, trace)
        return
    number = signal.SIGTERM if issubclass(kind, Terminated) else signal.SIGINT
    code = _interrupted(_signals.received or number)
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(code)
