"""`ecg simulate`: simulated recordings."""

from __future__ import annotations

from pathlib import Path

import click

from ecg.commands import options
from ecg.runtime.command import command


@command("simulate", "recordings written so far are whole")
@click.argument("output", type=options.PATH)
@click.option("--records", type=click.IntRange(1), default=40, metavar="N", help="how many recordings")
@click.option("--seed", type=click.IntRange(0), default=1, help="a number that names this set of recordings")
@click.option("--diagnosis", help="an abbreviation such as AF, or a SNOMED CT code  [default: all in turn]")
@click.option("--fs", type=float, default=500, help="sampling frequency, 100 to 1000 Hz")
@click.option("--seconds", type=float, default=10, help="length, s")
@click.option("--dialect", type=click.Choice(["2020", "2021"]), default="2020", help="of the header")
@click.option("--plots", is_flag=True, help="also draw each recording as a PNG")
def main(
    output: Path, records: int, seed: int, diagnosis: str | None, fs: float, seconds: float, dialect: str, plots: bool
) -> int:
    """Write simulated, labelled 12-lead ECGs as Challenge files into the folder OUTPUT.

    \b
    example:
      ecg simulate recordings --records 40 --seed 7 --plots
    """
    from ecg.simulator.simulate import simulate_recording
    from ecg.simulator.write import write_recording

    if plots:
        from ecg.report.plotting import plot_recording, title_of
    for k in range(1, records + 1):
        simulated = simulate_recording(seed, k, diagnosis, fs, seconds)
        name = f"SIM{k:05d}"
        write_recording(output, name, simulated, dialect=dialect)
        if plots:
            plot_recording(simulated.signal, fs, output / f"{name}.png", title_of(name, simulated.labels))
    print(f"{records} recordings in {output}")
    return 0
