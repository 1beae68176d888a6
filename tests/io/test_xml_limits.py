"""What an XML file may not exceed, each limit with its message."""

import pytest

from ecg.io.errors import RecordingError
from ecg.io.readers.xml_files import DEEPEST, LONGEST_TAG, read_xml

LIMITS = {
    "an XML file of at most 16 MiB, found more": b"<a>" + bytes(16 << 20) + b"</a>",
    "at most 64 levels of elements, found more": b"<a>" * (DEEPEST + 1) + b"</a>" * (DEEPEST + 1),
    "at most 200000 elements, found more": b"<a>" + b"<b/>" * 200_000 + b"</a>",
    "tags and comments of at most 256 KiB, found a longer one": b"<a b='" + b"x" * (LONGEST_TAG + (1 << 16)) + b"'/>",
}


@pytest.mark.parametrize("message", LIMITS)
def test_a_file_beyond_a_limit_is_refused_and_the_limit_named(message):
    with pytest.raises(RecordingError) as caught:
        read_xml("a.xml", LIMITS[message])
    assert str(caught.value) == f"a.xml: expected {message}"


def test_a_file_at_the_limits_is_read():
    assert read_xml("a.xml", b"<a>" * DEEPEST + b"</a>" * DEEPEST).tag == "a"
    assert len(read_xml("a.xml", b"<a b='" + b"x" * 200_000 + b"'><c/><d/></a>")) == 2
