"""What a plain YAML scalar means to kubectl: YAML 1.1 words, and numbers as Go writes them (goyaml v2, resolve.go)."""

import math
import re

Scalar = bool | int | float | str | None

WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
BASES = (16, 2, 8, 10)


def plain_scalar(text: str) -> Scalar:
    """The value of an unquoted scalar: `no` is false, 010 is 8, 1e3 is 1000, and a date or 1:30 stays text."""
    if text in WORDS:
        return WORDS[text]
    digits = text.replace("_", "") if text[0] in "+-0123456789" else text
    if (whole := integer(digits)) is not None:
        return whole
    if FLOAT.fullmatch(digits) and math.isfinite(value := float(digits)):
        return value
    return text


def integer(text: str) -> int | None:
    """A whole number that fits 64 bits, or None: Go reads a larger one as a float."""
    if (match := INTEGER.fullmatch(text)) is None:
        return None
    sign, *digits = match.groups()
    value = next(int(each, base) for each, base in zip(digits, BASES, strict=True) if each is not None)
    value = -value if sign == "-" else value
    return value if -(2**63) <= value < 2**64 else None
