"""Writes a trained model as an ONNX file, for runtimes in other languages, browsers and phones.

    ecg export model model.onnx
    ecg export model model.onnx --from-raw 500

The first takes what the method's preprocessing returns, the second raw signals in mV at 500 Hz. What goes in, what
comes out and what the file says of itself is in docs/onnx.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ecg.runtime.command import leave, run_command


def main(words: Sequence[str] | None = None) -> int:
    return run_command("ecg export", lambda: _export(words), "the file is written whole or not at all")


def _export(words: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="ecg export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="folder of a trained model")
    parser.add_argument("output", type=Path, help="the ONNX file to write")
    parser.add_argument(
        "--from-raw",
        type=float,
        metavar="HZ",
        help="put resampling from this sampling frequency and filters into the graph, which then takes raw mV",
    )
    parser.add_argument("--member", type=int, metavar="K", help="only the K-th member, from 1 (default: all of them)")
    parser.add_argument(
        "--compare", type=Path, metavar="DATA", help="also say how far the file is from PyTorch on these recordings"
    )
    arguments = parser.parse_args(words)

    import torch

    from ecg.inference.onnx_compare import compare
    from ecg.inference.onnx_export import export_onnx, only_member
    from ecg.io.files import write_file
    from ecg.io.formats import find_recordings
    from ecg.methods.registry import find_methods
    from ecg.model_folder.folder import load_model

    recordings = []
    if arguments.compare is not None:  # before the export, which takes longer
        if not arguments.compare.is_dir():
            raise ValueError(f"{arguments.compare}: expected a folder of recordings, found no folder")
        recordings = list(find_recordings(arguments.compare))
        if not recordings:
            raise ValueError(f"{arguments.compare}: expected recordings, found none")
    model = load_model(arguments.model, find_methods(), torch.device("cpu"))
    if arguments.member is not None:
        model = only_member(model, arguments.member)
    data = export_onnx(model, arguments.from_raw)
    write_file(arguments.output, data)
    print(f"{arguments.output}: {len(model.networks)} of the model's members, {len(data) / 1e6:.1f} MB", flush=True)
    if recordings:
        print(compare(data, model, arguments.from_raw, recordings))
    return 0


if __name__ == "__main__":
    leave(main())
