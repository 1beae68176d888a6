"""Labels from tables: one's own in two forms, PTB-XL's, and faults of a table."""

from pathlib import Path

import pytest

from ecg.io.device_statements import StatementTable
from ecg.io.errors import RecordingError
from ecg.io.header import parse_header
from ecg.io.label_tables import load_labels, read_label_table

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"
KNOWN = {"NORM", "SR", "IMI", "164889003"}


def table(folder, text, **options):
    path = folder / "labels.csv"
    path.write_text(text)
    return read_label_table(path, KNOWN, **options)


def test_codes_are_joined_by_semicolons(tmp_path):
    found = table(tmp_path, "record,codes,fold,patient\nA1,NORM; SR,2,p\nA2,164889003.0,,\nA3,,0,\n")
    assert found.codes == {"A1": ("NORM", "SR"), "A2": ("164889003",), "A3": ()}
    assert (found.folds, found.patients) == ({"A1": 2}, {"A1": "p"})


def test_or_stand_in_a_column_each(tmp_path):
    found = table(tmp_path, "record,NORM,age,SR,OTHER\nA1,1,60,0,1\nA2,0,71,1.0,0\n")
    assert found.codes == {"A1": ("NORM", "OTHER"), "A2": ("SR",)}  # OTHER is counted as unknown, age is none


def test_ptb_xls_own_table_has_likelihoods_folds_and_patients(tmp_path):
    text = (
        "ecg_id,patient_id,scp_codes,report,strat_fold,filename_lr\n"
        "1,15709.0,\"{'NORM': 100.0, 'SR': 0.0}\",\"two\nlines\",3,records100/00000/00001_lr\n"
        "12,9.0,{'IMI': 35.0},,10,\n"
    )
    found = table(tmp_path, text)
    assert found.codes == {"1": ("NORM", "SR"), "12": ("IMI",)}
    assert (found.folds, found.patients) == ({"1": 3, "12": 10}, {"1": "15709.0", "12": "9.0"})
    assert {found.key(name) for name in ("HR00001", "00001_lr", "00001_hr", "1")} == {"1"}
    assert table(tmp_path, text, least_likelihood=50).codes == {"1": ("NORM",), "12": ()}
    assert table(tmp_path, text, least_likelihood=35).codes == {"1": ("NORM",), "12": ("IMI",)}
    assert table(tmp_path, text, least_likelihood=100).codes == {"1": ("NORM",), "12": ()}
    assert table(tmp_path, text).digest() != table(tmp_path, text, least_likelihood=50).digest()


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference tables are not there")
def test_the_reference_table_of_ptb_xl_is_read():
    found = load_labels(REFERENCE / "ptbxl_statements.csv", KNOWN)
    assert len(found.codes) == 5134 and set(found.folds.values()) == set(range(1, 10))
    assert found.codes["1"] == ("NORM", "LVOLT", "SR") and found.patients["1"] == "15709"


def test_a_table_of_statements_is_told_apart_by_its_columns(tmp_path):
    (tmp_path / "words.csv").write_text("statement,code\nNice,426783006\n")
    assert isinstance(load_labels(tmp_path / "words.csv", KNOWN), StatementTable)
    assert isinstance(load_labels("common", KNOWN), StatementTable)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,codes\nA,SR\n", "expected a column record .or ecg_id., and a column codes .* found the columns"),
        (
            "record,x,y\nA,1,0\n",
            "a column codes or one for each code, found the columns 'record,x,y'".replace(",x,y", ", x, y"),
        ),
        ("record,SR\nA,2\n", "expected 0 or 1 as SR of record A, found '2'"),
        ("record,codes\nA,SR\nA,SR\n", "expected a name for each record, and each once, found 'A twice'"),
        ("record,codes\n,SR\n", "and each once, found 'no name'"),
        ("record,codes\nA,SR:high\n", "expected codes of record A such as NORM:100;SR:0, found 'SR:high'"),
        ("ecg_id,scp_codes\n1,{'SR': 0\n", "expected codes of record 1"),
        ("record,codes\nA,SR:-1\n", "expected likelihoods of record A from 0 to 100, found 'SR:-1'"),
        ("ecg_id,scp_codes\n1,{'SR': 101}\n", "expected likelihoods of record 1 from 0 to 100"),
        ("record,codes\nA,SR:nan\n", "expected likelihoods of record A from 0 to 100, found 'SR:nan'"),
        ("record,codes,fold\nA,SR,one\n", "expected a fold of 0, 1, 2, ... for record A, found 'one'"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, text, message):
    with pytest.raises(RecordingError, match=message):
        table(tmp_path, text)


def test_a_table_must_fit_the_recordings(tmp_path):
    own = table(tmp_path, "record,codes\nA1,SR\nA2,SR\nA3,SR\n")
    assert own.check({"A1", "A2", "A3"}) == ""
    assert own.check({"A1", "A2", "A3", "B"}).endswith("has no row for 1 of 4 recordings: left out")
    with pytest.raises(
        RecordingError, match=r"labels\.csv: expected names of recordings that are there, found 1 .*'A3'"
    ):
        own.check({"A1", "A2"})
    with pytest.raises(RecordingError, match="expected names of recordings such as B1, found none of them"):
        own.check({"B1", "B2"})
    with pytest.raises(RecordingError, match=r"expected a row for each recording, found none for 3 of 6 .*'B1'"):
        own.check({"A1", "A2", "A3", "B1", "B2", "B3"})
    published = table(tmp_path, "ecg_id,scp_codes\n" + "".join(f"{k},{{'SR': 0}}\n" for k in range(1, 9)))
    assert published.check({"HR00001", "00002_lr"}) == ""  # a part of PTB-XL


def test_codes_of_a_header_may_end_in_point_zero():
    assert parse_header("A 1 500 10\nA.mat 16 1000/mV 16 0 0 0 0 I\n#Dx: 164889003.0,426783006\n").labels == (
        "164889003",
        "426783006",
    )


@pytest.mark.parametrize("start", ["record,codes\nA1,", "statement,code\n"])
def test_a_field_without_an_end_is_refused(tmp_path, start):
    (tmp_path / "labels.csv").write_text(start + "N" * 200_000 + ",426783006\n")
    with pytest.raises(RecordingError, match=r"labels\.csv: expected a CSV file, found field larger"):
        load_labels(tmp_path / "labels.csv", KNOWN)
