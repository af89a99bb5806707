"""Sentences of the package with the signs that a screen can show."""

from __future__ import annotations

import re

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def superscript(number: int) -> str:
    """A whole number as an exponent."""
    return str(number).translate(_SUPERSCRIPT)


def pretty(sentence: str) -> str:
    """Rich text: powers of ten, and the signs of units."""
    sentence = re.sub(r"(\d(?:\.\d+)?)e\+?(-?\d+)", r"\1 × 10<sup>\2</sup>", sentence)
    sentence = sentence.replace("1/m^2", "1/m²")
    sentence = re.sub(r"(?<=\d) um\b", " µm", sentence)
    sentence = re.sub(r"(?<=\d) deg\b", "°", sentence)
    return re.sub(r"(?<=\d) A\b", " Å", sentence.replace("+-", "±"))
