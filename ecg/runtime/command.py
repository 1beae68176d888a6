"""How a command starts and ends: with an exit status and a sentence, whatever happens to it."""

import atexit
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from ecg.runtime.extras import INSTALLED_BY, MissingPackageError, missing

_SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100}


class Command(click.Command):
    """A command whose function returns the exit status, None for 0; it can be called with the words of a command line.

    `when_stopped`: as of `run_command`.
    """

    def __init__(self, name: str, when_stopped: str = "nothing was written", **settings: Any) -> None:
        settings["context_settings"] = _SETTINGS | settings.get("context_settings", {})
        super().__init__(name, **settings)
        self.name: str = name
        self.when_stopped = when_stopped

    def invoke(self, ctx: click.Context) -> int:
        return run_command(ctx.command_path, lambda: click.Command.invoke(self, ctx) or 0, self.when_stopped)

    def __call__(self, words: Sequence[str] | None = None) -> int:
        return start(self, words, self.name if "." in self.name else f"ecg {self.name}")


def command(name: str, when_stopped: str = "nothing was written") -> Callable[[Callable[..., int | None]], Command]:
    """Make a `Command` of a function with click's options and arguments; its docstring is the help."""
    return click.command(name, cls=Command, when_stopped=when_stopped)


def start(command: click.Command, words: Sequence[str] | None, name: str) -> int:
    """Exit status of a command or group with these words, those of the process if None; 2 where they make no sense."""
    try:
        status: int | None = command.main(words, name, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:  # Ctrl-C while the words were read
        return 130
    return status or 0


def run_command(name: str, body: Callable[[], int], when_stopped: str) -> int:
    """Exit status of `body`, 2 where what it was given can't be used or memory runs out, 130 after Ctrl-C.

    `name`: of the command, for the sentence on standard error. `body`: imports what takes long (torch) itself, so that
    Ctrl-C is caught there too. Its ValueError, OSError and MemoryError are for the user; any other error is a fault of
    the program and keeps its traceback. `when_stopped`: what to say after Ctrl-C, and where another process of the same
    command has ended.
    """
    try:
        return body()
    except KeyboardInterrupt:
        print(f"{name}: stopped; {when_stopped}", file=sys.stderr)
        return 130
    except ImportError as error:
        if error.name not in INSTALLED_BY:
            raise
        print(f"{name}: {error if isinstance(error, MissingPackageError) else missing(error.name)}", file=sys.stderr)
    except (FileExistsError, NotADirectoryError) as error:
        found = "found a file in its place or above it"
        print(f"{name}: {error.filename}: expected a folder that exists or can be made, {found}", file=sys.stderr)
    except ConnectionError as error:
        print(f"{name}: {error}; {when_stopped}", file=sys.stderr)
    except (ValueError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
    except (MemoryError, RuntimeError) as error:
        # torch raises RuntimeError when memory runs out on a CPU and a kind of it when memory runs out on a GPU.
        if isinstance(error, RuntimeError) and not any(words in str(error) for words in ("allocate", "out of memory")):
            raise
        print(f"{name}: expected enough memory, found too little ({type(error).__name__}: {error})", file=sys.stderr)
    return 2


def leave(status: int) -> NoReturn:
    """End this process with what its command returned, without taking down the interpreter and its libraries.

    All that a command writes is written when it returns. Ctrl-C can come while a thread is being started; then its pool
    does not know of it, nor may the interpreter, and one that is taken down while such a thread is in torch aborts
    ("terminate called without an active exception"): a process that had done all its work seems to have failed. The
    threads that connect processes under `torchrun` have done the same.
    """
    with contextlib.suppress(KeyboardInterrupt):  # once more: there is no work left to stop
        # As a child of multiprocessing ends: pools are told to stop, threads that are known are waited for, temporary
        # folders removed.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:  # None where it was closed before the start
                stream.flush()
    except OSError:
        sys.exit(status)  # a pipe that nobody reads, a full disk: the interpreter tries again, and says so
    os._exit(status)
