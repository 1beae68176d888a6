"""Pages as they were noted: their words with the kinds that the style sheet colours, their tables, and their pictures.

`python tests/report/test_golden_pages.py` notes them anew: read what has changed before you commit it.
"""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ecg.arrays import Floats32
from ecg.interpretation.comparison import Ecg, compare
from ecg.interpretation.interpret import interpret
from ecg.io.recording import Recording
from ecg.labels.diagnoses import CHALLENGE_2020
from ecg.leads import LEADS
from ecg.measurements.types import Amplitudes, Beats, Measurements, MedianBeat, Quality, WaveMarks
from ecg.report import figures, pdf, plotting
from ecg.report.attribution import Attribution
from ecg.report.charts import Line, chart, interval
from ecg.report.comparison import Pair, changes_as_csv, changes_as_json, comparison_page
from ecg.report.ecg_paper import LAYOUTS, paper
from ecg.report.recording_page import Reported, article, look_at, recording_page, row_of
from report_pages import plain

GOLDEN = Path(__file__).with_name("golden_pages.json")
CLASSES = CHALLENGE_2020.classes


def picture(svg):
    """An SVG picture without the lines of its paper, cut at each element."""
    return [each for each in re.sub(r'<path class="(minor|major)".*?/>', "", str(svg)).split("<") if each]


def marks(scale, *, p=True, t=True):
    none = float("nan")
    p_marks, t_marks = ((10.0, 16.0, 22.0), (70.0, 84.0, 92.0))
    values = (*(p_marks if p else (none,) * 3), 34.0, 40.0, 46.0, *(t_marks if t else (none,) * 3))
    return WaveMarks(*(scale * value for value in values))


def beat(rate=250.0, *, p=True, t=True):
    """A median beat of triangles, 0.5 s of it at 250 Hz, R in lead k as high as k tenths of a mV."""
    scale, n = rate / 250, round(0.5 * rate)
    shape = np.maximum(1 - np.abs(np.arange(n) - 40 * scale) / (6 * scale), 0)
    signal = (0.1 * np.arange(1, 13)[:, None] * shape).astype(np.float32)
    signal[4] *= -1
    return MedianBeat(signal, rate, 9, marks(scale, p=p, t=t), (marks(scale, p=p, t=t),) * 12, 40.0 * scale)


def measured(number):
    """Measurements of nobody: each within or outside its limits, or not known; none lies where rounding decides."""
    rng = np.random.default_rng([51, number])

    def one_of(*values):
        return values[rng.integers(len(values))]

    def row(size):
        values = (np.round(rng.uniform(-size, size, 12), 2) + 0.001).astype(np.float32)
        values[rng.random(12) < 0.1] = np.nan
        return values

    kinds = tuple(one_of("dominant", "dominant", "ectopic", "paced") for _ in range(int(rng.integers(0, 9))))
    samples = np.array([300 + 500 * k for k in range(len(kinds))], dtype=np.int64)
    qrs = one_of(88.3, 104.3, 131.3)
    return Measurements(
        heart_rate_bpm=one_of(41.3, 59.7, 60.3, 80.3, 99.7, 131.3, np.nan),
        p_ms=one_of(96.3, 130.3),
        pr_ms=one_of(105.3, 160.3, 215.3, np.nan),
        qrs_ms=qrs,
        qt_ms=one_of(340.3, 402.3),
        qtc_bazett_ms=one_of(402.3, 455.3, 470.3),
        qtc_fridericia_ms=one_of(398.3, 451.3, 465.3, np.nan),
        p_axis_deg=one_of(44.3, -20.3),
        qrs_axis_deg=one_of(-61.3, -29.7, 30.3, 95.3, 170.3),
        t_axis_deg=one_of(-40.3, 40.3),
        n_beats=len(kinds),
        n_ectopic=kinds.count("ectopic"),
        rr_sd_ms=one_of(12.3, 140.3),
        rmssd_ms=one_of(10.3, 190.3),
        has_p_waves=bool(one_of(True, False)),
        amplitudes=Amplitudes(row(0.2), -abs(row(0.3)), abs(row(1.5)), -abs(row(1.5)), row(0.5), row(0.2), row(0.2)),
        quality=Quality(one_of((), (), ("III",), ("V2", "V3")), one_of((), ("V1",)), one_of(9.3, 61.3),
                        one_of(3.3, 80.3), one_of(30.3, 410.3), one_of("", "", "RA-LA"), one_of((), ("II", "V6"))),
        beats=Beats(samples, kinds),
        median_beat=None if not kinds else beat(p=bool(one_of(True, False))),
    )  # fmt: skip


