"""Kubernetes quantities, such as 500m, 2 or 4Gi (k8s.io/apimachinery, pkg/api/resource)."""

import re
from decimal import Decimal

QUANTITY = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?")
SMALL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def is_quantity(text: str) -> bool:
    """Whether Kubernetes can read the text as a quantity."""
    return QUANTITY.fullmatch(text) is not None


def quantity(text: str) -> Decimal:
    """The amount in units of one. Raises ValueError for other text."""
    match = QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no Kubernetes quantity")
    digits, suffix = Decimal(match[1]), match[2] or ""
    if suffix.endswith("i"):
        return digits * Decimal(1024) ** ("KMGTPE".index(suffix[0]) + 1)
    exponent = SMALL[suffix] if suffix in SMALL else int(suffix[1:])
    return digits.scaleb(exponent)


def bytes_of(given: object) -> object:
    """Whole bytes of a quantity, rounded down; what is no text is given back as it is. Raises ValueError."""
    return int(quantity(given)) if isinstance(given, str) else given
