"""The package's tables are those that were read against their sources.

Who changes a table reads it against its source first, then notes its digest here: `python tests/test_data_tables.py`.
"""

import csv
import hashlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT.parent / "shared" / "reference"
DIGESTS = {
    "ecg/decisions/data/clinical.csv": "52a7d26d132425b6",
    "ecg/decisions/data/ptb-xl.csv": "1b3f2c4b159b11cf",
    "ecg/interpretation/data/acute.csv": "02865f8ed36093a3",
    "ecg/interpretation/data/aha_statements.csv": "d031eedfc85545db",
    "ecg/interpretation/data/classes.csv": "63db25475a4bfb34",
    "ecg/interpretation/data/criteria.csv": "4874f7c623cdf6ab",
    "ecg/interpretation/data/exclusions.csv": "66ab0a6da6badfc3",
    "ecg/interpretation/data/lead_limits.csv": "40a260d2376139d6",
    "ecg/interpretation/data/policy.csv": "102e636c1ad56cba",
    "ecg/interpretation/data/sources.csv": "493093b59b9bea5d",
    "ecg/io/device_statements.csv": "3bb560af2f6d55ce",
    "ecg/io/measurement_names.csv": "0f8e30509302df79",
    "ecg/labels/challenge-2020.csv": "2470fb3dae6ec5d9",
    "ecg/labels/challenge-2021-weights.csv": "668cb04555a97e89",
    "ecg/labels/challenge-2021.csv": "73ec9c71f44cbbae",
    "ecg/labels/ptb-xl-superclasses.csv": "52eb972c44a6d50b",
    "ecg/labels/ptb-xl.csv": "82b59c0cf8cb1053",
    "ecg/report/reference_ranges.csv": "eace25d8d6f534a0",
    "ecg/report/unscored.csv": "81ec20381cc02c4a",
    "ecg/simulator/qrs_shapes.csv": "4699224f8b3075fc",
    "ecg/simulator/statements.csv": "e5bd454cceeda5e4",
    "weights.csv": "879908ab77ce7ea6",
}
SIZES = {
    "CPSC": 6877,
    "CPSC_Extra": 3453,
    "PTB_XL": 21837,
    "Georgia": 10344,
    "Chapman_Shaoxing": 10247,
    "Ningbo": 34905,
}
"""Recordings of each database (Perez Alday et al. 2020; Reyna et al. 2021)."""


def tables():
    found = [path for path in sorted((ROOT / "ecg").rglob("*.csv")) if "data/weights.csv" not in path.as_posix()]
    return {path.relative_to(ROOT).as_posix(): path for path in [*found, ROOT / "weights.csv"]}


def digest(path):
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()[:16]


def test_no_table_was_changed_without_a_look_at_its_source():
    assert {name: digest(path) for name, path in tables().items()} == DIGESTS


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference tables are not there")
@pytest.mark.parametrize("name", ["clinical", "ptb-xl"])
def test_prior_odds_are_the_published_counts(name):
    counts = {row["SNOMEDCTCode"]: row for row in rows_of(REFERENCE / "dx_mapping_scored_2021.csv")}
    classes = [row["code"].split("|") for row in rows_of(ROOT / "ecg" / "labels" / "challenge-2021.csv")]
    for row in rows_of(ROOT / "ecg" / "decisions" / "data" / f"{name}.csv"):
        codes = next(each for each in classes if row["code"] in each)
        for database in row.keys() & SIZES.keys():
            share = sum(int(counts[code][database]) for code in codes) / SIZES[database]
            assert float(row[database]) == pytest.approx(share, abs=6e-5), (row["code"], database)


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


if __name__ == "__main__":
    for each, place in tables().items():
        print(f'    "{each}": "{digest(place)}",')