def signal_of(number, rate):
    """A saw in each lead, of another height; some leads are absent, some have a gap."""
    rng = np.random.default_rng([52, number])
    n = round((4, 10, 10.04, 12.6)[number % 4] * rate)
    saw = (np.arange(n) % round(0.8 * rate)) / round(0.8 * rate)
    signal = (np.round(np.outer(np.arange(1, 13) / 8, saw), 3) + 0.001).astype(np.float32)
    signal[2] = signal[1] - signal[0]
    for absent in ((), (), (2, 3, 4, 5), (8,), (0, 1, 6))[number % 5]:
        signal[absent] = np.nan
    signal[int(rng.integers(12)), : n // 10] = np.nan
    return signal


def look(number):
    """A recording on its page: model, convention, header and measurements are drawn."""
    rng = np.random.default_rng([53, number])

    def one_of(*values):
        return values[rng.integers(len(values))]

    rate, age = one_of(100.0, 257.0, 500.0), (4.3, 17.9, 18.0, 63.0, np.nan)[number % 5]
    codes = [str(code) for code in rng.choice([*CLASSES, "59118001", "164873001", "1"], 2)]
    header = Recording(
        signal_of(number, rate), rate, "R", age, one_of("Female", "Male", "Unknown"),
        one_of((), tuple(codes)),
    )  # fmt: skip
    probabilities = np.round(rng.uniform(size=24) ** 3, 3) + 0.0001
    kind = one_of("own", "calibrated", "moved", "adapted")
    thresholds = np.full(24, 0.5) if kind in ("moved", "adapted") else np.round(rng.uniform(0.1, 0.6, 24), 3)
    labels = probabilities >= thresholds
    labels[rng.integers(24, size=number % 3)] ^= True
    refusal = "knows recordings of twelve leads only" if number % 7 == 6 else ""
    reported = Reported(
        CLASSES,
        labels & (refusal == ""),
        probabilities,
        None if number % 6 == 5 else thresholds,
        tuple(int(k) for k in np.flatnonzero((probabilities > 0.2) & (probabilities < 0.8)) if rng.random() < 0.7),
        kind,
        definitions=one_of("clinical", "ptb-xl"),
        refusal=refusal,
    )
    return look_at(f"R{number} <&>", header, measured(number), reported)


def attribution():
    values = np.zeros((12, 2500), dtype=np.float32)
    values[1, 300:340], values[7, 1000:1010], values[7, 1500:1520], values[11, 2480:] = 0.02, 0.05, -0.03, 0.01
    return Attribution(3, values, 250.0, 1.25, -0.25)


def page(number):
    found = look(number)
    pdf_address = "../pdf/R.pdf" if number % 2 else ""
    given = article(found, "r7-", ("3x4", "6x2", "12x1")[number % 3], pdf=pdf_address)
    note = "Seen by <nobody>." if number % 4 == 1 else ""
    html = recording_page(found, "ECG report", given, source="Model: none." if number % 2 else "", note=note)
    head = html.partition("<main")[0].splitlines() if number == 1 else []
    return {"head": head, "page": plain(html), "row": row_of(found, "pages/R.html"), "bars": bars(given)}


def bars(given):
    """Some of the pictures beside statements and classes."""
    shown = [str(each["bar"]) for each in (*given["statements"][:3], *given["findings"][:3])]
    return [each.partition('class="much"')[2] for each in shown if each]


def pair(number):
    """Two recordings of a patient."""
    both = measured(number), measured(number + 1)
    one, two = (Ecg(found, interpret(found, 63.0, "Female", {}, "clinical")) for found in both)
    return Pair((f"A{number}", f"B{number} <&>"), one, two, compare(one, two))


def comparisons():
    pairs = [pair(number) for number in range(0, 12, 3)]
    html = comparison_page(pairs, note="A note.")
    return {
        "csv": changes_as_csv(pairs).splitlines(),
        "json": json.loads(changes_as_json(pairs)),
        "page": plain(html),
        "pictures": html.count('class="paper beat-paper"'),
    }


def pictures():
    other = beat(p=False)
    other = MedianBeat(other.signal, 250.0, 3, WaveMarks(*(value + 5 for value in vars(marks(1.0)).values())),
                       other.lead_marks, 45.0)  # fmt: skip
    x, y = np.array([0.0, 0.25, 0.5, 1.0, 1.2]), np.array([-0.3, 0.13, 0.5, 0.77, 1.4])
    lines = [Line(x, y, "first", np.array([1, 10, 100, 2, 30])), Line(x[:0], y[:0], "second"), Line(x, y**2, "even")]
    made = {name: paper(name, "r1-", "Title <b>", ("V2",), [(0.5, "ectopic"), (6.1, "paced"), (10.0, "paced")])
            for name in LAYOUTS}  # fmt: skip
    made |= {
        "beat": figures.median_beat(beat(500.0)),
        "beat without T": figures.median_beat(beat(250.0, t=False)),
        "beats": figures.median_beat(beat(), other),
        "looked at": figures.looked_at(attribution(), "r1-", "AF <b>"),
        "chart": chart(lines, "x & y", "y", "what <it> shows"),
        "wide chart": chart(lines[2:], "x", "y", "shows", y_range=(-0.5, 0.25), wide=True),
        "interval": interval(0.4, 0.31, 0.5),
        "two intervals": interval(0.4, -0.31, 0.5, (0.2, 0.1, 1.3)),
        "likely": figures.likely_bar(0.123, 0.4),
        "likely alone": figures.likely_bar(0.98, float("nan")),
    }
    return {name: picture(svg) for name, svg in made.items()}


def drawn(figure):
    """What a figure of matplotlib shows: words with their places, and the lines' ends and extents."""
    words, lines = [], []
    for axes in figure.axes:
        words += [[*np.round(text.get_position(), 2).tolist(), text.get_text()] for text in axes.texts]
        for line in axes.lines:
            x, y = (np.asarray(values, dtype=float) for values in line.get_data())
            if len(x):
                lines.append([len(x), *np.round([x[0], x[-1], y[0], y.min(), y.max()], 2).tolist()])
        lines += [[len(path) for path in (each.get_segments(),)] for each in axes.collections]
        lines.append([round(float(limit), 2) for limit in (*axes.get_xlim(), *axes.get_ylim())])
    words += [[*np.round(text.get_position(), 2).tolist(), text.get_text()] for text in figure.texts]
    return {"words": words, "lines": lines, "size": np.round(figure.get_size_inches(), 2).tolist()}


def printed(patch, number, layout):
    """The printable page of a recording."""
    kept = SimpleNamespace(figure=None)
    patch.setattr(pdf, "FigureCanvasPdf", lambda figure: setattr(kept, "figure", figure))
    patch.setattr(pdf.Figure, "savefig", lambda *words, **named: None)
    patch.setattr(pdf, "write_file", lambda path, data: None)
    pdf.write_pdf(Path("R.pdf"), look(number), layout, "A note.")
    return drawn(kept.figure)


def plotted(patch):
    """The picture of a recording of 7 s at 257 Hz, without V3."""
    kept = SimpleNamespace(figure=None)
    patch.setattr(plotting, "save_png", lambda figure, path, dots: setattr(kept, "figure", figure))
    signal: Floats32 = signal_of(1, 257.0)[:, :1799]
    signal[LEADS.index("V3")] = 0
    plotting.plot_recording(signal, 257.0, "R.png", plotting.title_of("R", ("164889003", "1", "426783006")))
    return drawn(kept.figure)


def everything(patch):
    found = {f"page {number}": page(number) for number in range(7)}
    found |= {"comparisons": comparisons(), "pictures": pictures()}
    found |= {f"PDF {layout}": printed(patch, k, layout) for k, layout in enumerate(LAYOUTS)}
    return json.loads(json.dumps(found | {"plotted": plotted(patch)}))


@pytest.fixture(scope="module")
def now():
    with pytest.MonkeyPatch.context() as patch:
        return everything(patch)


@pytest.mark.parametrize("name", json.loads(GOLDEN.read_text()) if GOLDEN.exists() else [])
def test_what_is_shown_is_what_was_noted(now, name):
    assert now[name] == json.loads(GOLDEN.read_text())[name]


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as given:
        noted = everything(given)
    GOLDEN.write_text(json.dumps(noted, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
