"""Every format by its content; hostile XML; which files of a folder are recordings."""

import base64
import os
import re
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import helper_code
from ecg.io.errors import RecordingError
from ecg.io.formats import FORMATS, SUFFIXES, find_recordings, format_of, read_any, read_challenge
from ecg.io.readers.aecg import read_aecg
from ecg.io.readers.dicom import read_dicom
from ecg.io.readers.xml_files import DEEPEST, LARGEST_FILE, MOST_ELEMENTS, read_xml, root_name
from ecg.io.writers.exports import write_challenge
from ecg.runtime import extras
from format_files import (
    FORMATS_FOLDER,
    aecg_xml,
    dicom_file,
    dicom_group,
    integers,
    little_memory,
    millivolts,
    muse_xml,
    philips_xml,
)
from tiny import heart_like, write_recording

SMALL = integers(400, 1, 100)
BUILD = {
    "DICOM": lambda path: dicom_file(path, dicom_group(SMALL, fs=100)),
    "GE MUSE XML": lambda path: path.write_bytes(muse_xml(SMALL[[0, 1, *range(6, 12)]], fs=100)),
    "Philips SierraECG XML": lambda path: path.write_bytes(philips_xml(SMALL, fs=100)),
    "HL7 aECG": lambda path: path.write_bytes(aecg_xml(SMALL, increment=("0.01", "s"))),
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    for name, build in BUILD.items():
        build(folder / name)
    return {name: (folder / name).read_bytes() for name in BUILD}


@pytest.mark.parametrize("name", BUILD)
@pytest.mark.parametrize("suffix", [".xml", ".dcm", ".bin", ""])
def test_the_content_tells_the_format_whatever_the_suffix(tmp_path, originals, name, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(originals[name])
    assert format_of(path).name == name
    assert read_any(path).header.recording_id == "a"


@pytest.mark.parametrize("name", BUILD)
def test_no_format_takes_the_file_of_another(originals, name):
    assert [one.name for one in FORMATS if one.is_it(originals[name][:4096])] == [name]
    assert not [one.name for one in FORMATS if one.is_it(originals[name][1:4097]) and one.name == "DICOM"]


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"Zwiebelmann, Quirina", b"<html></html>", b"<!-- RestingECG -->", bytes(5000)]
)
def test_unknown_content_is_refused_and_not_shown(tmp_path, content):
    (tmp_path / "a.xml").write_bytes(content)
    with pytest.raises(
        RecordingError,
        match=r"a.xml: expected an ECG \(DICOM, .*\), found (another content|an empty file|XML .*)$",
    ):
        read_any(tmp_path / "a.xml")


def test_a_missing_package_is_named_with_the_way_to_get_it(tmp_path, originals, monkeypatch):
    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr(extras.importlib, "import_module", refuse)
    for name, package in (("DICOM", "pydicom"), ("GE MUSE XML", "defusedxml")):
        (tmp_path / "a").write_bytes(originals[name])
        with pytest.raises(
            RecordingError,
            match=rf"package {package} for .*, found none; install it with: pip install '\.\[formats\]'",
        ):
            read_any(tmp_path / "a")


# ---- folders ---------------------------------------------------------------------------------------------------------


def names_in(folder):
    return [path.removeprefix(f"{folder}/") for path in find_recordings(folder)]


