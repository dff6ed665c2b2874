"""One model's training: AdamW with a one-cycle schedule, checkpoints, and the best weights on validation rows."""

import logging
import math
import time
from dataclasses import dataclass
from typing import Generic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from ..context import Context
from ..devices import best_device
from ..errors import Interrupted
from .checkpoints import Checkpoints, Standing
from .examples import E, Split, batches_from, micro_batches
from .first_step import kept_buffers, signal_of
from .learner import Learning
from .ranks import Ranks
from .state import restore_state, trained_parameters, trained_state

log = logging.getLogger(__name__)

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


class Fit(Generic[E]):
    """A model with its optimiser. What is random in a step comes from seed and step, so the state is all of it."""

    def __init__(
        self, model: PreTrainedModel, split: Split[E], learner: Learning[E], schedule: Schedule, ranks: Ranks
    ) -> None:
        self.device, self.ranks = best_device(), ranks
        self.model, self.split, self.learner, self.schedule = model, split, learner, schedule
        self.trained = nn.ModuleDict({"model": model})
        if learner.signals:
            self.trained["projections"] = learner.signals.projections
        self.trained.to(self.device)
        self.optimizer = torch.optim.AdamW(
            trained_parameters(self.trained).values(), lr=schedule.learning_rate, weight_decay=WEIGHT_DECAY, fused=True
        )
        self.standing = Standing(micro_batch=schedule.batch_size)
        self.best: dict[str, Tensor] = {}

    def run(self, checkpoints: Checkpoints, context: Context) -> int:
        """Train to the end from the newest checkpoint; gives the step it began at. Raises Interrupted and InputRefused.

        The first process ends with the best weights, the others with their last.
        """
        began = self.restore(checkpoints)
        if self.ranks.sum(began, self.device) != began * self.ranks.size:
            raise RuntimeError("the processes found different checkpoints to resume from; the next attempt looks again")
        self.ranks.copy_first(trained_state(self.trained).values())
        if began == 0 and self.learner.objective.alpha > 0:
            self.check_start()
        context.progress.resume(began)
        learn, schedule = self.split.learn, self.schedule
        batches = batches_from(learn, self.learner.units(learn), schedule.batch_size, schedule.seed, began)
        clock = time.process_time()
        saved = began
        while self.standing.step < self.schedule.steps:
            self.train_step(next(batches))
            context.progress.advance()
            step, last = self.standing.step, self.standing.step == self.schedule.steps
            stop = self.ranks.sum(context.stop.is_set(), self.device) > 0
            if self.ranks.first and (last or step % self.schedule.validate_every == 0):
                self.validate()
            if last or stop or step - saved >= self.schedule.checkpoint_every:
                clock = self.count_cpu(clock)
                if self.ranks.first:
                    checkpoints.save(self.standing, self.tensors())
                saved = step
            if stop and not last:
                self.ranks.wait()  # for the checkpoint
                raise Interrupted(f"step {step} of {self.schedule.steps} is checkpointed")
        if self.ranks.first:
            restore_state(self.model, self.best)
        return began

    def check_start(self) -> None:
        """Measure what the teacher's answers to a few rows do, and keep nothing else of it.

        Raises InputRefused (StudentUnfit, NoSignal).
        """
        batch = self.learner.sample(self.split.learn)
        with kept_buffers(self.trained):
            gradient = self.gradient(batch)
            divergence = self.divergence(batch)
            exchanged = self.gradient(self.learner.exchanged(batch))
        self.learner.check_start(divergence, self.split.learn)
        found = {"initial_divergence": divergence, "signal": signal_of(gradient, exchanged)}
        log.info("before the first step", extra=found)
        self.standing = self.standing.model_copy(update=found)

    def gradient(self, batch: E) -> Tensor:
        """That of the first step on all rows of the batch: [weights], of those that it has one for."""
        self.model.train()
        while not self.accumulate(batch, np.arange(len(batch))):
            self.halve_micro_batch()
        parameters = trained_parameters(self.trained).values()
        found = [weight.grad.flatten() for weight in parameters if weight.grad is not None]
        self.optimizer.zero_grad()
        return torch.cat(found)

    @torch.no_grad()
    def divergence(self, batch: E) -> float:
        """The student's mean divergence from the teacher."""
        rows, size = np.arange(len(batch)), self.standing.micro_batch
        starts = range(0, len(rows), size)
        return sum(float(self.learner.divergence(self.model, batch, rows[start : start + size])) for start in starts)

    def train_step(self, batch: E) -> None:
        """One update of the weights."""
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate_at(self.standing.step)
        while not self.accumulate(batch, self.own_rows(batch)):
            self.halve_micro_batch()
        self.ranks.sum_gradients(trained_parameters(self.trained).values())
        torch.nn.utils.clip_grad_norm_(self.trained.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.standing = self.standing.model_copy(update={"step": self.standing.step + 1})

    def own_rows(self, batch: E) -> NDArray[np.int64]:
        """Indices of the rows of this process's units of a batch."""
        numbers, units = np.unique(self.learner.units(batch), return_inverse=True)
        return np.flatnonzero(np.isin(units, self.ranks.share(len(numbers))))

    def accumulate(self, batch: E, rows: NDArray[np.int64]) -> bool:
        """Add up the gradients of these rows by micro-batches; False where one does not fit into memory."""
        torch.manual_seed(step_seed(self.schedule.seed, self.standing.step, self.ranks.rank))  # of dropout
        try:
            for part in micro_batches(rows, self.learner.units(batch)[rows], self.standing.micro_batch):
                torch.autograd.backward(self.learner.loss(self.model, batch, part))
        except torch.OutOfMemoryError:
            if self.standing.micro_batch == 1:
                raise
            return False
        return True

    def halve_micro_batch(self) -> None:
        """Begin the batch anew in smaller parts: the sum of their gradients is the same."""
        self.optimizer.zero_grad()
        torch.cuda.empty_cache()
        size = -(-self.standing.micro_batch // 2)
        self.standing = self.standing.model_copy(update={"micro_batch": size})
        log.warning("out of memory: the micro-batch is halved", extra={"step": self.standing.step, "rows": size})

    def validate(self) -> None:
        """Keep the weights if they score at least as well as the best so far."""
        score = self.learner.score(self.model, self.split.validation)
        best = self.standing.best_score
        if best is None or score >= best:
            self.standing = self.standing.model_copy(update={"best_score": score, "best_step": self.standing.step})
            self.best = {name: tensor.detach().clone() for name, tensor in trained_state(self.model).items()}

    def count_cpu(self, since: float) -> float:
        """Add the processes' CPU time to the standing; gives the new starting point."""
        now = time.process_time()
        spent = self.standing.cpu_seconds + self.ranks.sum(now - since, self.device)
        self.standing = self.standing.model_copy(update={"cpu_seconds": spent})
        return now

    def tensors(self) -> dict[str, Tensor]:
        """Weights, best weights and AdamW's moments, by name."""
        state = {f"trained/{name}": tensor.detach() for name, tensor in trained_state(self.trained).items()}
        state |= {f"best/{name}": tensor for name, tensor in self.best.items()}
        for name, parameter in trained_parameters(self.trained).items():
            moments = self.optimizer.state[parameter]
            if not moments:  # no loss depends on the weight
                continue
            state[f"first/{name}"], state[f"second/{name}"] = moments["exp_avg"], moments["exp_avg_sq"]
        return state

    def restore(self, checkpoints: Checkpoints) -> int:
        """Take over the newest checkpoint; gives its step, 0 without one."""
        if (found := checkpoints.newest()) is None:
            return 0
        self.standing, tensors = found
        restore_state(self.trained, section(tensors, "trained/"))
        self.best = section(tensors, "best/")
        first, second = section(tensors, "first/"), section(tensors, "second/")
        parameters = trained_parameters(self.trained)
        for name in first:
            self.optimizer.state[parameters[name]] = {
                "step": torch.tensor(float(self.standing.step), device=self.device),
                "exp_avg": first[name].to(self.device),
                "exp_avg_sq": second[name].to(self.device),
            }
        return self.standing.step


def step_seed(seed: int, step: int, rank: int) -> int:
    """The seed of what is random in one step of one process."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0])


def section(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
