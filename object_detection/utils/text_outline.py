"""The blocks of a text proto: which are open at a place, where they were opened.

Works on broken texts too: that is what it is for (see text_proto). Only names, braces and lines
count; strings and comments are skipped.
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


class Outline:
    """Blocks of `text`. Positions are (line, column), both from 1."""

    def __init__(self, text):
        self._lines = text.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._stacks = []  # (offset of a token, blocks open before it)
        self._suspect = None
        self.top_blocks = []  # outermost blocks, in order
        self.open_at_end = self._scan(text)

    def line(self, number):
        """Text of a line, or '' past the end."""
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""

    def path_at(self, position):
        """Blocks open at a position, outermost first."""
        offset = self._starts[min(position[0], len(self._starts)) - 1] + position[1] - 1
        index = bisect.bisect_right(self._stacks, offset, key=lambda entry: entry[0])
        if index == 0:
            return ()
        return self._stacks[index - 1][1]

    def is_last_token(self, position):
        """Whether no token follows the one at this position."""
        offset = self._starts[min(position[0], len(self._starts)) - 1] + position[1] - 1
        return not self._stacks or self._stacks[-1][0] <= offset

    def suspect_line(self):
        """First line that, by its indentation, lies outside a block that is still open; or None."""
        return self._suspect

    def _scan(self, text):
        stack, name, inner_indents = (), "", []
        for token in _TOKENS.finditer(text):
            kind, start = token.lastgroup, token.start()
            if kind == "skip" and token[0][0] not in "\"'":
                continue
            self._stacks.append((start, stack))
            if kind == "name":
                name = token[0]
            line = bisect.bisect_right(self._starts, start)
            indent = start - self._starts[line - 1]
            starts_line = not text[self._starts[line - 1] : start].strip()
            if starts_line and stack and kind != "close":
                self._notice(stack, inner_indents, line, indent)
            if kind == "open":
                own = self.line(line)
                block = Block(name, line, len(own) - len(own.lstrip()))
                if not stack:
                    self.top_blocks.append(block)
                stack += (block,)
                inner_indents.append(None)
            elif kind == "close" and stack:
                name, stack = (
                    stack[-1].name,
                    stack[:-1],
                )  # the next { of a list is of the same field
                inner_indents.pop()
        return stack

    def _notice(self, stack, inner_indents, line, indent):
        """Remembers the first line that is indented no deeper than the block it seems to be in."""
        if inner_indents[-1] is None:
            inner_indents[-1] = indent
        deeper = inner_indents[-1] > stack[-1].indent
        if deeper and indent <= stack[-1].indent and self._suspect is None:
            self._suspect = line
