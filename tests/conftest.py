"""What all test folders share: modules beside this file, and the browser."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from headless_browser import browser  # noqa: E402, F401  (a fixture)
