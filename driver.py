#!/usr/bin/env python
"""Judge a folder of 12-lead ECG recordings with a trained model: one <record>.csv each.

example:
  python driver.py model input output
  python driver.py model input output --resume
  python driver.py model input output --shard 3/16
  torchrun --nproc-per-node 8 driver.py model input output

exit status: 0 all recordings judged, 1 some could not be (their outputs have no positive label), 2 it could not
begin or not go on, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ecg.runtime.command import leave, run_command


def main() -> int:
    return run_command(
        "driver.py", _drive, "outputs written so far are whole, the same command with --resume judges the rest"
    )


def _drive() -> int:
    from dataclasses import replace

    import team_code
    from ecg.decisions.conventions import CONVENTIONS
    from ecg.inference.run_folder import READERS, Outcome, run_folder
    from ecg.leads import parse_leads
    from ecg.runtime.device import pick_device
    from ecg.runtime.processes import joined, launched
    from ecg.runtime.shards import WHOLE, Shard, add_shard_option, parse_shard

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder of a trained model")
    parser.add_argument(
        "input",
        help="folder of recordings (Challenge files, DICOM, SCP-ECG, XML, EDF ...), in it or below it",
    )
    parser.add_argument("output", help="folder the outputs are written to")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:<number> (default: %(default)s)")
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        default=max(1, READERS // launched().local_count),
        help="threads that read recordings while the network runs (default: half the cores)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="keep what an earlier run with the same model has finished, judge the rest",
    )
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="compute in float32, window by window: what a recording gets does not depend on the "
        "others in the folder, but it takes longer",
    )
    parser.add_argument(
        "--leads",
        metavar="12|6|4|3|2|NAMES",
        help="look at these leads alone, by number as in the 2021 Challenge or by name (I,II,V2); a recording that "
        "lacks one is not classified (default: those that the model was trained for)",
    )
    parser.add_argument(
        "--definitions",
        choices=[*CONVENTIONS],
        help="the convention of the labels: "
        + "; ".join(f"{name}: {words}" for name, words in CONVENTIONS.items())
        + " (default: the model's own)",
    )
    add_shard_option(parser)
    parser.add_argument(
        "--allow-failures", action="store_true", help="exit with 0 even if some recordings could not be judged"
    )
    arguments = parser.parse_args()
    if arguments.workers < 1:
        raise ValueError(f"--workers {arguments.workers}: expected a whole number from 1 up")
    shard, processes = parse_shard(arguments.shard), launched()
    if processes.count > 1:
        if shard != WHOLE:
            raise ValueError(
                f"--shard {shard}: expected no shard under torchrun, which shares the recordings out itself"
            )
        shard = Shard(processes.rank + 1, processes.count)
    leads = None if arguments.leads is None else parse_leads(arguments.leads)
    with joined(pick_device(arguments.device)) as processes:
        model = team_code.load_model(arguments.model, device=arguments.device)
        outcome = run_folder(
            replace(model, definitions=arguments.definitions or model.definitions).on_leads(leads),
            Path(arguments.input),
            Path(arguments.output),
            workers=arguments.workers,
            resume=arguments.resume,
            deterministic=arguments.deterministic,
            shard=shard,
        )
        # The launcher ends all processes when one ends with a status other than 0: each waits for the others' outcomes.
        outcomes = processes.gather(outcome)
    if not processes.is_first:
        return 0
    outcome = Outcome(
        sum(each.judged for each in outcomes),
        sum(each.judged_before for each in outcomes),
        [problem for each in outcomes for problem in each.problems],
    )
    before = f" ({outcome.judged_before} of them before)" if arguments.resume else ""
    print(
        f"{outcome.judged_before + outcome.judged} recordings judged{before}, {len(outcome.problems)} could not be; "
        f"outputs in {arguments.output}"
    )
    return 1 if outcome.problems and not arguments.allow_failures else 0


if __name__ == "__main__":
    leave(main())
