"""Damage to valid inputs: values of other types, odd texts, lost structure, flipped bytes.

Everything is drawn from a `random.Random`, so that the number of an input says all of it.
"""

import copy
import json
import re

_DIGITS = "@digits@"  # becomes a number of 5,000 digits, which Python itself refuses to write
ABSENT = object()
ODD_TEXTS = [
    "", " ", "x", "0", "-1", "1.0", "1e308", "1e400", "nan", "-inf", "true", "null", "1,2", "1;2",
    "9" * 30, "9" * 5000, "-" + "9" * 400, "a" * 5000, "a" * 300, "é" * 200, "a\0b", "\ud800",
    "\udcff.png", "../../a.png", "/etc/hostname", "..", ".", "/", "C:\\a\\b.png", "file:///a.png",
    "http://[::1", "gs://bucket/a", "%00", "%", "%s %d {0} {", "{", "}", "[", "]", "\"", "'", "\\",
    "\\u", "\n", "\t", "\u2028", "\u202e", "<a>", "&amp;", "&lol;", "*", "?", "[a", "**", "~", "#",
    "b'PPYo1'", "猫", "e\u0301", "1" * 200 + ".5", "0x10", "1_000", "²", "٣", "-0", "+1", ".5",
]  # fmt: skip
ODD_NUMBERS = [
    0, -1, 1, 2, 3.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), float("-inf"), 2**31,
    -(2**31) - 1, 2**53 + 1, 2**63, 2**64, 10**18, 10**30, 10**400, 65536, 1_000_000_000, 60000,
]  # fmt: skip
ODD_VALUES = [
    None, True, False, [], {}, [None], [[]], [[[]]], [{}], {"a": 1}, [1], [1, 2], [1, 2, 3, 4],
    [[1, 2], [3, 4]], [[1, 2], [3]], [1] * 7, ["1", "2"], {"x": None}, {"": ""}, _DIGITS, [_DIGITS],
    [0] * 3000, [[0, 0] for _ in range(2000)],  # each its own, so that one change is one change
    {"size": [0, 0], "counts": []}, {"size": [60000, 60000]},
    *[ABSENT] * 6,
]  # fmt: skip


def odd_value(dice):
    """Return any JSON value, or ABSENT."""
    value = dice.choice(dice.choice([ODD_TEXTS, ODD_NUMBERS, ODD_VALUES]))
    return value if value is ABSENT else copy.deepcopy(value)


def places(value, place=()):
    """Yield the place of every value inside lists and dicts, as a tuple of keys."""
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, inner in items:
        yield (*place, key)
        yield from places(inner, (*place, key))


def damaged_value(value, dice, times=None):
    """Return a copy of what JSON holds, damaged at a few places."""
    value = copy.deepcopy(value)
    for _ in range(times or dice.choice([1, 1, 1, 2, 4])):
        all_places = list(places(value))
        if not all_places:
            break
        *outer, last = dice.choice(all_places)
        owner = value
        for key in outer:
            owner = owner[key]
        _damage_at(owner, last, dice)
    return value


def _damage_at(owner, last, dice):
    action = dice.randrange(10)
    if action == 0 and isinstance(owner, list):  # twice
        owner.insert(last, copy.deepcopy(owner[last]))
    elif action == 1 and isinstance(owner, dict):  # under another name
        owner[str(dice.choice(ODD_TEXTS))] = owner.pop(last)
    elif action == 2:  # one level deeper
        for _ in range(dice.choice([1, 1, 2, 300])):
            owner[last] = [owner[last]]
    elif action == 3 and isinstance(owner[last], int | float):
        owner[last] = dice.choice([str(owner[last]), float(owner[last]), -owner[last]])
    elif action == 4 and isinstance(owner[last], list):
        owner[last] = owner[last][: dice.randint(0, len(owner[last]))]
    else:
        odd = odd_value(dice)
        if odd is ABSENT:
            del owner[last]
        else:
            owner[last] = odd


def json_bytes(value):
    """Return JSON as other programs write it: NaN, lone surrogates and huge numbers included."""
    text = json.dumps(value, ensure_ascii=True)
    return text.replace(f'"{_DIGITS}"', "9" * 5000).encode()


def damaged_bytes(content, dice):
    """Return bytes that are cut, flipped, doubled, zeroed or filled with others at a few places."""
    content = bytearray(content)
    for _ in range(dice.choice([1, 1, 2, 5, 20])):
        if not content:
            return b""
        at = dice.randrange(len(content))
        size = dice.choice([1, 2, 4, 8, 64])
        action = dice.randrange(8)
        if action <= 2:
            content[at] ^= 1 << dice.randrange(8)
        elif action == 3:
            content[at : at + size] = dice.randbytes(size)
        elif action == 4:
            content[at : at + size] = dice.choice([b"\0", b"\xff", b"\x7f"]) * size
        elif action == 5:
            content[at:at] = content[at : at + size] * dice.choice([1, 1, 50])
        elif action == 6:
            del content[at : at + size]
        elif dice.random() < 0.4:
            del content[at:]
    return bytes(content)


def damaged_text(text, dice, words=()):
    """Return a text whose words, numbers and signs are replaced, lost, doubled or exchanged."""
    for _ in range(dice.choice([1, 1, 1, 2, 4])):
        pieces = list(re.finditer(r"[\w.+-]+|\"[^\"\n]*\"|'[^'\n]*'|[^\w\s]", text))
        if not pieces:
            return text + dice.choice(ODD_TEXTS)
        piece = dice.choice(pieces)
        start, end = piece.span()
        action = dice.randrange(8)
        if action <= 2:
            new = dice.choice([*ODD_TEXTS, *words])
            if piece[0][0] in "\"'" and dice.random() < 0.7:
                new = piece[0][0] + new + piece[0][0]
        elif action == 3:
            new = ""
        elif action == 4:
            new = piece[0] * dice.choice([2, 2, 50])
        elif action == 5:
            new = dice.choice(pieces)[0]
        elif action == 6:
            new = piece[0] + dice.choice(["{", "}", '"', "'", "\n", ",", "[", "]", "=", "#", "\0"])
        else:
            new, end = (
                "",
                max(end, dice.randrange(end, len(text) + 1) if dice.random() < 0.3 else 0),
            )
        text = text[:start] + new + text[end:]
    return text


def encoded(text, dice):
    """Return a text as a file of a usual or of a wrong encoding."""
    encoding = dice.choice(
        ["utf-8"] * 12 + ["utf-16", "utf-8-sig", "cp1252", "utf-32", "utf-16-be"]
    )
    return (
        text.encode(encoding, errors=dice.choice(["replace", "surrogatepass"]))
        if (encoding.startswith("utf"))
        else text.encode(encoding, errors="replace")
    )


def damaged_file(path, dice, words=()):
    """Damage a file in place: JSON by its structure, texts by their words, all by their bytes."""
    content = path.read_bytes()
    suffix = path.suffix.lower() if len(content) < 4000 or b"9" * 5000 not in content else ""
    if suffix in (".json", ".xml", ".txt", ".csv", ".yaml", ".config", ".pbtxt") and (
        dice.random() < 0.85
    ):
        if suffix == ".json":
            content = json_bytes(damaged_value(json.loads(content), dice))
        else:
            content = encoded(damaged_text(content.decode(), dice, words), dice)
    else:
        content = damaged_bytes(content, dice)
    path.write_bytes(content)
