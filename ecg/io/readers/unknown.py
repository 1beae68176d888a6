"""What a file is that is no ECG: pictures, other XML, contents that were not fetched."""

import re

from ecg.io.errors import shown
from ecg.io.readers.xml_files import root_name

PICTURE_SUFFIXES = (".pdf", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif")
_PICTURES = {b"%PDF-": "PDF", b"\x89PNG\r\n": "PNG", b"\xff\xd8\xff": "JPEG", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
_PICTURES |= {b"BM": "BMP", b"GIF8": "GIF"}
# What stands in a data set that was cloned and not fetched.
_POINTER = re.compile(rb"\.?(?:\./|\.\./|/)*(?:\.git/)?annex/objects/|version https://git-lfs\.github\.com/")


def picture_kind(start: bytes) -> str | None:
    """The kind of picture that a file is which begins like this ("PDF", "PNG", ...); None where it is none."""
    return next((kind for magic, kind in _PICTURES.items() if start.startswith(magic)), None)


def describe_unknown(start: bytes) -> str:
    """What a file is that begins like this and is of no known format; "" where that can't be told."""
    if not start:
        return "an empty file"
    if kind := picture_kind(start):
        return f"a picture ({kind}), not a signal: digitise it first"
    if _POINTER.match(start):
        return "a pointer of git-annex or Git LFS: its content was not fetched"
    if name := root_name(start):
        return f"XML with the root element {shown(name)}"
    return ""
