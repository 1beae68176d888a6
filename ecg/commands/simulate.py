"""`ecg simulate`: simulated recordings."""

from pathlib import Path
from typing import Any

import click

from ecg.commands.options import flag, number, place, resume, shard
from ecg.runtime.command import command
from ecg.runtime.shards import Shard


@command("simulate", "recordings written so far are whole, the same command with --resume writes the rest")
@place("output")
@number("--records", default=40, help="how many recordings")
@click.option("--from", "first", type=click.IntRange(1), default=1, metavar="K", help="number of the first one to make")
@click.option("--seed", type=click.IntRange(0), default=1, help="a number that names this set of recordings")
@click.option("--diagnosis", help="an abbreviation such as AF, or a SNOMED CT code  [default: all in turn]")
@click.option(
    "--diagnoses",
    type=click.Choice(["challenge", "statements"]),
    default="challenge",
    help="which ones take turns: the Challenge's, or findings beyond them (infarction, hypertrophy, block ...)",
)
@click.option("--fs", "sampling_frequency", type=float, default=500, help="sampling frequency, 100 to 1000 Hz")
@click.option("--seconds", type=float, default=10, help="length, s")
@click.option("--dialect", type=click.Choice(["2020", "2021"]), default="2020", help="of the header")
@flag("--plots", help="also draw each recording as a PNG")
@resume
@shard
def main(output: Path, records: int, first: int, plots: bool, resume: bool, shard: Shard, **recording: Any) -> int:
    """Write simulated, labelled 12-lead ECGs as Challenge files into the folder OUTPUT.

    Each recording depends on the seed and its own number alone: --from and --shard make a part.

    \b
    example:
      ecg simulate recordings --records 24 --seed 7
    """
    from ecg.report.plotting import plot_recording, title_of
    from ecg.runtime.progress import say
    from ecg.simulator.diagnoses import diagnosis_of
    from ecg.simulator.folder import Options, simulate_folder
    from ecg.simulator.simulate import Simulated, check

    if first > records:
        raise ValueError(f"--from {first}: expected a number up to --records {records}")
    options = Options(**recording)
    check(options.sampling_frequency, options.seconds)
    if options.diagnosis is not None:
        diagnosis_of(options.diagnosis)
    numbers = [k for k in range(first, records + 1) if shard.has(k - 1)]

    def draw(name: str, simulated: Simulated) -> None:
        title = title_of(name, simulated.labels)
        plot_recording(simulated.signal, options.sampling_frequency, output / f"{name}.png", title)

    outcome = simulate_folder(output, numbers, options, resume=resume, see=draw if plots else None)
    for problem in outcome.problems:
        say(f"ecg simulate: {problem}")
    kept = f", {outcome.kept} of them from an earlier run" if outcome.kept else ""
    print(f"{outcome.written + outcome.kept} recordings in {output}{kept}")
    return 1 if outcome.problems else 0
