"""Why a stage stops.

StageError
├── InputRefused          the input is wrong, another try gives the same answer; names the field and the fix
├── EndpointUnavailable   a teacher behind an endpoint does not answer
├── Interrupted           the pod is being stopped; the stage resumes where it stands
└── PeerLost              another process of the same training is gone; all of them resume together
"""


class StageError(Exception):
    """A CamelCase reason and a sentence that says what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class InputRefused(StageError):  # noqa: N818 - a finding about the input
    """Reasons: those of docs/distillationjob.md, e.g. MissingColumn, UnknownLabel, WeightsCorrupt."""


class EndpointUnavailable(StageError):  # noqa: N818 - a fault of the service, not of the input
    """A teacher behind an endpoint does not answer; another try may mend it."""

    def __init__(self, message: str) -> None:
        super().__init__("EndpointUnavailable", message)


class Interrupted(StageError):  # noqa: N818 - no fault
    """SIGTERM arrived."""

    def __init__(self, kept: str) -> None:
        super().__init__("Interrupted", f"the pod was stopped; {kept}, and the next attempt goes on from there")


class PeerLost(StageError):  # noqa: N818 - the fault is elsewhere
    """A connection to another process broke."""

    def __init__(self, error: Exception) -> None:
        words = str(error).partition("\n")[0]
        super().__init__("PeerLost", f"another process of this training is gone: {words}; its pod's log says why")
