"""Methods compared on the same splits: what `ecg validate` does."""

from collections.abc import Mapping, Sequence
from functools import partial

from ecg.io.files import write_file
from ecg.labels.diagnoses import Diagnoses
from ecg.leads import parse_leads
from ecg.methods.base import build_method
from ecg.methods.reduced_leads import on_leads, with_masked_leads
from ecg.methods.registry import find_methods
from ecg.studies import markdown_tables as tables
from ecg.studies.cross_validation import Options, Validation
from ecg.studies.predictions import Predictions


def compare_methods(
    labels: Sequence[str], diagnoses: Diagnoses, options: Options, disturbed: bool = False, leads: str | None = None
) -> None:
    """Validate methods, print the tables of all of them and write these to `table.md` of the output folder.

    `labels`: methods with settings where wanted (``butteam:width=12``); all there are if empty. `diagnoses`: that all
    of them tell apart. `disturbed`: also with recordings that have a fault. `leads`: the only leads that they use, see
    `ecg.leads.parse_leads`; "any": trained with masked leads, and tested on each set of leads.
    """
    builders = find_methods()
    fit = with_masked_leads if leads == "any" else partial(on_leads, leads=parse_leads(leads) if leads else None)
    methods = {label: fit(build_method(label, builders, diagnoses)) for label in labels or builders}
    runs = {label: Validation(label, method, builders, options) for label, method in methods.items()}
    results = {label: run.predictions() for label, run in runs.items()}
    shown = results
    if leads == "any":
        shown = {name: found for run in runs.values() for name, found in run.predictions_by_leads().items()}
    text = _format(shown, diagnoses)
    print(text, end="", flush=True)
    write_file(options.output / "table.md", text)
    if disturbed:
        found = {label: run.disturbed_predictions(results[label]) for label, run in runs.items()}
        more = "\n## Disturbed recordings\n\n" + tables.format_disturbed(found, diagnoses)
        print(more, end="")
        write_file(options.output / "table.md", text + more)


def _format(results: Mapping[str, Predictions], diagnoses: Diagnoses) -> str:
    sections = [tables.format_databases(results, diagnoses)]
    sections.append("## The least sure tenth left out\n\n" + tables.format_least_sure(results, diagnoses))
    if len(results) > 1:
        sections.append("## Differences\n\n" + tables.format_differences(results, diagnoses))
    for label, result in results.items():
        for part, names in tables.parts(results.values()).items():
            sections.append(f"## By class: {label}, {part}\n\n" + tables.format_classes(result, names, diagnoses))
    return "\n".join(sections)
