"""`ecg score`: the Challenge's score of a folder of outputs, what `evaluate_model.py` does."""

import click

from ecg.commands import options
from ecg.runtime.command import command


@command("score")
@click.argument("labels")
@click.argument("outputs")
@click.argument("scores", required=False)
@click.argument("class_scores", required=False)
@options.diagnoses
@options.flag("--classes", help="print a table of all classes")
def main(
    labels: str, outputs: str, scores: str | None, class_scores: str | None, diagnoses: str | None, classes: bool
) -> None:
    """Score outputs with the measures of the PhysioNet/CinC Challenges.

    LABELS is a folder of header files (.hea) with the diagnoses, or a table (.csv) of records and their codes. OUTPUTS
    is a folder with one <record>.csv for each. The scores are printed, or written to the file SCORES; CLASS_SCORES is a
    file for the AUROC, AUPRC and F-measure of each class.

    \b
    example:
      ecg score training_data outputs scores.csv class_scores.csv
    """
    from ecg.io.files import write_file
    from ecg.labels.diagnoses import DEFAULT, load_diagnoses
    from ecg.scoring import score_folder

    wanted = load_diagnoses(diagnoses or DEFAULT)
    for file in filter(None, (scores, class_scores)):
        score_folder.check_place(file)
    found = score_folder.evaluate_model(labels, outputs, wanted)
    if scores is None:
        print(score_folder.format_scores(found))
    else:
        write_file(scores, score_folder.format_scores(found))
    if class_scores is not None:
        write_file(class_scores, score_folder.format_class_scores(found))
    if classes:
        print(score_folder.format_class_table(found, wanted))
