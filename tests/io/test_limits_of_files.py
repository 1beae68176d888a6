"""How much a file may hold: what is as large as a limit is read, what is larger is refused."""

import importlib
import json
from xml.etree import ElementTree

import numpy as np
import pytest
from test_ishne import ishne
from test_scp_ecg import BEATS, signal

import scp_writer
from ecg.io.device_statements import StatementTable
from ecg.io.errors import RecordingError
from ecg.io.formats import read_any
from ecg.io.inputs import expand_inputs
from ecg.io.label_tables import read_label_table
from ecg.io.readers import dicom
from format_files import STORED, dicom_file, dicom_group, integers, muse_xml, philips_xml
from more_format_files import FILES, SAMPLES

LEADS = signal()
REFERENCE = {lead: np.arange(500) % 7 for lead in LEADS}
KARDIA, MFER = FILES["AliveCor Kardia JSON"], FILES["MFER"]
MUSE = muse_xml(integers(200, leads=STORED), encoding="utf-8")
PHILIPS = philips_xml(SAMPLES, compression="Uncompressed")
PACKED = scp_writer.Recording(LEADS, beats=BEATS, reference=REFERENCE, fiducial=250, factor=4).to_bytes()
SWITCHING = scp_writer.Recording(LEADS, tables=scp_writer.SWITCHING).to_bytes()
CSV = b"I (mV),II (mV)\n" + b"0.25,1.5\n" * 500
ARRAYS = dict.fromkeys(("I", "II"), np.zeros(600))


def n_levels(element):
    return 1 + max(map(n_levels, element), default=0)


ROOT = ElementTree.fromstring(MUSE)
# The module and its limit, how much of it the file has, and the file.
LIMITS = {
    "bytes of MFER": ("readers.mfer", "_LARGEST_FILE", len(MFER), "a.mwf", MFER),
    "channels of MFER": ("readers.mfer", "_MOST_CHANNELS", 12, "a.mwf", MFER),
    "bytes of Kardia": ("readers.kardia", "_LARGEST_FILE", len(KARDIA), "a.json", KARDIA),
    "bytes of SCP-ECG": ("readers.scp_ecg", "_LONGEST_FILE", len(PACKED), "a.scp", PACKED),
    "leads of SCP-ECG": ("readers.scp_ecg", "_MOST_LEADS", 12, "a.scp", PACKED),
    "beats of SCP-ECG": ("readers.scp_ecg", "_MOST_BEATS", len(BEATS), "a.scp", PACKED),
    "factor of SCP-ECG": ("readers.scp_ecg", "_HIGHEST_FACTOR", 4, "a.scp", PACKED),
    "samples of a lead of SCP-ECG": ("readers.scp_ecg", "_LONGEST_LEAD", 1000, "a.scp", PACKED),
    "samples of SCP-ECG": ("readers.scp_ecg", "_MOST_SAMPLES", 12000, "a.scp", PACKED),
    "tables of SCP-ECG": ("readers.scp_ecg", "_MOST_TABLES", 2, "a.scp", SWITCHING),
    "bytes of a CSV file": ("readers.tables", "_LARGEST_CSV", len(CSV), "a.csv", CSV),
    "samples of MUSE": ("readers.muse", "_MOST_SAMPLES", 1000, "a.xml", MUSE),
    "seconds of Philips": ("readers.philips", "_LONGEST", 2, "a.xml", PHILIPS),
    "leads of Philips": ("readers.philips", "_MOST_LEADS", 12, "a.xml", PHILIPS),
    "block of ISHNE": ("readers.ishne", "_LONGEST_VARIABLE", 5, "a.ecg", ishne(block=b"notes")),
    "bytes of XML": ("readers.xml_files", "LARGEST_FILE", len(MUSE), "a.xml", MUSE),
    "elements of XML": ("readers.xml_files", "MOST_ELEMENTS", len(list(ROOT.iter())), "a.xml", MUSE),
    "levels of XML": ("readers.xml_files", "DEEPEST", n_levels(ROOT), "a.xml", MUSE),
}


