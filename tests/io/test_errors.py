"""Messages of errors: one form, and texts of files cut short."""

import pytest

from ecg.io.errors import problem, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "''"),
        ("a\nb", r"'a\nb'"),
        ("x" * 80, "'" + "x" * 80 + "'"),
        ("x" * 81, "'" + "x" * 77 + "...'"),
    ],
)
def test_a_text_from_a_file_is_quoted_and_cut(text, expected):
    assert shown(text) == expected
    assert str(problem("a.hea", "a rate", shown(text))) == f"a.hea: expected a rate, found {expected}"
