"""Errors of the gate.

GateError
└── GateInputError   the per-item results cannot support a verdict; names the field and the fix
"""


class GateError(Exception):
    """Any refusal of the gate to decide."""


class GateInputError(GateError, ValueError):
    """Evaluation results that are missing, malformed or unable to show anything; no verdict is given."""