@pytest.fixture
def at_limit(monkeypatch):
    def at_limit(module, name, amount, read):
        for limit in (amount, amount - 1):
            monkeypatch.setattr(importlib.import_module(f"ecg.io.{module}"), name, limit)
            if limit == amount:
                found = read()
            else:
                with pytest.raises(RecordingError) as caught:
                    read()
        return found, str(caught.value)

    return at_limit


@pytest.mark.parametrize("what", LIMITS)
def test_a_file_may_hold_as_much_as_the_limit_and_no_more(tmp_path, at_limit, what):
    module, limit, amount, name, data = LIMITS[what]
    (tmp_path / name).write_bytes(data)
    if name == "a.csv":
        (tmp_path / "a.json").write_text('{"sampling_frequency": 500}')
    stored, message = at_limit(module, limit, amount, lambda: read_any(tmp_path / name))
    assert len(stored.samples) == len(stored.header.leads) > 0
    assert f"{name}: " in message


@pytest.mark.parametrize("syntax", [dicom.EXPLICIT, dicom.DEFLATED])
def test_a_dicom_file_may_have_as_many_bytes_as_the_limit_also_when_inflated(tmp_path, at_limit, syntax):
    path = dicom_file(tmp_path / "a.dcm", dicom_group(SAMPLES), syntax=syntax)
    amount = path.stat().st_size
    if syntax == dicom.DEFLATED:
        data = path.read_bytes()
        amount = len(dicom._inflated(data[dicom._transfer_syntax(data, path)[1] :], path))
        assert amount > len(data)
    stored, message = at_limit("readers.dicom", "LARGEST_FILE", amount, lambda: read_any(path))
    assert np.array_equal(stored.samples, SAMPLES)
    assert message.endswith(
        "at most 0 MiB, found more" if syntax == dicom.EXPLICIT else "MiB when inflated, found more"
    )


def test_the_values_of_all_arrays_of_an_npz_file_count_together(tmp_path, at_limit):
    np.savez(tmp_path / "a.npz", **ARRAYS)
    (tmp_path / "a.json").write_text('{"sampling_frequency": 500, "unit": "mV"}')
    stored, message = at_limit("readers.tables", "_MOST_IN_NPZ", 1200, lambda: read_any(tmp_path / "a.npz"))
    assert stored.header.leads == ("I", "II") and message.endswith("expected at most 599 values, found 600")


def test_the_values_of_a_parquet_file_are_counted(tmp_path, at_limit):
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame(ARRAYS).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.json").write_text('{"sampling_frequency": 500, "unit": "mV"}')
    stored, message = at_limit("readers.tables", "_MOST_IN_PARQUET", 1200, lambda: read_any(tmp_path / "a.parquet"))
    assert stored.header.leads == ("I", "II") and "expected at most 1199 values, found 1200 in " in message


def test_a_sidecar_may_have_as_many_bytes_as_the_limit(tmp_path, at_limit):
    text = json.dumps({"sampling_frequency": 500})
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "a.json").write_text(text)
    stored, message = at_limit("readers.tables", "_LARGEST_SIDECAR", len(text), lambda: read_any(tmp_path / "a.csv"))
    assert stored.header.sampling_frequency == 500
    assert message.endswith(f"a.json: expected a JSON object of at most {len(text) - 1} bytes, found something else")


def digest_of(path):
    table = StatementTable()
    table.add(path)
    return table.digest()


def test_lists_and_tables_may_have_as_many_bytes_as_the_limit(tmp_path, at_limit):
    (tmp_path / "a.mwf").write_bytes(MFER)
    for name, module, limit, data, read in (
        ("list.txt", "inputs", "_LONGEST_LIST", "a.mwf\n", lambda path: list(expand_inputs([path]))),
        ("labels.csv", "label_tables", "_LONGEST", "record,codes\na,1\n", lambda path: read_label_table(path, ["1"])),
        ("words.csv", "device_statements", "_LONGEST", "statement,code\nx,426783006\n", digest_of),
    ):
        path = tmp_path / name
        path.write_text(data)
        found, message = at_limit(module, limit, len(data), lambda path=path, read=read: read(str(path)))
        assert found and message.endswith(f"{name}: expected a text of at most {len(data) - 1} bytes, found more")
