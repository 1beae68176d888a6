"""Puts the project root on sys.path, so that the tests import its modules from wherever they are started."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
