"""The JSON of a PUSH_DATA, read element by element.

Each rxpk keeps its own text, and a broken one (some forwarders print `nan`) does not take its neighbours
along: after a broken element the reader looks for the next object that has a payload.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

MAX_ATTEMPTS = 512  # to find a sound element behind a broken one; bounds what a hostile datagram can cost

_ONE_LINE = str.maketrans("\n\r", "  ")
_scan = json.JSONDecoder().raw_decode
_blank = re.compile(r"[ \t\r\n]*").match
_BROKEN = (ValueError, IndexError, RecursionError)


@dataclass(slots=True)
class PushContent:
    """What could be read. `rxpks` are values with their text; `damages` counts broken places."""

    rxpks: list[tuple[object, str]] = field(default_factory=list)
    stat: object = None
    damages: int = 0


def read_push(text: str) -> PushContent:
    """Read the body of a PUSH_DATA, as much of it as is sound. Never raises."""
    content = PushContent()
    text = text.rstrip("\0")
    if "\n" in text or "\r" in text:  # only between elements: then each is one line of a recording
        text = text.translate(_ONE_LINE)
    reader = _Reader(text, content)
    try:
        reader.read_object()
    except _BROKEN:
        content.damages += 1
        reader.salvage()
    return content


class _Reader:
    """Walks over the outer object; `at` is where it has come to."""

    def __init__(self, text: str, content: PushContent) -> None:
        self.text = text
        self.content = content
        self.at = 0

    def read_object(self) -> None:
        self._expect("{")
        while self._mark() != "}":
            name, self.at = _scan(self.text, self.at)
            self._expect(":")
            if name == "rxpk" and self._mark() == "[":
                self.at += 1
                self._read_rxpks()
            else:
                self._skip()
                value, self.at = _scan(self.text, self.at)
                if name == "stat":
                    self.content.stat = value
            self._separate("}")
        self.at += 1
        self._skip()
        if self.at != len(self.text):
            raise ValueError("text after the end")

    def _read_rxpks(self) -> None:
        text, rxpks = self.text, self.content.rxpks
        while self._mark() != "]":
            start = self.at
            value, self.at = _scan(text, start)
            rxpks.append((value, text[start : self.at]))
            self._separate("]")
        self.at += 1

    def salvage(self) -> None:
        """Take whole objects with a payload from behind the broken place."""
        text = self.text
        for _ in range(MAX_ATTEMPTS):
            start = text.find("{", self.at)
            if start < 0:
                return
            try:
                value, end = _scan(text, start)
            except _BROKEN:
                self.at = start + 1
                continue
            self.at = end
            if isinstance(value, dict) and "data" in value:
                self.content.rxpks.append((value, text[start:end]))

    def _skip(self) -> None:
        self.at = _blank(self.text, self.at).end()  # type: ignore[union-attr]  # matches nothing at least

    def _mark(self) -> str:
        """The next character that is not blank."""
        self._skip()
        return self.text[self.at]

    def _expect(self, mark: str) -> None:
        if self._mark() != mark:
            raise ValueError(f"{mark} is missing")
        self.at += 1

    def _separate(self, end: str) -> None:
        """Step over a comma; `end` may stand there instead."""
        mark = self._mark()
        if mark == ",":
            self.at += 1
        elif mark != end:
            raise ValueError("a comma is missing")
