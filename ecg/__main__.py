"""The command `ecg`, also `python -m ecg`."""

import importlib
from collections.abc import Sequence
from typing import NoReturn

import click

import ecg
from ecg.runtime.command import leave, start

SECTIONS = {
    "Recordings": ("measure", "classify", "interpret", "compare", "report", "convert", "simulate"),
    "Models": ("train", "adapt", "calibrate", "distill", "export", "card"),
    "Evaluation": ("score", "unsure", "validate", "benchmark"),
}


class _Sections(click.Group):
    """Subcommands under headings, each module loaded when its subcommand is used."""

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return importlib.import_module(f"ecg.commands.{name}").main if name in self.commands else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, names in SECTIONS.items():
            with formatter.section(section):
                commands = [self.get_command(ctx, name) for name in names]
                formatter.write_dl([(each.name or "", each.get_short_help_str(80)) for each in commands if each])


@click.group(
    cls=_Sections,
    commands=[click.Command(name) for names in SECTIONS.values() for name in names],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="COMMAND ...",
)
@click.version_option(ecg.__version__)
def _group() -> None:
    """12-lead ECGs: measure, classify, report, convert; train and evaluate models.

    INPUT is a file in any format, a folder, a pattern such as 'data/*.dcm', or a text file with one of these per line.
    """


def main(words: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns the exit status."""
    return start(_group, words, "ecg")


def run() -> NoReturn:
    """The entry point of an installed package."""
    leave(main())


if __name__ == "__main__":
    leave(main())
