"""Requests that get no prediction: the status, and a sentence that names the field and the fix."""


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """An answer of 4xx or 5xx; the message goes to the caller as {"error": …}."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
