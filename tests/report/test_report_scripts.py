"""The scripts of a report in Node: what the table shows, how it sorts and filters, zoom, keys and neighbours.

Needs `node`; without it these tests are left out. In a real browser: test_report_browser.py.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import ecg.report

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed")
STATIC = Path(ecg.report.__file__).parent / "static"

ROWS = [
    {"name": "R10", "page": "#r0-page", "found": [[1, 0.91], [0, 0.4]], "rate": 70, "pr": 160, "qrs": 90, "qtc": 410,
     "axis": -31, "warnings": [], "doubt": 1.25, "unsure": True, "right": ["Flutter"], "missed": [], "added": []},
    {"name": "R9", "page": "#r1-page", "found": [], "rate": 112, "pr": None, "qrs": 131, "qtc": 460, "axis": 95,
     "warnings": ["noise", "mains"], "doubt": 0.5, "unsure": False, "right": [], "missed": ["Sinus"], "added": []},
    {"name": "bad", "problem": "bad.hea: expected leads"},
    {"name": "A", "page": "#r3-page", "found": [[0, 0.99]], "rate": 59, "pr": 201, "qrs": 88, "qtc": 399, "axis": 4,
     "warnings": ["clipped"], "doubt": 3.1, "unsure": True, "right": [], "missed": ["x"], "added": ["Sinus", "y"]},
]  # fmt: skip
DATA = {"classes": ["NSR", "AFL"], "names": ["Sinus rhythm", "Atrial flutter"], "labelled": True, "recordings": ROWS}


def shown(script, steps, **given):
    command = [NODE, str(Path(__file__).with_name("page_in_node.js")), "page", str(STATIC / script)]
    asked = json.dumps({"data": DATA, "steps": steps, **given})
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_table_shows_sorts_and_filters():
    columns = ["Findings", "Rate /min", "PR ms", "QRS ms", "QTc ms", "Axis °", "Quality", "Unsure", "Header says"]
    sorts = [step for name in columns for step in (["sort", name], ["names"], ["sort", name], ["names"])]
    steps = [["rows"], ["head"], ["count"], ["options"], ["pager"], ["sort", "Recording"], ["names"], ["head"], *sorts]
    for which in ("doubts", "warnings", "wrong", "problem", ""):
        steps += [["set", ["which", which]], ["names"], ["count"]]
    steps += [["click", "unsure-first"], ["names"], ["pressed"], ["click", "unsure-first"], ["names"], ["pressed"]]
    steps += [["set", ["finding", "0"]], ["names"], ["set", ["finding", ""]]]
    for words in (" atrial", "NSR", "mains", "expected", "r9"):
        steps += [["set", ["search", words]], ["names"]]
    rows, head, count, options, pager, by_name, sorted_head, *found = shown("index.js", steps, report=True)
    assert rows == [
        ["R10", "Atrial flutter0.91Sinus rhythm0.40", "70", "160", "90", "410", "−31", "", "unsure 1.25", "✓ right"],
        ["R9", "", "112", "", "131", "460", "95", "noise mains", "0.50", "− missed Sinus"],
        ["bad", "bad.hea: expected leads", "", "", "", "", "", "", "", ""],
        [
            "A",
            "Sinus rhythm0.99",
            "59",
            "201",
            "88",
            "399",
            "4",
            "clipped",
            "unsure 3.10",
            "− missed x+ added Sinus+ added y",
        ],
    ]
    assert [name for name, _ in head] == ["Recording", *columns] and not any(how for _, how in head)
    assert (count, options) == ("4 of 4 recordings", [["Atrial flutter (1)", 1], ["Sinus rhythm (2)", 0]])
    assert pager == [True, "page 1 of 1", True, True]
    assert by_name == ["A", "bad", "R9", "R10"]  # 9 is before 10
    assert sorted_head[0] == ["Recording", "ascending"] and not any(how for _, how in sorted_head[1:])
    orders = {
        "Findings": (["A", "R10", "R9", "bad"], ["R9", "bad", "R10", "A"]),
        "Rate /min": (["bad", "A", "R10", "R9"], ["R9", "R10", "A", "bad"]),
        "PR ms": (["R9", "bad", "R10", "A"], ["A", "R10", "R9", "bad"]),
        "QRS ms": (["bad", "A", "R10", "R9"], ["R9", "R10", "A", "bad"]),
        "QTc ms": (["bad", "A", "R10", "R9"], ["R9", "R10", "A", "bad"]),
        "Axis °": (["bad", "R10", "A", "R9"], ["R9", "A", "R10", "bad"]),
        "Quality": (["R9", "A", "R10", "bad"], ["R10", "bad", "A", "R9"]),
        "Unsure": (["A", "R10", "R9", "bad"], ["bad", "R9", "R10", "A"]),
        "Header says": (["A", "R9", "R10", "bad"], ["R10", "bad", "R9", "A"]),
    }
    for name in columns:
        assert (found.pop(0), found.pop(0)) == orders[name], name
    assert found[:10] == [
        *(["R10", "A"], "2 of 4 recordings", ["R9", "A"], "2 of 4 recordings", ["R9", "A"], "2 of 4 recordings"),
        *(["bad"], "1 of 4 recordings", ["R10", "bad", "R9", "A"], "4 of 4 recordings"),
    ]
    assert found[10:14] == [["A", "R10", "R9", "bad"], "true", ["R10", "R9", "bad", "A"], "false"]
    assert found[14:] == [["R10", "A"], ["R10"], ["R10", "A"], ["R9"], ["bad"], ["R9"]]


def test_a_hundred_rows_are_a_page_of_the_table():
    rows = [{"name": f"R{k}", "page": "x", "found": []} for k in range(201)]
    data = {"classes": [], "names": [], "labelled": False, "recordings": rows}
    steps = [["names"], ["pager"], ["click", "page-after"], ["names"], ["click", "page-after"], ["names"], ["pager"]]
    steps += [["click", "page-before"], ["pager"], ["set", ["search", "r1"]], ["pager"], ["count"], ["head"]]
    first, pager, second, third, last, back, filtered, count, head = shown("index.js", steps, data=data, report=True)
    assert [first, second, third] == [[f"R{k}" for k in range(a, b)] for a, b in ((0, 100), (100, 200), (200, 201))]
    assert (pager, last) == ([False, "page 1 of 3", True, False], [False, "page 3 of 3", False, True])
    assert back == [False, "page 2 of 3", False, False]
    assert (filtered, count) == ([False, "page 1 of 2", True, False], "111 of 201 recordings")
    assert head[-1] == ["Unsure", ""]  # nothing of headers where none has a diagnosis


def test_in_one_file_the_address_says_which_recording_is_shown():
    singles = ["r0-page", "r1-page", "r3-page"]
    steps = [
        ["single"],
        ["hash", "#r0-page"],
        ["single"],
        ["hash", "#r1-page"],
        ["single"],
        ["hash", "#r3-page"],
        ["single"],
    ]
    steps += [["hash", "#other"], ["single"]]
    found = shown("index.js", steps, singles=singles)
    nowhere, elsewhere = [True, "#", ""], lambda page: [False, page, ""]
    assert found == [
        [False, [], [nowhere, nowhere]],
        [True, ["r0-page"], [nowhere, elsewhere("#r1-page")]],
        [True, ["r1-page"], [elsewhere("#r0-page"), elsewhere("#r3-page")]],
        [True, ["r3-page"], [elsewhere("#r1-page"), nowhere]],
        [False, [], [nowhere, nowhere]],
    ]


def test_a_page_leads_to_its_neighbours_and_zooms_by_keys():
    order = [["A.html", "A"], ["B.html", "B <b>"], ["C.html", "C"]]
    steps = [["neighbours"], ["zoom"], ["key", "z"], ["zoom"], ["lines"], ["key", "ArrowRight"], ["zoom"]]
    steps += [
        ["lead", "V1"],
        ["zoom"],
        ["lead", "I"],
        ["click", "zoom-before"],
        ["zoom"],
        ["click", "zoom-after"],
        ["zoom"],
    ]
    steps += [["click", "zoom-close"], ["zoom"], ["key", "ArrowLeft"], ["key", "ArrowRight"], ["key", "ArrowRight"]]
    steps += [["key", "3"], ["key", "1"], ["key", "4"], ["key", "i"], ["clicks"]]
    found = shown("recording.js", steps, order=order, pathname="/x/pages/B.html")
    neighbours, closed, opened, lines, right, v1, before, after, shut, clicks = found
    assert neighbours == [[False, "A.html", "A"], [False, "C.html", "C"]]
    assert not closed[0] and not shut[0]
    small, parts = "0 -600 10000 1200", ["sheet", "minor", "major"]
    assert opened == [True, "Lead II", small, [*parts, "#r2-lead-II"]]
    assert lines == ["M0 -600V600M40 -600V600M80 -600V600M120 ", "M0 -600V600M200 -600V600M400 -600V600M60"]
    assert right[1] == "Lead III"
    assert v1 == [True, "Lead V1", "0 -1000 10000 1600", [*parts, "#r2-lead-V1"]]  # -950 to 450 and a margin
    assert (before[1], after[1]) == ("Lead V6", "Lead I")
    assert clicks == [1, 2, 1, [1, 0, 1]]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("A.html", [[True, "#", ""], [False, "C.html", "C"]]),
        ("C.html", [[False, "A.html", "A"], [True, "#", ""]]),
        ("AA.html", [[False, None, ""], [False, None, ""]]),
    ],
)
def test_the_first_page_has_none_before_and_the_last_none_after(page, expected):
    order = [["A.html", "A"], ["C.html", "C"]]
    assert shown("recording.js", [["neighbours"]], order=order, pathname=f"/pages/{page}") == [expected]
