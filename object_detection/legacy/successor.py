"""What a command of TFOD that is not here says: one line with the command to use in its place."""

import shlex
import sys


def tell(old, reason, command, **values):
    """Prints the one line; the exit code.

    Args:
        old: path of the command.
        reason: a sentence on why it is not here.
        command: the successor with its flags; `{name}` is filled with the value of the old
            command's flag `name`, where it was given, or with what `values` has for it.
        values: {name of a flag of the old command: what stands for it where it was not given}.

    Returns:
        1; 0 where only --help was asked for.
    """
    given = flags_in(sys.argv[1:])
    filled = {name: shlex.quote(given[name]) if name in given else values[name] for name in values}
    asked = {"help", "helpfull", "helpshort"} & given.keys()
    stream = sys.stdout if asked else sys.stderr
    print(f"{old}: {reason} Run: {command.format(**filled)}", file=stream)
    return 0 if asked else 1


def flags_in(arguments):
    """{name: value} of the --name=value and --name value among arguments."""
    found, name = {}, None
    for argument in arguments:
        if argument.startswith("-") and argument != "-":
            name, equals, value = argument.lstrip("-").partition("=")
            found[name] = value
            name = None if equals else name
        elif name:
            found[name], name = argument, None
    return found
