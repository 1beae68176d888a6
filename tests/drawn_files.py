"""Files of every format with fields drawn at random; here tables and the Challenge's files."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import scipy.io

from drawing import Draw
from drawn_binary_files import dicom, edf, ishne, mfer, philips, scp
from drawn_xml_files import aecg, cardiosoft, kardia, mortara, muse, schiller


def table(draw: Draw) -> dict[str, bytes]:
    names = draw.of(("I", "II", "V1"), ("DI", "ECG aVF"), ("II", "Resp", "V6"), None, rare=(("Resp",),))
    n_leads = len(names or "II")
    rows = draw.integers(n_leads, draw.of(150, 130, rare=(99,)))
    n = rows.shape[1]
    rows = rows / draw.of(1, 1, 8, 1000, 8000, 80_000)
    rows = rows.astype(int) if (rows == np.rint(rows)).all() else rows
    unit = draw.of("mV", "uV", "V", "UV", rare=("mmHg", ""))
    in_heading = draw.of(False, True)
    sidecar: dict[str, Any] = {
        "age": draw.of(71, 10.5, rare=(130, "71")),
        "sex": draw.of("Male", "f", "Female", rare=("x", 1)),
    }
    sidecar = {name: value for name, value in sidecar.items() if draw.of(1, 0)}
    if not in_heading or draw.of(False, True):
        sidecar |= draw.of(
            {"unit": unit}, {"unit": draw.of(unit, rare=("V",))}, {"adc_gain": draw.of(200, -400.5, rare=(0,))}
        )
    times = draw.of(None, None, "s", "ms", "", "count", "clock")
    how = draw.of("csv", "csv", "csv", "npy", "npz", "parquet")
    if times in (None, "count") or how == "npy" or draw.of(False, False, True):
        sidecar["sampling_frequency"] = draw.of(100, 100.5, 100, rare=(49, 200, "100"))
    if names is None or how == "npy" or draw.of(False, False, False, True):
        sidecar["leads"] = list(names or draw.of(("I", "II"), ("V5", "aVF"), rare=(("I",),)))
    files = {".json": json.dumps(draw.of(sidecar, rare=([],))).encode()} if sidecar else {}
    if how == "npy" or (how == "npz" and names is None):
        kind = draw.of("<f8", ">f4", "<i2", ">i4", "u1", "<u2", "<i8")
        rows = np.abs(np.rint(rows)).astype(int) if "u" in kind else rows
        array = draw.of(rows, rows.T).astype(kind)
        buffer = io.BytesIO()
        if how == "npy":
            np.save(buffer, draw.of(array, np.asfortranarray(array)))
        else:
            np.savez(buffer, x=array, sampling_frequency=draw.of(100.0, 125), unit=unit)
        return {f".{how}": buffer.getvalue(), **files}
    if how == "npz":
        buffer = io.BytesIO()
        draw.of(np.savez, np.savez_compressed)(
            buffer, **dict(zip(names, rows, strict=True)), sampling_frequency=draw.of(100.0, 125)
        )
        return {".npz": buffer.getvalue(), **files}
    if how == "parquet" and names is not None:
        columns = {f"{name}_{unit}" if in_heading else name: row for name, row in zip(names, rows, strict=True)}
        step = {"s": 0.01, "ms": 10, "": 0.01, "count": 1}.get(times or "")
        columns |= {"time_ms" if times == "ms" else "time": np.arange(n) * step} if times and step else {}
        columns |= draw.of({}, {"remark": ["x"] * n})
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
        return {".parquet": buffer.getvalue(), **files}
    delimiter = draw.of(",", ";", "\t", " ", "|")
    comma = delimiter in ";\t|" and draw.of(False, True)
    texts = [[f"{x:.6g}".replace(".", "," if comma else ".") for x in row.tolist()] for row in rows]
    if draw.of(False, False, True):
        texts[0][7] = draw.of("nan", "NA", "-") if delimiter == " " else draw.of("", "nan", "NA", "-")
    if names is not None and draw.of(False, False, False, True) and "Resp" not in names:
        lines = [delimiter.join([name.replace(" ", "_"), *row]) for name, row in zip(names, texts, strict=True)]
        return {".csv": ("\n".join(lines) + "\n").encode(), **files}
    form = draw.of("{} (mV)", "{} [mV]", "{}_mV").replace("mV", unit)
    headings = [form.format(name) if in_heading else name for name in names or ()]
    columns = [list(row) for row in texts]
    if times is not None:
        hour, gone = draw.of(0, 23), draw.of(0, 0, 0, 20)
        seconds = [hour * 3600 + 3599.2 + (i - gone * (i > 100)) / 100 for i in range(n)]
        clock = [
            f"{x // 3600 % 24:02.0f}:{x // 60 % 60:02.0f}:{x % 60:06.3f}"
            if times == "clock"
            else f"{i * {'s': 0.01, 'ms': 10, '': 0.01, 'count': 1}.get(times, 1):g}"
            for i, x in enumerate(seconds)
        ]
        columns.insert(0, [text.replace(".", "," if comma else ".") for text in clock])
        headings.insert(
            0,
            {
                "s": draw.of("time (s)", "t [s]"),
                "ms": draw.of("time_ms", "ms" and "Time (ms)"),
                "count": draw.of("time", "sample"),
            }.get(times, "time"),
        )
    if delimiter == " ":
        headings = [heading.replace(" ", "_") for heading in headings]
    lines = [delimiter.join(fields) for fields in zip(*columns, strict=True)]
    if names is not None or draw.of(False, rare=(True,)):
        if draw.of(False, False, False, True):
            names_of_units = [draw.of("mV", rare=("x",)) for _ in headings]
            names_of_units[0] = "s" if times == "s" else names_of_units[0]
            lines.insert(0, delimiter.join(names_of_units))
        lines.insert(0, delimiter.join(headings))
    elif draw.of(False, False, True):
        lines.insert(0, delimiter.join(map(str, range(len(columns)))))
    lines = draw.of([], ["# a comment"], [f"sep={delimiter}"]) + lines
    text = draw.of("\n", "\r\n").join(lines) + draw.of("\n", "")
    encoding, mark = draw.of(
        ("utf-8", b""), ("utf-8-sig", b""), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff"), ("utf-16-be", b"")
    )
    return {".csv": mark + text.encode(encoding), **files}


def challenge(draw: Draw) -> dict[str, bytes]:
    leads = draw.of(("I", "II", "V1"), ("avf", "V6"), ("II", "Resp", "V4"), rare=(("Resp",), ("II", "MLII")))
    n = draw.of(150, 130, rare=(98,))
    rows = draw.integers(len(leads), n)
    rows[0, 9] = draw.of(0, -32768)
    if leads == ("II", "MLII"):
        rows[1] = rows[0] + draw.of(0, 1)
    form, dtype, code = draw.of(
        ("16+24", "<i2", 30), ("32+24", "<i4", 20), ("16", ">i2", 1030), ("16+24", "<f8", 0), ("212", "<i2", 30)
    )
    gain = draw.of("1000/mV", "200(5)/mV", "0.2/uV", "5e3/V", "", "1000.5(-12.5)/mV", rare=("0/mV", "5/mmHg", "x"))
    adc_zero = draw.of("0", "7")
    mat = struct.pack(
        "<5i4s" if dtype[0] == "<" else ">5i4s",
        code,
        *draw.of(rows.shape, rows.T.shape, rare=((len(leads), n - 1),)),
        0,
        4,
        b"val",
    )
    matrix = mat + (
        rows if struct.unpack_from(mat and ("<i" if dtype[0] == "<" else ">i"), mat, 4)[0] == len(leads) else rows.T
    ).astype(dtype).tobytes(order="F")
    complex_ = draw.of(0, 1)
    before = struct.pack("<5i2s", 0, 2, 1, complex_, 2, b"x") + bytes(16 + 16 * complex_)
    matrix = draw.of(b"", b"", before) + matrix
    if draw.of(False, False, True):
        buffer = io.BytesIO()
        values = draw.of(rows, rows.T).astype(draw.of("i2", "f8", "i4"))
        scipy.io.savemat(buffer, {"x": np.arange(3), "val": values}, do_compression=draw.of(False, True))
        matrix = buffer.getvalue()
    is_dat = form == "16" or draw.of(False, False, True)
    per_frame = draw.of(1, 1, 2) if is_dat else 1
    if is_dat:
        form = draw.of("16", "16x1", "16:0+0") if per_frame == 1 else "16x2"
        matrix = rows.reshape(len(leads), -1, per_frame).swapaxes(0, 1).astype("<i2").tobytes()
    name = draw.of("x", "x.mat", "x.MAT", "x.hea", "data/x")
    suffix = ".dat" if is_dat else ".mat"
    length = draw.of(str(n // per_frame), str(n // per_frame), "", rare=("140",))
    rate = draw.of("100", "100/1(0)", "125.5", rare=("49", "")) if per_frame == 1 else draw.of("50", "62.75")
    lines = [f"{name} {len(leads)} {rate} {length}{' 12:00:00' if length else ''}"]
    for lead in leads:
        numbers = f"16 {adc_zero} 0 0 0" if gain else ""
        lines.append(f"x{suffix} {form} {gain} {numbers} {lead}")
    if draw.of(False, rare=(True,)):
        lines.pop()
    if draw.of(False, rare=(True,)):
        lines.append(lines[-1])
    apart = {}
    if is_dat and per_frame == 1 and draw.of(False, False, True):  # the last lead in a file of its own
        matrix, apart = rows[:-1].T.astype("<i2").tobytes(), {"y.dat": rows[-1].astype("<i2").tobytes()}
        lines[len(leads)] = lines[len(leads)].replace("x.dat", "y.dat")
    age = draw.of("#Age: 71", "# age: 10.5", "#Age: NaN", "#Age: 300", "#Age: 71 years", rare=("#Age: 130", "#Age: -1"))
    comments = [
        age,
        draw.of("#Sex: Male", "# sex : f", "#SEX:Female", "#Sex: Unknown"),
        draw.of("#Dx: 164889003,59118001", "#Dx: Unknown", "# dx: 59118001, 59118001;426783006.0 "),
        draw.of("# Measurement: pr_ms 148", "# Measurement: qrs_ms ---", ""),
        draw.of("# Statement: Sinus rhythm", ""),
        draw.of("# Note: something", ""),
        draw.of("#Dx: 270492004", ""),
        "",
    ]
    text = (
        "\n".join([lines[0], *lines[1:], *draw.shuffled(comments)])
        if draw.of(True, False)
        else "\r\n".join([*draw.shuffled(comments), *lines])
    )
    return {".hea": text.encode(), suffix: matrix, **apart}


def text_of_a_table(draw: Draw) -> str:
    """A table of records and their diagnoses."""
    records = draw.of(["1", "2", "3"], ["A4", "A5"], ["1", "2", "3", "A4", "A5"], rare=(["1", "1"], ["", "2"], []))
    name = draw.of("record", "recording", "ecg_id", rare=("name",))
    columns: dict[str, list[str]] = {name: records}
    codes = draw.of("codes", "scp_codes", "statements", None)
    cells = ("NORM; SR", "NORM:100;SR:0", "{'NORM': 35.0, 'IMI': 100.0}", "IMI:50", "", "164889003.0:35")
    wrong = ("NORM:x", "SR:101", "{1", "[1]", "SR:-1")
    if codes:
        columns[codes] = [draw.of(*cells, rare=wrong) for _ in records]
    else:
        for code in draw.some(["NORM", "SR", "164889003", "OTHER"]):
            columns[code] = [draw.of("0", "1", "1.0", "", "True", rare=("2",)) for _ in records]
        columns["age"] = [draw.of("60", "0") for _ in records]
    if draw.of(False, True):
        folds = draw.of(("0", "1"), ("0", "1", "2.0", "10", ""))
        columns[draw.of("fold", "strat_fold")] = [draw.of(*folds, rare=("x", "-1")) for _ in records]
    if draw.of(False, True):
        columns[draw.of("patient", "patient_id")] = [draw.of("p", "7.0", "") for _ in records]
    names = draw.shuffled(list(columns))
    lines = [draw.of(",", " , ").join(names)]
    for i in range(len(records)):
        lines.append(",".join(f'"{columns[each][i]}"' for each in names))
    return "\n".join(lines)


MAKERS: dict[str, Callable[[Draw], bytes | dict[str, bytes]]] = {
    "muse": muse,
    "aecg": aecg,
    "cardiosoft": cardiosoft,
    "schiller": schiller,
    "mortara": mortara,
    "kardia": kardia,
    "ishne": ishne,
    "mfer": mfer,
    "edf": edf,
    "scp": scp,
    "philips": philips,
    "dicom": dicom,
    "table": table,
    "challenge": challenge,
}