def test_recordings_of_a_folder(tmp_path, originals):
    write_recording(tmp_path, "c", heart_like(2))
    (tmp_path / "only.mat").write_bytes(b"")
    for name in ("b.xml", "B.dcm", "sub/a.XML", "sub/IM0001", "sub/.hidden.xml", ".hidden/a.xml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(originals["DICOM"])
    for name in ("README", "notes.txt", "c.pdf"):
        (tmp_path / name).write_bytes(b"text")
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    assert names_in(tmp_path) == ["B.dcm", "b.xml", "c.hea", "only.hea", "sub/IM0001", "sub/a.XML"]


def test_a_challenge_header_goes_before_others_of_its_name(tmp_path, originals):
    write_recording(tmp_path, "a", heart_like(2))
    (tmp_path / "a.dcm").write_bytes(originals["DICOM"])
    assert names_in(tmp_path) == ["a.hea"]


def test_two_files_that_would_give_one_record_are_refused_by_name(tmp_path, originals):
    (tmp_path / "a.dcm").write_bytes(originals["DICOM"])
    (tmp_path / "a.xml").write_bytes(originals["HL7 aECG"])
    assert names_in(tmp_path) == ["a.dcm"]
    for one, other in (("a.dcm", "a.xml"), ("a.xml", "a.dcm")):
        with pytest.raises(
            RecordingError, match=f"{one}: expected one recording named a in its folder, found {other} beside it"
        ):
            read_any(tmp_path / one)


def test_suffixes_are_lower_case_with_a_dot():
    assert all(re.fullmatch(r"\.[a-z0-9]+", suffix) for suffix in SUFFIXES)


def test_challenge_files_give_their_integers_and_what_a_conversion_wrote(tmp_path):
    signal = heart_like(2)
    signal[3] = np.nan
    signal[4, 10:20] = np.nan
    header_file = write_recording(tmp_path, "a", signal)
    header_file.write_text(header_file.read_text() + "#Measurement: pr_ms 138\n#Statement: Sinus rhythm\n")
    stored = read_challenge(header_file)
    assert np.array_equal(millivolts(stored), helper_code.read_recording(header_file)[1], equal_nan=True)
    assert stored.samples.dtype == np.int16 and (stored.samples[3] == -32768).all()
    assert (dict(stored.device.measurements), stored.device.statements) == ({"pr_ms": 138.0}, ("Sinus rhythm",))
    assert stored.header.labels == ("426783006",)


# ---- one ECG in three formats ----------------------------------------------------------------------------------------


def test_three_formats_of_one_ecg_give_the_same_array():
    if not FORMATS_FOLDER.exists():
        pytest.skip("without the real files")
    signals = [
        millivolts(read_any(FORMATS_FOLDER / name))
        for name in ("aecg-example.xml", "dicom-example.dcm", "scp-example.scp")
    ]
    assert signals[0].shape == (12, 5000)
    assert np.array_equal(signals[0], signals[1]) and np.array_equal(signals[0], signals[2])


def test_the_readers_can_be_called_at_once_in_threads(tmp_path, originals):
    from concurrent.futures import ThreadPoolExecutor

    (tmp_path / "a").write_bytes(originals["DICOM"])
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: millivolts(read_dicom(tmp_path / "a")), range(40)))
    assert all(np.array_equal(one, found[0]) for one in found)


# ---- hostile XML -----------------------------------------------------------------------------------------------------

