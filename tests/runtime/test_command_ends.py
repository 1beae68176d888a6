"""How a command ends: the exit status and the whole sentence for whatever happens to it."""

import click
import pytest

from ecg.runtime.command import Command, command, run_command, start
from ecg.runtime.extras import MissingPackageError, import_extra, missing

STAYS = "the rest stays as it was"
FOLDER = "expected a folder that exists or can be made, found a file in its place or above it"
MEMORY = "expected enough memory, found too little"
ENDS = [
    (KeyboardInterrupt(), 130, f"stopped; {STAYS}"),
    (ValueError("a.hea: expected 12 leads, found 8"), 2, "a.hea: expected 12 leads, found 8"),
    (OSError(28, "No space left on device", "out/a.csv"), 2, "[Errno 28] No space left on device: 'out/a.csv'"),
    (PermissionError(13, "Permission denied", "out"), 2, "[Errno 13] Permission denied: 'out'"),
    (FileNotFoundError(2, "No such file", "in"), 2, "[Errno 2] No such file: 'in'"),
    (FileExistsError(17, "File exists", "out"), 2, f"out: {FOLDER}"),
    (NotADirectoryError(20, "Not a directory", "a.csv/out"), 2, f"a.csv/out: {FOLDER}"),
    (ConnectionError("another process has ended"), 2, f"another process has ended; {STAYS}"),
    (ConnectionResetError("reset"), 2, f"reset; {STAYS}"),
    (MemoryError("64 GiB"), 2, f"{MEMORY} (MemoryError: 64 GiB)"),
    (RuntimeError("you tried to allocate 9 bytes"), 2, f"{MEMORY} (RuntimeError: you tried to allocate 9 bytes)"),
    (RuntimeError("CUDA out of memory."), 2, f"{MEMORY} (RuntimeError: CUDA out of memory.)"),
    (ImportError("no", name="edfio"), 2,
     "expected the package edfio, found none; install it with: pip install '.[formats]'"),
    (missing("jinja2", "the report"), 2,
     "expected the package jinja2 for the report, found none; install it with: pip install '.[report]'"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "status", "said"), ENDS, ids=lambda each: type(each).__name__)
def test_what_happens_to_a_command_is_said_in_one_sentence(capsys, error, status, said):
    def body():
        raise error

    assert run_command("ecg do", body, STAYS) == status
    assert capsys.readouterr() == ("", f"ecg do: {said}\n")


FAULTS = [KeyError("a"), RuntimeError("shapes differ"), ImportError("no", name="ecg.nowhere"), ImportError()]


@pytest.mark.parametrize("error", [*FAULTS, ZeroDivisionError()], ids=repr)
def test_a_fault_of_the_program_keeps_its_traceback(error):
    def body():
        raise error

    with pytest.raises(type(error)):
        run_command("ecg do", body, STAYS)


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1), (2, 2)])
def test_a_command_ends_with_what_its_function_returns(returned, status):
    seen = []

    @command("do")
    @click.argument("word")
    def do(word):
        seen.append(word)
        return returned

    assert (do(["a"]), start(do, ["b"], "ecg do")) == (status, status)
    assert seen == ["a", "b"]


def test_a_command_is_named_as_it_is_called_and_says_what_stays(capsys):
    def stop():
        raise KeyboardInterrupt

    for name, shown in (("do", "ecg do"), ("do.py", "do.py")):
        assert Command(name, callback=stop)([]) == 130
        assert Command(name, STAYS, callback=stop)([]) == 130
        expected = f"{shown}: stopped; nothing was written\n{shown}: stopped; {STAYS}\n"
        assert capsys.readouterr().err == expected


def test_ctrl_c_while_the_words_are_read_and_words_without_sense(capsys):
    def abort(*_):
        raise click.Abort

    assert start(click.Command("do", params=[click.Argument(["a"], callback=abort)]), ["b"], "ecg do") == 130
    assert start(click.Command("do"), ["--what"], "ecg do") == 2
    assert capsys.readouterr().err.splitlines()[-1] == "Error: No such option '--what'."


def test_a_module_of_an_extra_is_imported_or_its_package_named():
    assert import_extra("json.decoder", "nothing").__name__ == "json.decoder"
    with pytest.raises(MissingPackageError) as found:
        import_extra("neurokit2.nowhere", "the benchmark")
    assert found.value.name == "neurokit2"
    assert str(found.value) == (
        "expected the package neurokit2 for the benchmark, found none; install it with: "
        "pip install --no-deps neurokit2==0.2.13 PyWavelets==1.9.0"
    )
    assert str(missing("onnx")) == "expected the package onnx, found none; install it with: pip install '.[onnx]'"
