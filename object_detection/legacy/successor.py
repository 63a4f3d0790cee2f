"""Message of a TFOD command that does not exist here: the command to use instead."""

import shlex
import sys


def print_successor(old, reason, command, **values):
    """Print the message; return the exit code.

    Args:
        old: path of the command.
        reason: a sentence on why it does not exist.
        command: the successor with its flags; `{name}` is replaced by the value of the old
            command's flag `name`, or by its placeholder.
        values: {name of a flag of the old command: placeholder}.

    Returns:
        1; 0 for --help.
    """
    used = flags_in(sys.argv[1:])
    filled = {name: shlex.quote(used[name]) if name in used else values[name] for name in values}
    is_help = {"help", "helpfull", "helpshort"} & used.keys()
    stream = sys.stdout if is_help else sys.stderr
    print(f"{old}: {reason} Run: {command.format(**filled)}", file=stream)
    return 0 if is_help else 1


def flags_in(arguments):
    """Return {name: value} of --name=value and --name value in arguments."""
    values, name = {}, None
    for argument in arguments:
        if argument.startswith("-") and argument != "-":
            name, equals, value = argument.lstrip("-").partition("=")
            values[name] = value
            name = None if equals else name
        elif name:
            values[name], name = argument, None
    return values
