"""Puts the project root on sys.path, so that the tests import its modules from wherever they are started."""

import gc
import os
import signal
import sys
from pathlib import Path

# Before torch is loaded: bytes of a training depend on the number of threads, so here and in every child it is one.
os.environ["OMP_NUM_THREADS"] = "1"

from hypothesis import settings

# What is collected stays to the end: to look through it for garbage again and again takes a quarter of the collection.
gc.disable()

os.fsync = os.fstat  # no test waits for the disk; a file that is closed is an error all the same

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# A test that fails on one run and passes on the next is a defect: the same cases every time, and no clock.
settings.register_profile("project", deadline=None, derandomize=True)
settings.load_profile("project")

# A shell starts its background jobs with Ctrl-C ignored, and children inherit that: tests that interrupt a command
# would wait for ever. A handler of this process's own is no heritage: its children start with the default one.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    gc.freeze()
    gc.enable()
