"""How every command of this folder begins: its flags, and a word on who we are."""

import sys

from absl import app, flags

import object_detection


def run(define_flags, main):
    """Runs a command.

    Args:
        define_flags: defines its flags.
        main: takes the arguments that are no flags.
    """
    before = set(flags.FLAGS)
    define_flags()
    for name in set(flags.FLAGS) - before:  # --help shows the flags of the file that was started
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[name])

    def greet_and_run(arguments):
        # Other packages bear this name too: say which one this is.
        origin = object_detection.__path__[0]
        print(f"object_detection {object_detection.__version__} from {origin}", file=sys.stderr)
        main(arguments)

    app.run(greet_and_run)
