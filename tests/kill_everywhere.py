"""Kills a command at every moment at which it touches its output folder, and goes on each time.

`python kill_everywhere.py driver|train_model OUTPUT STEP word ...`, where OUTPUT is among the words. The K-th child
kills itself (SIGKILL) at the K-th time that it opens, syncs, renames, removes or makes something below OUTPUT; then
another child goes on to the end. STEP is 1 for every K, 2 for every second. Prints the number of kills; ends with an
error if a file was left half-written, or if the final files differ from those of an undisturbed run.

The children are forks of one process that has imported everything and has no threads, which saves the time of an import
for each.
"""

import importlib
import os
import shutil
import signal
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")


def start(name: str, words: list[str], output: Path, kill_at: int | None) -> int:
    """Run a command in a fork; its wait status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    status = 70
    try:
        if kill_at is not None:
            arm(output, kill_at)
        sys.argv = [name, *words]
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os.dup2(devnull, 2)
        status = importlib.import_module(name).main()
    finally:
        os._exit(status)


def arm(output: Path, kill_at: int) -> None:
    left, folder, sync = kill_at, str(output), os.fsync

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def listen(event: str, arguments: tuple[object, ...]) -> None:
        if event in EVENTS and isinstance(arguments[0], (str, os.PathLike)) and str(arguments[0]).startswith(folder):
            count()

    def counting_sync(file: int) -> None:  # by then the temporary file has its content and not yet its name
        count()
        sync(file)

    os.fsync = counting_sync
    sys.addaudithook(listen)


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def main() -> int:
    import team_code
    from tiny import tiny

    team_code.METHODS["tiny"] = tiny
    team_code.DEFAULT_METHOD = "tiny"
    name, output, step, *words = sys.argv[1:]
    folder = Path(output).resolve()
    # What the commands import late, once for all children; the optimisers import torch._dynamo.
    for late in ("ecg.inference.run_folder", "iterstrat.ml_stratifiers", "torch._dynamo"):
        importlib.import_module(late)
    assert start(name, words, folder, None) == 0
    undisturbed = contents(folder)
    n_kills, moment = 0, 1
    while True:
        shutil.rmtree(folder)
        status = start(name, words, folder, moment)
        if status == 0:
            break
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"status {status} at {moment}"
        n_kills += 1
        found = contents(folder) if folder.exists() else {}
        for file, content in found.items():
            if not file.startswith(".training-state"):
                assert content == undisturbed[file], f"{file} is half-written after kill {moment}"
        goes_on = ["--resume"] if name == "driver" and (folder / ".run.json").exists() else []
        assert start(name, words + goes_on, folder, None) == 0, f"does not go on after kill {moment}"
        assert contents(folder) == undisturbed, f"another result after kill {moment}"
        moment += int(step)
    print(n_kills)
    return 0


if __name__ == "__main__":
    sys.exit(main())
