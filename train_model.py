#!/usr/bin/env python
"""Train the entry on a folder of 12-lead ECG recordings.

Example:
  python train_model.py data model
  python train_model.py data model --epochs 12 --members 1
  python train_model.py hospital fitted --from model --epochs 3
  torchrun --nproc-per-node 8 train_model.py data model
"""

from __future__ import annotations

import argparse

from ecg.runtime.command import leave, run_command


def main() -> int:
    return run_command("train_model.py", _train, "the same command continues after the last finished epoch")


def _train() -> int:
    import team_code
    from ecg.io.label_tables import add_label_options

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data",
        help="folder of recordings (Challenge files, DICOM, SCP-ECG, ...), in it or in folders "
        "below it; an optional folds.csv (record, database, fold) keeps patients together",
    )
    parser.add_argument("model", help="folder the model is written to; a stopped training continues from there")
    parser.add_argument(
        "--method",
        metavar="NAME[:SETTING=VALUE,...]",
        help=f"which system to train, of {', '.join(team_code.METHODS)} (default: {team_code.DEFAULT_METHOD}, "
        "or that of the model to start from)",
    )
    parser.add_argument(
        "--from",
        dest="start",
        metavar="MODEL",
        help="go on from the weights of a trained model's networks rather than from random ones",
    )
    parser.add_argument(
        "--members",
        "--folds",  # its name up to version 0.2, which keeps working
        type=int,
        metavar="K",
        help="networks to train, each validated on another fold of the data (default: "
        "3 of 10 for hybrid, 2 of 10 for robust, as published 5 for zhao and 3 of 10 for butteam)",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="epochs of each network, one for each stage of training at least (default: 16 for hybrid and robust, "
        "as published for the others)",
    )
    parser.add_argument("--seed", type=int, default=2020, help="random seed (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:<number> (default: %(default)s)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that read recordings (default: all cores)")
    parser.add_argument("--limit", type=int, metavar="N", help="use only N recordings, to try things out")
    add_label_options(parser)
    parser.add_argument(
        "--leads",
        metavar="12|6|4|3|2|NAMES|any",
        help="leads that the model looks at and needs, by number as in the 2021 Challenge or by name (I,II,V2); any: "
        "all, but half of the training items lack those that smaller sets lack (default: all, whatever is there)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="fail instead of restarting if data or arguments changed",
    )
    parser.add_argument(
        "--spread-members",
        action="store_true",
        help="under torchrun: each process trains other members, rather than all of them one member after another",
    )
    arguments = parser.parse_args()
    team_code.training_code(
        arguments.data,
        arguments.model,
        method=arguments.method,
        members=arguments.members,
        epochs=arguments.epochs,
        seed=arguments.seed,
        device=arguments.device,
        workers=arguments.workers,
        limit=arguments.limit,
        diagnoses=arguments.diagnoses,
        labels=arguments.labels,
        least_likelihood=arguments.least_likelihood,
        leads=arguments.leads,
        resume=arguments.resume,
        spread_members=arguments.spread_members,
        start=arguments.start,
    )
    return 0


if __name__ == "__main__":
    leave(main())
