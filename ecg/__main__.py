"""The command `ecg`, also `python -m ecg`."""

from __future__ import annotations

import importlib
import sys

from ecg.runtime.command import leave


def main() -> int:
    """Run a subcommand; returns the exit status."""
    name, *words = sys.argv[1:]
    status: int = importlib.import_module(f"ecg.commands.{name}").main(words)
    return status


if __name__ == "__main__":
    leave(main())
