"""Commands of the form `python -m DOOR train --flag=...`, over absl's flags."""

import sys

from absl import app, flags

FLAGS = flags.FLAGS


def run(commands, description, arguments=None):
    """Defines the flags of the command that is named, and runs it; never returns.

    Args:
        commands: name -> (function that defines its flags, function that returns an exit code).
        description: printed without a command, and for --help in its place.
        arguments: those of the process unless given, its name first.
    """
    arguments = list(sys.argv if arguments is None else arguments)
    if len(arguments) < 2 or arguments[1] not in commands:
        asked = arguments[1:2]
        print(description.strip())
        if asked and asked[0] not in ("--help", "-h", "--helpshort", "--helpfull"):
            *names, last = commands
            there = f"{', '.join(names)} and {last}"
            sys.exit(f"error: {asked[0]!r} is no command; there are {there}")
        sys.exit(0 if asked else 1)
    define, door = commands[arguments.pop(1)]
    before = set(FLAGS)
    define()
    for name in set(FLAGS) - before:  # so that --help shows them
        FLAGS.register_key_flag_for_module(arguments[0], FLAGS[name])

    def main(rest):
        if len(rest) > 1:
            raise app.UsageError(f"unknown arguments: {' '.join(rest[1:])}")
        return door()

    app.run(main, argv=arguments)
