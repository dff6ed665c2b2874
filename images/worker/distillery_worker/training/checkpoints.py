"""Where a training stands: weights and optimiser state as safetensors, the rest as JSON; no pickle.

students/<key>/attempts/<attempt>/checkpoints/<model>/<slot>/{state.safetensors,checkpoint.json}

An attempt alternates between two slots, so that while one is overwritten the other is whole. A slot counts only if
its state has the digest that its checkpoint.json, written last, says.
"""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from distillery_api.digests import canonical
from distillery_api.schema import Digest, Model
from distillery_storage import NotFound, Prefix
from distillery_storage.folders import file_digest
from safetensors.torch import load_file, save_file
from torch import Tensor

log = logging.getLogger(__name__)
RECORD, STATE = "checkpoint.json", "state.safetensors"


class Standing(Model):
    """Counts that go with the tensors. Scores are the head's, on validation rows."""

    step: int = 0
    best_score: float | None = None
    best_step: int = 0
    cpu_seconds: float = 0.0
    micro_batch: int  # rows that go through the model at once
    initial_divergence: float | None = None  # of a student from its teacher, before the first step
    signal: float | None = None  # what the teacher's answers decided of the first gradient


class Checkpoint(Model):
    """checkpoint.json."""

    standing: Standing
    digest: Digest


@dataclass
class Checkpoints:
    """The checkpoints of one model: written by this attempt, read from any."""

    student: Prefix  # students/<key>
    attempt: str
    model: str
    workdir: Path
    slot: int = field(default=0, init=False)

    def save(self, standing: Standing, tensors: dict[str, Tensor]) -> None:
        """Upload to the older of the two slots."""
        path = self.workdir / f"{self.model}-{STATE}"
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
        target = self.student.child(f"attempts/{self.attempt}/checkpoints/{self.model}/{self.slot}")
        target.upload(path, STATE)
        target.write(RECORD, canonical(Checkpoint(standing=standing, digest=file_digest(path)).dump()))
        self.slot = 1 - self.slot

    def newest(self) -> tuple[Standing, dict[str, Tensor]] | None:
        """The whole checkpoint with the most steps, of any attempt, or None."""
        records = [path for path in self.student.list("attempts") if path.endswith(f"/{RECORD}")]
        mine = [path for path in records if path.split("/")[3] == self.model]
        found = [(Checkpoint.model_validate_json(self.student.read(path)), path) for path in mine]
        for checkpoint, path in sorted(found, key=lambda item: (-item[0].standing.step, item[1])):
            if (tensors := self._load(checkpoint, path)) is not None:
                return checkpoint.standing, tensors
        return None

    def _load(self, checkpoint: Checkpoint, path: str) -> dict[str, Tensor] | None:
        local = self.workdir / f"{self.model}-resumed.safetensors"
        try:
            self.student.download(path.replace(RECORD, STATE), local)
        except NotFound:
            return None
        if file_digest(local) != checkpoint.digest:
            log.warning("a checkpoint is damaged or half written and is passed over", extra={"path": path})
            return None
        tensors: dict[str, Tensor] = load_file(local)
        return tensors
