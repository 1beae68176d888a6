"""What the tests of the reports share: a tiny model in a folder, reports made with it, and pages taken apart."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import torch

import team_code
from ecg.commands.report import main
from ecg.leads import LEADS
from ecg.model_folder.folder import save_model
from ecg.model_folder.model import Member, as_stored
from tiny import tiny


def write_model(folder: Path, n_members: int = 1) -> Path:
    """A model folder of the tiny method with random weights."""
    method, members = tiny(), []
    for seed in range(n_members):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            state = as_stored(method.build_network().state_dict())
        empty = np.zeros((1, 24))
        members.append(Member(state, np.full(24, 0.5), np.arange(1), empty, [{"stage": "bce", "epoch": 1}]))
    save_model(folder, method, members, {}, [{}] * n_members)
    return folder


def run_report(monkeypatch, *words: object) -> int:
    """The command's exit status: of MODEL INPUT REPORT or --evaluation ..., with the tiny method among the methods."""
    monkeypatch.setitem(team_code.METHODS, "tiny", tiny)
    return main([*(["--workers", "1", "--model"] if words[0] != "--evaluation" else []), *map(str, words)])


def table_of(report: Path) -> dict:
    """The data of the table of all recordings."""
    return json.loads((report / "recordings.js").read_text().removeprefix("window.REPORT = ").removesuffix(";\n"))


def order_of(report: Path) -> list:
    """Page and name of each recording, in the order in which pages lead to each other."""
    return json.loads((report / "order.js").read_text().removeprefix("window.ORDER = ").removesuffix(";\n"))


def plain(html: str) -> list[str]:
    """A page without its pictures and scripts: each tag is its class in angle brackets, or nothing."""
    text = re.sub(r"<(svg|script|style)\b.*?</\1>", "", html.partition("<main")[2], flags=re.DOTALL)
    text = re.sub(r'<[^<>]*?\bclass="([^"]*)"[^<>]*>', r" {\1} ", text)
    text = re.sub(r"</(tr|p|li|h\d|div|section)>", "\n", text)
    lines = (" ".join(re.sub(r"<[^<>]*>", " ", line).split()) for line in text.splitlines())
    return [line for line in lines if line and line not in LEADS and not line.startswith("{scroll layout")]


class Page(HTMLParser):
    """A page taken apart: its elements with their attributes, and its text without scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.codes: dict[str, list[str]] = {"script": [], "style": []}
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in self.codes:
            self._inside = tag
            self.codes[tag].append("")

    def handle_endtag(self, tag):
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data):
        if self._inside:
            self.codes[self._inside][-1] += data
        else:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())
