"""Headers as text and recordings as files, simply written: what the tests of reading them share."""

import numpy as np
import pytest
import wfdb
from hypothesis import strategies as st
from scipy.io import savemat

import helper_code
from helper_code import LEADS

NAMES = st.from_regex(r"[A-Z]{1,2}[0-9]{4,5}", fullmatch=True)


def signal_lines(gain="1000/mV", leads=LEADS, name="A0001.mat", format_="16+24", zero="0"):
    return [f"{name} {format_} {gain} 16 {zero} -3 17 0 {lead}" for lead in leads]


def header_text(record_line="A0001 12 500 5000", comments=("#Age: 74", "#Sex: Male", "#Dx: 59118001"), **signals):
    return "\n".join([record_line, *signal_lines(**signals), *comments]) + "\n"


def write_recording(folder, raw, stem="A0001", **signals):
    """A header and a level 4 MATLAB file; raw int16 (n_signals, n_samples)."""
    leads = signals.get("leads", LEADS)
    record_line = f"{stem} {len(leads)} 500 {raw.shape[1]}"
    (folder / f"{stem}.hea").write_text(header_text(record_line, name=f"{stem}.mat", **signals))
    savemat(folder / f"{stem}.mat", {"val": raw}, format="4")
    return folder / f"{stem}.hea"


def random_signals(n_signals=12, n_samples=600, seed=0):
    return np.random.default_rng(seed).integers(-2000, 2000, (n_signals, n_samples)).astype(np.int16)


def wfdb_header(path):
    """What wfdb makes of a header, None where it refuses it."""
    try:
        return wfdb.rdheader(str(path.with_suffix("")))
    except (ValueError, TypeError, IndexError):
        return None


def assert_agrees_with_wfdb(path, theirs):
    ours = helper_code.read_header(path)
    in_millivolts = [{"mv": 1, "uv": 1e-3, "v": 1e3}[unit.lower()] for unit in theirs.units]
    assert ours.leads == tuple(theirs.sig_name)
    assert (ours.sampling_frequency, ours.n_samples) == (theirs.fs, theirs.sig_len)
    assert ours.adc_gains == pytest.approx([gain / mv for gain, mv in zip(theirs.adc_gain, in_millivolts, strict=True)])
    assert ours.baselines == tuple(theirs.baseline)
    assert ours.file_names == tuple(theirs.file_name)
