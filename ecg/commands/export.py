"""`ecg export`: a trained model as an ONNX file."""

from pathlib import Path

import click

from ecg.commands import options
from ecg.runtime.command import command


@command("export", "the file is written whole or not at all")
@options.model
@options.place("output")
@click.option(
    "--from-raw",
    type=float,
    metavar="HZ",
    help="put resampling from this sampling frequency and filters into the graph, which then takes raw mV",
)
@click.option("--member", type=int, metavar="K", help="only the K-th member, from 1 (default: all of them)")
@click.option("--compare", metavar="INPUT", help="also say how far the file is from PyTorch on these recordings")
def main(model: Path, output: Path, from_raw: float | None, member: int | None, compare: str | None) -> None:
    """Write a trained model as the ONNX file OUTPUT, for other languages, browsers and phones.

    The graph takes what the method's preprocessing returns or, with --from-raw, raw signals in mV. Inputs, outputs and
    metadata are in docs/onnx.md.

    \b
    examples:
      ecg export model.onnx --model model/distilled
      ecg export model.onnx --model model/distilled --from-raw 500
    """
    from ecg.inference.classifier import load_model
    from ecg.inference.onnx_compare import compare as compare_recordings
    from ecg.inference.onnx_export import export_onnx, only_member
    from ecg.io.files import write_file
    from ecg.io.inputs import expand_inputs

    recordings = [each.path for each in expand_inputs(compare)] if compare else []  # before the export, which is slow
    whole = load_model(model, device="cpu")
    loaded = whole if member is None else only_member(whole, member)
    data = export_onnx(loaded, from_raw)
    write_file(output, data)
    print(f"{output}: {len(loaded.networks)} of the model's members, {len(data) / 1e6:.1f} MB", flush=True)
    if recordings:
        print(compare_recordings(data, loaded, from_raw, recordings))
