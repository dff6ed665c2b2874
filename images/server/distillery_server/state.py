"""Where the server is in its life: loading, ready, draining."""

from dataclasses import dataclass

from distillery_api.run import ServeRun
from distillery_api.schema import Failure

from .metrics import short_version
from .model import Model

LOADING = Failure(reason="Loading", message="the artifact is being fetched and checked; ask again shortly")
DRAINING = Failure(reason="Draining", message="this server is stopping; new connections go to another one")


@dataclass
class State:
    """Changed by the process that loads and stops the server; read by every request."""

    run: ServeRun
    model: Model | None = None
    failure: Failure | None = None  # why loading ended without a model
    draining: bool = False

    @property
    def version(self) -> str:
        """Short digest of the artifact."""
        return short_version(self.run.artifact.digest)

    def unready(self) -> Failure | None:
        """Why no new traffic should come here; None when it should. A draining server still answers."""
        if self.draining:
            return DRAINING
        return self.failure or (None if self.model else LOADING)