ENTITIES = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "lol"}">' for i in range(10))
XML = '<?xml version="1.0" encoding="UTF-8"?>'
LONG = "a" * 100_000
ATTRIBUTES = " ".join(f"a{i}=''" for i in range(1_200_000))
HOSTILE = {
    "billion laughs": f"{XML}<!DOCTYPE RestingECG [{ENTITIES}]><RestingECG>&e9;</RestingECG>",
    "quadratic blowup": f'{XML}<!DOCTYPE RestingECG [<!ENTITY a "{LONG}">]><RestingECG>{"&a;" * 50_000}</RestingECG>',
    "external entity": f'{XML}<!DOCTYPE RestingECG [<!ENTITY x SYSTEM "file://PLACE">]><RestingECG>&x;</RestingECG>',
    "external parameter entity": f'{XML}<!DOCTYPE RestingECG [<!ENTITY % x SYSTEM "file://PLACE">%x;]><RestingECG/>',
    "over the network": f'{XML}<!DOCTYPE RestingECG [<!ENTITY x SYSTEM "http://127.0.0.1:9/x">]><RestingECG>&x;</RestingECG>',
    "entity of the fetched kind": f'{XML}<!DOCTYPE RestingECG SYSTEM "file://PLACE"><RestingECG>&x;</RestingECG>',
    "endless nesting": f"{XML}<RestingECG>{'<a>' * 3_000_000}",
    "millions of elements": f"{XML}<RestingECG>{'<a/>' * 3_000_000}</RestingECG>",
    "millions of attributes": f"{XML}<RestingECG {ATTRIBUTES}/>",
    "more than the largest file": f"{XML}<RestingECG>{'a' * LARGEST_FILE}</RestingECG>",
    "a comment without end": f"{XML}<RestingECG/><!--{'a' * 10_000_000}",
    "unknown encoding": '<?xml version="1.0" encoding="klingon"?><RestingECG/>',
    "an encoding that is none": '<?xml version="1.0" encoding="zlib"?><RestingECG/>',
    "no end": f"{XML}<RestingECG><Waveform>",
    "two roots": f"{XML}<RestingECG/><RestingECG/>",
    "an undeclared prefix": f"{XML}<x:RestingECG/>",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_xml_is_refused_in_little_memory_and_shows_nothing(tmp_path, name):
    secret = tmp_path / "secret.txt"
    secret.write_text("Geheimnis")
    (tmp_path / "a.xml").write_text(HOSTILE[name].replace("PLACE", str(secret)))
    with little_memory(), pytest.raises(RecordingError, match=r"a.xml: expected .*, found") as caught:
        read_xml(tmp_path / "a.xml")
    assert "Geheimnis" not in str(caught.value) and len(str(caught.value)) < 400


def test_the_bounds_themselves_are_allowed(tmp_path):
    def read(depth, n_children):
        (tmp_path / "a.xml").write_text("<a>" * depth + "<b/>" * n_children + "</a>" * depth)
        return sum(1 for _ in read_xml(tmp_path / "a.xml").iter())

    assert read(DEEPEST, 0) == DEEPEST
    assert read(1, MOST_ELEMENTS - 1) == MOST_ELEMENTS
    with pytest.raises(RecordingError, match=f"at most {DEEPEST} levels of elements"):
        read(DEEPEST + 1, 0)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<a/>", "a"),
        ("\ufeff<?xml version='1.0'?>\n<!-- <b> -->\n<!DOCTYPE a [<!ENTITY c '<d>'>]>\n<n:a x='1'>", "a"),
        ("text <a>", ""),
        ("<!-- <a>", ""),
        ("", ""),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_the_root_is_found_in_the_first_bytes(text, name, encoding):
    assert root_name(text.encode(encoding)) == name


def test_a_declaration_nested_without_end_does_no_harm(tmp_path):
    (tmp_path / "a.xml").write_text(f"{XML}<!DOCTYPE a [<!ELEMENT a {'(' * 100_000}a{')' * 100_000}>]><a/>")
    assert read_xml(tmp_path / "a.xml").tag == "a"


@pytest.mark.parametrize("tag", ["StmtText", "WaveFormData", "PatientLastName", "LeadID"])
def test_words_without_end_take_little_memory(tmp_path, originals, tag):
    text = originals["GE MUSE XML"].decode("latin-1")
    place = text.rindex(f"<{tag}>") + len(tag) + 2
    (tmp_path / "a.xml").write_text(text[:place] + "AB " * 5_000_000 + text[place:])
    with little_memory():
        try:
            read_any(tmp_path / "a.xml")
        except RecordingError as error:
            assert len(str(error)) < 500


def test_digits_without_end_take_little_memory(tmp_path):
    text = aecg_xml(SMALL, increment=("0.01", "s")).decode()
    start, end = text.index("<digits>") + 8, text.index("</digits>")
    (tmp_path / "a.xml").write_text(text[:start] + "12 " * 5_000_000 + text[end:])
    with little_memory(), pytest.raises(RecordingError, match="at most 180000 samples a lead"):
        read_aecg(tmp_path / "a.xml")


# ---- damage to values, where the XML stays whole ---------------------------------------------------------------------

VALUES = st.one_of(
    st.sampled_from(
        ["", "0", "-1", "1e300", "-1e-300", "nan", "inf", "99999999999999999999", "0x10", "1_0", "I", "V1", "µ", "AAAA"]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='<>&"'), max_size=40),
    st.integers(-(2**40), 2**40).map(str),
    st.binary(max_size=60).map(lambda data: base64.b64encode(data).decode()),
    st.lists(st.integers(-(2**33), 2**33), max_size=300).map(lambda numbers: " ".join(map(str, numbers))),
)


@pytest.mark.parametrize("name", [name for name in BUILD if name != "DICOM"])
@given(changes=st.lists(st.tuples(st.integers(0, 2000), VALUES), min_size=1, max_size=3))
@settings(max_examples=int(os.environ.get("FUZZ_CASES", "30")), deadline=None, derandomize=True, database=None)
def test_any_value_may_be_anything(tmp_path_factory, originals, name, changes):
    text = originals[name].decode("utf-16" if name.startswith("Philips") else "latin-1")
    for number, value in changes:
        places = [match.span(1) for match in re.finditer(r'(?<=[>"])([^<>"=]+)(?=[<"])', text) if match[1].strip()]
        start, end = places[number % len(places)]
        text = text[:start] + value + text[end:]
    path = tmp_path_factory.mktemp("values") / "a"
    path.write_bytes(re.sub(r'encoding="[^"]*"', 'encoding="utf-8"', text, count=1).encode())
    try:
        stored = next(one.read for one in FORMATS if one.name == name)(path)
        signal = millivolts(stored)
    except RecordingError as error:
        assert re.search(r"a: expected .*, found ", str(error), re.DOTALL), error
    else:
        assert signal.shape == (12, stored.header.n_samples) and not np.isinf(signal).any()
        assert all(np.isfinite(value) for value in stored.device.measurements.values())
        write_challenge(path.parent, stored, list(stored.device.statements))
        assert np.array_equal(helper_code.to_millivolts(*reversed(load(path.parent / "a.hea"))), signal, equal_nan=True)
    shutil.rmtree(path.parent)


def load(header_file):
    text = header_file.read_text()
    return helper_code.parse_header(text), helper_code.load_recording(header_file.with_suffix(".mat"), text)
