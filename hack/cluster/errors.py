"""The errors that a user of these programs can meet; each message says what failed and what to do."""

from __future__ import annotations


class ClusterError(Exception):
    """Something the cluster needs could not be had; the command ends with exit status 1."""


class PortTakenError(ClusterError):
    """A component died because another process holds one of its ports."""
