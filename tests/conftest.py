"""What all test folders share: modules beside this file, and the browser."""

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from headless_browser import browser  # noqa: E402, F401  (a fixture)

# A shell starts its background jobs with SIGINT ignored, and so would be every command that the
# tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
