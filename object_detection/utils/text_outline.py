"""The blocks of a text proto: which are open at a place, where they were opened.

Works on broken texts too: that is what it is for (see text_proto). Only names, braces and lines
count; strings and comments are skipped. Time and memory grow with the length of the text, however
deep its blocks are nested.
"""

import bisect
import re
from typing import NamedTuple

_TOKENS = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)"""
    r"""|(?P<name>[A-Za-z_]\w*)|(?P<open>[{<])|(?P<close>[}>])|(?P<other>[^\s"'\#{}<>A-Za-z_]+)""",
    re.VERBOSE,
)


class Block(NamedTuple):
    """A block that was opened: field name, line (from 1) and indentation of that line."""

    name: str
    line: int
    indent: int


class _Open:
    """An open block and, as a linked list, those around it."""

    __slots__ = ("block", "inner_indent", "outer")

    def __init__(self, block, outer):
        self.block = block
        self.outer = outer
        self.inner_indent = None  # of the first line inside


class Outline:
    """Blocks of `text`. Positions are (line, column), both from 1."""

    def __init__(self, text):
        self._lines = text.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._changes = []  # (offset from which it holds, innermost _Open or None)
        self._last_token = -1  # its offset
        self._suspect = None
        self.top_blocks = []  # outermost blocks, in order
        self.open_at_end = _blocks(self._scan(text))

    def line(self, number):
        """Text of a line, or '' past the end."""
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""

    def path_at(self, position):
        """Blocks open at a position, outermost first."""
        offset = self._offset(position)
        index = bisect.bisect_right(self._changes, offset, key=lambda change: change[0])
        return _blocks(self._changes[index - 1][1]) if index else ()

    def is_last_token(self, position):
        """Whether no token follows the one at this position."""
        return self._last_token <= self._offset(position)

    def suspect_line(self):
        """First line that, by its indentation, lies outside a block that is still open; or None."""
        return self._suspect

    def _offset(self, position):
        return self._starts[min(position[0], len(self._starts)) - 1] + position[1] - 1

    def _scan(self, text):
        """Notes every change of the open blocks; returns the innermost that is never closed."""
        innermost, name, line, line_of_last = None, "", 1, 0
        for token in _TOKENS.finditer(text):
            kind, start = token.lastgroup, token.start()
            if kind == "skip" and token[0][0] not in "\"'":
                continue
            self._last_token = start
            if kind == "name":
                name = token[0]
            while start >= self._starts[line]:
                line += 1
            if line != line_of_last:
                line_of_last, indent = line, start - self._starts[line - 1]
                if innermost and kind != "close":
                    self._notice(innermost, line, indent)
            if kind == "open":
                block = Block(name, line, indent)
                if innermost is None:
                    self.top_blocks.append(block)
                innermost = _Open(block, innermost)
                self._changes.append((start + 1, innermost))
            elif kind == "close" and innermost:
                name = innermost.block.name  # the next { of a list is of the same field
                innermost = innermost.outer
                self._changes.append((start + 1, innermost))
        return innermost

    def _notice(self, innermost, line, indent):
        """Remembers the first line that is indented no deeper than the block it seems to be in."""
        if innermost.inner_indent is None:
            innermost.inner_indent = indent
        own = innermost.block.indent
        if innermost.inner_indent > own >= indent and self._suspect is None:
            self._suspect = line


def _blocks(innermost):
    """Blocks from the outermost to the innermost."""
    blocks = []
    while innermost is not None:
        blocks.append(innermost.block)
        innermost = innermost.outer
    return tuple(reversed(blocks))
