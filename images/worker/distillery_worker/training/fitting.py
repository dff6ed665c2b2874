"""One model's training: AdamW with a one-cycle schedule, checkpoints, and the best weights on validation rows."""

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..context import Context
from ..devices import best_device
from .checkpoints import Checkpoints, Standing
from .examples import Examples, Split, batches_from
from .learner import Learner

WARM_UP = 0.1  # share of the steps
START_DIVISOR, END_DIVISOR = 25.0, 1e4
WEIGHT_DECAY = 0.01
MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Schedule:
    """How long and how fast."""

    steps: int
    validate_every: int  # steps
    checkpoint_every: int  # steps
    batch_size: int
    learning_rate: float
    seed: int

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0: up on a cosine for WARM_UP of the steps, then down to almost 0."""
        warm = max(1.0, WARM_UP * self.steps)
        low, end = self.learning_rate / START_DIVISOR, self.learning_rate / END_DIVISOR
        if step < warm:
            return cosine(low, self.learning_rate, step / warm)
        return cosine(self.learning_rate, end, (step - warm) / max(1.0, self.steps - warm))


def cosine(start: float, end: float, share: float) -> float:
    """Half a cosine wave from start to end."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


class Fit:
    """A model with its optimiser. Nothing random happens after the start, so the state below is all of it."""

    def __init__(
        self,
        model: PreTrainedModel,
        split: Split,
        learner: Learner,
        schedule: Schedule,
    ) -> None:
        self.device = best_device()
        self.model: PreTrainedModel = model.to(self.device)
        self.split, self.learner, self.schedule = split, learner, schedule
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=schedule.learning_rate, weight_decay=WEIGHT_DECAY, fused=True
        )
        self.standing = Standing()
        self.best: dict[str, Tensor] = {}

    def run(self, checkpoints: Checkpoints, context: Context) -> int:
        """Train to the end from the newest checkpoint; gives the step it began at. Raises Interrupted."""
        began = self.restore(checkpoints)
        context.progress.resume(began)
        batches = batches_from(self.split.learn, self.schedule.batch_size, self.schedule.seed, began)
        clock = time.process_time()
        saved = began
        while self.standing.step < self.schedule.steps:
            self.train_step(next(batches))
            context.progress.advance()
            step, last = self.standing.step, self.standing.step == self.schedule.steps
            if last or step % self.schedule.validate_every == 0:
                self.validate()
            if last or context.stop.is_set() or step - saved >= self.schedule.checkpoint_every:
                clock = self.count_cpu(clock)
                checkpoints.save(self.standing, self.tensors())
                saved = step
            if not last:
                context.check_stop(f"step {step} of {self.schedule.steps} is checkpointed")
        self.model.load_state_dict(self.best)
        return began

    def train_step(self, batch: Examples) -> None:
        """One update of the weights."""
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate_at(self.standing.step)
        loss = self.learner.loss(self.model, batch)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.standing = self.standing.model_copy(update={"step": self.standing.step + 1})

    def validate(self) -> None:
        """Keep the weights if they score at least as well as the best so far."""
        score = self.learner.score(self.model, self.split.validation)
        best = self.standing.best_score
        if best is None or score >= best:
            self.standing = self.standing.model_copy(update={"best_score": score, "best_step": self.standing.step})
            self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def count_cpu(self, since: float) -> float:
        """Add this process's CPU time to the standing; gives the new starting point."""
        now = time.process_time()
        spent = self.standing.cpu_seconds + now - since
        self.standing = self.standing.model_copy(update={"cpu_seconds": spent})
        return now

    def tensors(self) -> dict[str, Tensor]:
        """Weights, best weights and AdamW's moments, by name."""
        state = {f"model/{name}": tensor for name, tensor in self.model.state_dict().items()}
        state |= {f"best/{name}": tensor for name, tensor in self.best.items()}
        for name, parameter in self.model.named_parameters():
            moments = self.optimizer.state[parameter]
            state[f"first/{name}"], state[f"second/{name}"] = moments["exp_avg"], moments["exp_avg_sq"]
        return state

    def restore(self, checkpoints: Checkpoints) -> int:
        """Take over the newest checkpoint; gives its step, 0 without one."""
        if (found := checkpoints.newest()) is None:
            return 0
        self.standing, tensors = found
        self.model.load_state_dict(section(tensors, "model/"))
        self.best = section(tensors, "best/")
        first, second = section(tensors, "first/"), section(tensors, "second/")
        for name, parameter in self.model.named_parameters():
            self.optimizer.state[parameter] = {
                "step": torch.tensor(float(self.standing.step), device=self.device),
                "exp_avg": first[name].to(self.device),
                "exp_avg_sq": second[name].to(self.device),
            }
        return self.standing.step


def section(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
