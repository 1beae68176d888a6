"""A command with the tiny method as its default: `python tiny_command.py driver|train_model word ...`."""

import importlib
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]

from ecg.runtime.command import leave  # noqa: E402


def main() -> int:
    import team_code
    from tiny import still, tiny

    team_code.METHODS.update(tiny=tiny, still=still)
    team_code.DEFAULT_METHOD = "tiny"
    name = sys.argv.pop(1)
    return importlib.import_module(name).main()


if __name__ == "__main__":
    leave(main())
