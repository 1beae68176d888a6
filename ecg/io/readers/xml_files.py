"""XML files of clinical systems, read so that no file can do harm: no entities, no fetching, bounded size and depth."""

import base64
import re
from pathlib import Path
from xml.etree.ElementTree import Element as Element
from xml.etree.ElementTree import ParseError, SubElement

import numpy as np

from ecg.arrays import Floats
from ecg.io.device_words import number_of as number_of
from ecg.io.errors import RecordingError, import_optional, problem, shown
from ecg.io.files import StrPath, read_file
from ecg.io.stored import LONGEST_MINUTES

LARGEST_FILE = 16 << 20  # bytes: five minutes of twelve leads at 500 Hz as text
MOST_ELEMENTS = 200_000  # Mortara's aECG of 10 s with a median beat and its annotations has 3,000
DEEPEST = 64  # levels; an aECG has 20
LONGEST_TEXT = 10_000  # characters of anything but samples
LONGEST_TAG = 1 << 18  # bytes of a tag with its attributes, or of a comment
_SPACE = re.compile(r"\s")
_DIGITS = 1 << 16  # characters of digits turned into numbers at a time, for the memory's sake
_PIECE = 1 << 14  # bytes given to the parser at a time: after an error it may still go through the rest of a piece


def root_name(start: bytes) -> str:
    """Name of the root element, without its namespace, of the file that begins like this; "" where it is no XML."""
    encodings = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}
    encoding = encodings.get(start[:2], "utf-8")
    text = start.decode(encoding, errors="replace").lstrip("\ufeff \t\r\n")
    match = re.match(
        r"(?:<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[[^\]]*\]\s*)?>|\s)*<(?:[\w.-]+:)?([\w.-]+)", text, re.DOTALL
    )
    return match[1] if match else ""


def read_xml(path: StrPath, data: bytes | None = None) -> Element:
    """The root of the tree of an XML file; names of elements and attributes without their namespaces.

    With `data` these bytes are read, which another file holds. A DOCTYPE is passed over and never fetched; entities
    other than XML's own five are refused. Raises RecordingError if it can't be read, is not well-formed XML in a known
    encoding, declares an entity, refers outside, or exceeds `LARGEST_FILE`, `DEEPEST`, `MOST_ELEMENTS` or
    `LONGEST_TAG`.
    """
    data = read_file(path, LARGEST_FILE + 1) if data is None else data
    if len(data) > LARGEST_FILE:
        raise problem(path, f"an XML file of at most {LARGEST_FILE >> 20} MiB", "more")
    defused = import_optional("defusedxml.ElementTree", path, "an XML file")
    tree = _Tree(path)
    # Text that went through a database may say UTF-16 and be in UTF-8; the parser takes the declaration's word for it.
    says_wide = re.match(rb"\s*(?:\xef\xbb\xbf)?<\?xml[^>]*encoding=[\"']utf-16", data[:200], re.IGNORECASE)
    encoding, forbidden = "utf-8" if says_wide else None, {"forbid_entities": True, "forbid_external": True}
    parser = defused.DefusedXMLParser(target=tree, encoding=encoding, forbid_dtd=False, **forbidden)
    try:
        for place in range(0, len(data), _PIECE):
            parser.feed(data[place : place + _PIECE])
            if place - parser.parser.CurrentByteIndex > LONGEST_TAG:
                raise problem(path, f"tags and comments of at most {LONGEST_TAG >> 10} KiB", "a longer one")
        parser.close()
    except RecordingError:
        raise
    except (ParseError, ValueError, LookupError, AssertionError) as error:
        # defusedxml's own errors are ValueErrors; their text would quote the entity, hence the name of the error alone.
        found = str(error) if isinstance(error, ParseError) else type(error).__name__
        raise problem(path, "well-formed XML without entities", found) from error
    if tree.root is None:
        raise problem(path, "an XML file", "no element")
    return tree.root


class _Tree:
    """What the parser calls: builds the tree, and stops where it grows beyond the bounds."""

    def __init__(self, path: object) -> None:
        self.path = path
        self.root: Element | None = None
        self.n_elements = 0
        self.open: list[Element] = []
        self.texts: list[list[str]] = []  # of the open elements, up to the first child of each

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.n_elements += 1
        if self.n_elements > MOST_ELEMENTS:
            raise problem(self.path, f"at most {MOST_ELEMENTS} elements", "more")
        if len(self.open) == DEEPEST:
            raise problem(self.path, f"at most {DEEPEST} levels of elements", "more")
        attributes = {name.rpartition("}")[2]: value for name, value in attributes.items()}
        name = tag.rpartition("}")[2]
        if self.open:
            element = SubElement(self.open[-1], name, attributes)
        else:
            element = self.root = Element(name, attributes)
        self.open.append(element)
        self.texts.append([])

    def end(self, _tag: str) -> None:
        self.open.pop().text = "".join(self.texts.pop())

    def data(self, text: str) -> None:
        if self.open and not len(self.open[-1]):
            self.texts[-1].append(text)

    def close(self) -> None:
        pass


def text_of(element: Element | None, place: str = ".") -> str:
    """The text of an element, or of the first one at a place below it, without spaces around; "" where absent.

    Of a long text the first `LONGEST_TEXT` characters; for samples there is `data_of`.
    """
    return data_of(element, place)[:LONGEST_TEXT].strip()


def data_of(element: Element | None, place: str = ".") -> str:
    """The whole text of an element, or of the first one at a place below it; "" where absent."""
    found = None if element is None else element.find(place)
    return "" if found is None else found.text or ""


def base64_of(text: str, path: Path, what: str) -> bytes:
    """What a text in Base64 stands for; white space doesn't matter. RecordingError for other characters."""
    try:
        return base64.b64decode(text.encode("ascii").translate(None, b" \t\r\n"), validate=True)
    except ValueError as error:
        raise problem(path, f"Base64 in {what}", f"other characters ({type(error).__name__})") from error


def count_of(element: Element | None, place: str, path: Path, most: int) -> int | None:
    """A whole number from 0 to `most` at a place; None where absent or empty. Raises RecordingError for others."""
    text = text_of(element, place)
    if not text:
        return None
    value = number_of(text)
    if not (value.is_integer() and 0 <= value <= most):
        raise problem(path, f"a whole number from 0 to {most} as {place}", shown(text))
    return int(value)


def digits_in(text: str, frequency: float, path: Path) -> Floats:
    """The samples of a lead at this frequency, separated by white space or commas.

    RecordingError for more than `LONGEST_MINUTES` of them, or other texts.
    """
    text, most = text.replace(",", " "), int(LONGEST_MINUTES * 60 * frequency)
    parts: list[Floats] = []
    place = 0
    try:
        if "_" in text:
            raise ValueError("'_'")  # Python's own way to write numbers
        while place < len(text):
            space = _SPACE.search(text, place + _DIGITS)
            end = space.start() if space else len(text)
            parts.append(np.array([float(word) for word in text[place:end].split()], dtype=np.float64))
            place = end
            if sum(part.size for part in parts) > most:
                raise problem(path, f"at most {most} samples a lead", "more")
    except RecordingError:
        raise
    except ValueError as error:
        raise problem(path, "numbers as digits", str(error)[-60:]) from error
    return np.concatenate(parts) if parts else np.empty(0)
