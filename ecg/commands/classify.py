"""`ecg classify`: labels and scores of recordings, what `driver.py` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecg.commands import options
from ecg.runtime.command import command
from ecg.runtime.shards import WHOLE, Shard

if TYPE_CHECKING:
    from ecg.model_folder.model import Model


@command("classify", "outputs written so far are whole, the same command with --resume classifies the rest")
@options.model
@options.recordings
@options.place("output")
@options.device
@options.workers
@options.resume
@options.deterministic
@options.flag(
    "--fast",
    help="classify by the network distilled from the model, in MODEL/distilled: it measures nothing and takes a "
    "fraction of the time (docs/performance.md)",
)
@options.definitions
@options.shard
@options.leads
@options.allow_failures
@click.pass_obj
def main(
    load: Callable[[Path, str], Model] | None,
    /,
    model: Path,
    recordings: tuple[str, ...],
    output: Path,
    device: str,
    workers: int | None,
    resume: bool,
    deterministic: bool,
    fast: bool,
    definitions: str | None,
    shard: Shard,
    leads: str | None,
    allow_failures: bool,
) -> int:
    """Classify 12-lead ECGs: labels and scores, one <record>.csv each in the folder OUTPUT.

    \b
    examples:
      ecg classify recordings outputs
      ecg classify --fast a.dcm b.xml outputs
      ecg classify recordings outputs --shard 3/16
      torchrun --nproc-per-node 8 -m ecg classify recordings outputs

    Exit status: 0 all recordings classified, 1 some could not be (their outputs have no positive label), 2 the command
    could not start or continue, 130 Ctrl-C.
    """
    from ecg.examination.examine_folder import CORES
    from ecg.inference.classifier import load_model
    from ecg.inference.run_folder import ClassifyOptions, Outcome, run_folder
    from ecg.leads import parse_leads
    from ecg.methods.reduced_leads import has_learned
    from ecg.runtime.device import pick_device
    from ecg.runtime.processes import joined, launched
    from ecg.runtime.progress import say

    wanted = parse_leads(leads) if leads else None
    if fast:
        model /= "distilled"
        if not model.is_dir():
            raise ValueError(f"--fast: expected a distilled model in {model}, found none; ecg distill makes one")
    processes = launched()
    if processes.count > 1:
        if shard != WHOLE:
            expected = "no shard under torchrun, which shares the recordings out itself"
            raise ValueError(f"--shard {shard}: expected {expected}")
        shard = Shard(processes.rank + 1, processes.count)
    with joined(pick_device(device)) as processes:
        loaded = load(model, device) if load else load_model(model, device=device)
        if wanted and not has_learned(loaded.method, wanted):
            say(f"The model was not trained for fewer leads: how good it is on {', '.join(wanted)} is not known")
        chosen = replace(loaded, definitions=definitions or loaded.definitions).on_leads(wanted)
        how = ClassifyOptions(workers or max(1, CORES // processes.local_count), resume, shard, deterministic)
        outcome = run_folder(chosen, recordings, output, how)
        # The launcher ends all processes when one ends with a status other than 0: each waits for the others' outcomes.
        outcomes = processes.gather(outcome)
    if not processes.is_first:
        return 0
    outcome = Outcome(
        sum(each.classified for each in outcomes),
        sum(each.classified_before for each in outcomes),
        [problem for each in outcomes for problem in each.problems],
    )
    before = f" ({outcome.classified_before} of them before)" if resume else ""
    classified = f"{outcome.classified_before + outcome.classified} recordings classified{before}"
    print(f"{classified}, {len(outcome.problems)} could not be; outputs in {output}")
    return 1 if outcome.problems and not allow_failures else 0
