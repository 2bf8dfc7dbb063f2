"""Texts, sizes and numbers that programs stumble over. Pure: all chance is the caller's."""

import math
import random

PIECES = (
    *"#\t\n\r[]{}()\0\x1b\\/:;,.'\"`%$*?<>&|= \x7f\x85\x1c\x1f-_",
    *"aZ9éßİ漢字\u200b\u202e\u2028\ufeff\ufffd🌡\U0001d518\U0010ffff",
    "\r\n",
    "..",
    "g2/",
    "tf:",
    "tf:{",
    "}:",
    "device#",
    "device#calm-01",
    "fleet#all",
    "fleets",
    "alerts",
    "telefold",
    "telefold#rules",
    "latest#",
    "rollup#1m#",
    "presence#outage#",
    "alert#hot",
    "\x1b[2J",
    "%s{}",
    "null",
    "NaN",
    "-1",
    "true",
    "[1]",
    "[{",
    '{"a":1}',
    "\\ud800",
    "e\u0301",
)
"""What keys, frames, logs and queries are made of, and letters of one to four bytes."""

EDGES = (0, 1, 2, 63, 64, 127, 128, 129, 255, 256, 257, 341, 512, 1_023, 1_024, 1_025, 2_047, 2_048, 2_049, 3_000)
"""Lengths at which one limit or another lies."""

FORGED = (
    "x\tfleet#all\tfleet\t4000004\tdevices",
    "x\nfleet#all\tfleet\t9\t{}\nfleet#site#calm-a\tfleet\t9\t{}",
    '[["device#calm-01","latest#temperature",9000000000000,{"value":1}]]',
    '[["telefold#rules","hot",9000000000000,{}]]',
    "x\ntelefold#rules\thot\t4611686018427387904\t{}",
    'x\n{"rule":"hot","version":4611686018427387904}',
    "\0device#calm-01\0latest#temperature\0001",
    "calm-01#latest#temperature",
    "calm-01}:latest#temperature",
    "g2/device#calm-01",
    "../calm-01",
    "all",
    "#",
    "calm-01\n",
    " calm-01",
    "\x1etelefold",
)
"""Texts that would be read as more than one field, row or record where somebody frames by hand."""

NUMBERS = (
    0.0,
    -0.0,
    1.0,
    5e-324,
    -5e-324,
    1e-131,
    1e-130,
    2.0**53 + 1,
    -(2.0**63),
    2.0**64,
    5e9,
    5_000_000_590.0,
    1e21,
    1e60,
    -1e60,
    math.nextafter(1e60, math.inf),
    1e61,
    1e126,
    1.7976931348623157e308,
    math.nan,
    math.inf,
    -math.inf,
)

DIGITS = ("", "0", "-1", "+5", " 7", "1_000", "1e5", "٣٤", "²", "9" * 19, "9" * 20, "9" * 30, "9" * 5_000, "0" * 400)
"""Texts that are numbers, would be, or are too much of one."""


def text(chance: random.Random, most: int = 40) -> str:
    """Any text, up to about `most` pieces; now and then one that somebody might read as a frame."""
    if chance.random() < 0.2:
        return chance.choice(FORGED)
    return "".join(chance.choices(PIECES, k=chance.randint(0, most)))


def long_text(chance: random.Random, most_bytes: int) -> str:
    """Of one character, as long as an edge or of any order of magnitude up to `most_bytes`."""
    letter = chance.choice("a#\0é漢🌡\U0010ffff")
    length = chance.choice(EDGES) if chance.random() < 0.5 else size(chance, most_bytes)
    return letter * min(length, most_bytes // len(letter.encode()))


def size(chance: random.Random, most: int) -> int:
    """From 1 to `most`; every order of magnitude is as likely as any other."""
    return round(math.exp(chance.uniform(0, math.log(most))))
