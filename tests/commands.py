"""How the tests run the commands: in processes of their own, with the tiny method or the real ones."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tiny import heart_like, write_recording

ROOT = Path(__file__).resolve().parent.parent
TINY = Path(__file__).with_name("tiny_command.py")
ENVIRONMENT = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


def command(script: str, *words: object) -> list[str]:
    """The words of `driver` or `train_model` with the tiny method, or of a script of the project (`driver.py`)."""
    start = [str(ROOT / script)] if script.endswith(".py") else [str(TINY), script]
    return [sys.executable, *start, *map(str, words)]


def run(script: str, *words: object, check: int | None = None, within: tuple[str, ...] = (), **options):
    """Run a command, within another one such as `unshare` if given; a traceback is a failure, whatever the status."""
    done = subprocess.run(
        [*within, *command(script, *words)],
        env=options.pop("env", ENVIRONMENT),
        timeout=300,
        capture_output=True,
        text=True,
        errors="replace",
        **options,
    )
    assert "Traceback" not in done.stderr, done.stderr
    if check is not None:
        assert done.returncode == check, done.stdout + done.stderr
    return done


def torchrun(script: str, *words: object, n: int = 2, **options):
    """Run a command as so many processes; where one fails, the launcher prints its own traceback."""
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(n),
        "--no-python",
    ]
    return run(script, *words, within=tuple(launcher), **options)


def write_recordings(folder: Path, n_recordings: int, *, prefix: str = "HR", seconds: float = 2) -> Path:
    for number in range(n_recordings):
        write_recording(folder, f"{prefix}{number:05d}", heart_like(seconds, seed=number))
    return folder


def visible_bytes(folder: Path) -> dict[str, str]:
    """What is in a folder and below, by name; temporary files that a kill left are hidden and don't count."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def drop_file_rights() -> None:
    """In a child before exec: take away root's right to pass over file modes (CAP_DAC_OVERRIDE, ..._READ_SEARCH)."""
    if os.geteuid() == 0:
        for capability in (1, 2):
            if ctypes.CDLL(None, use_errno=True).prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
                raise OSError(ctypes.get_errno(), "prctl")


@functools.cache
def modes_can_bind() -> bool:
    """Whether a child of these tests can be held to file modes, also where root runs the tests."""
    if os.geteuid() != 0:
        return True
    code = "import os, tempfile; file = tempfile.NamedTemporaryFile(); os.chmod(file.name, 0); open(file.name)"
    try:
        done = subprocess.run([sys.executable, "-c", code], preexec_fn=drop_file_rights, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return b"PermissionError" in done.stderr


@functools.cache
def can_unshare(flags: str) -> bool:
    """Whether this machine allows namespaces of one's own, such as -rn (an empty network) or -rm (own mounts)."""
    try:
        return subprocess.run(["unshare", flags, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
