"""What stored labels teach at each token: of the student's log-probabilities, a loss per token, a class for each codec.

Log-probabilities come for some tokens at a time, given by their indices [n], at the temperature T of the objective:
float32 [n, vocabulary]. Losses are [n], without the factor T^2.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .divergence import Divergence, between, kl


class TokenTargets(Protocol):
    """Labels of all tokens of a batch."""

    def loss(self, log_probs: Tensor, tokens: Tensor, temperature: float) -> Tensor:
        """The loss of each of these tokens."""

    def probability(self, ids: Tensor, tokens: Tensor) -> Tensor:
        """What the teacher gives an id [n] at each of these tokens [n]: [n]; nothing to one that is not kept."""


@dataclass(frozen=True)
class SampledTargets:
    """Ids drawn from the teacher's distribution: [tokens, samples], an id as often as it was drawn."""

    draws: Tensor

    def loss(self, log_probs: Tensor, tokens: Tensor, temperature: float) -> Tensor:
        """Cross-entropy with the draws: without bias KL(teacher || student) plus the teacher's entropy.

        The entropy is the same for every student, so the gradient is without bias that of KL (arXiv 2503.16870).
        """
        draws = self.draws[tokens].long()
        return -log_probs.gather(1, draws).mean(dim=1)

    def probability(self, ids: Tensor, tokens: Tensor) -> Tensor:
        """An id's share of the draws."""
        return (self.draws[tokens] == ids[:, None]).float().mean(dim=1)


@dataclass(frozen=True)
class TopKTargets:
    """ids: [tokens, k]; log_masses: [tokens, k + 1], of these ids and of all others together."""

    ids: Tensor
    log_masses: Tensor

    def loss(self, log_probs: Tensor, tokens: Tensor, temperature: float) -> Tensor:
        """KL(teacher || student) of k ids and one bucket for the rest: a lower bound, blind to the tail's shape."""
        ids = self.ids[tokens].long()
        tail = log_probs.scatter(1, ids, -torch.inf).logsumexp(dim=1, keepdim=True)
        answer = torch.cat([log_probs.gather(1, ids), tail], dim=1)
        return kl(self.log_masses[tokens], answer)

    def probability(self, ids: Tensor, tokens: Tensor) -> Tensor:
        """The mass of an id."""
        masses = self.log_masses[tokens, :-1].exp()
        return (masses * (self.ids[tokens] == ids[:, None])).sum(dim=1)


@dataclass(frozen=True)
class LogitsTargets:
    """The teacher's logits [tokens, vocabulary]: exact for every divergence and temperature."""

    logits: Tensor
    kind: Divergence = "forward"

    def loss(self, log_probs: Tensor, tokens: Tensor, temperature: float) -> Tensor:
        """The divergence of each token."""
        logits = self.logits[tokens].float()
        return between(torch.log_softmax(logits / temperature, dim=-1), log_probs, self.kind)

    def probability(self, ids: Tensor, tokens: Tensor) -> Tensor:
        """The softmax."""
        return probabilities(self.logits[tokens].float(), ids)


@dataclass(frozen=True)
class HiddenTargets:
    """The teacher's final states [tokens, its width] and its head [vocabulary, its width], multiplied chunk by chunk.

    A live teacher gives the same two, so training without stored labels takes this path too.
    """

    hidden: Tensor
    head: Tensor
    kind: Divergence = "forward"

    def loss(self, log_probs: Tensor, tokens: Tensor, temperature: float) -> Tensor:
        """The divergence of each token."""
        logits = (self.hidden[tokens] @ self.head.T).float()
        return between(torch.log_softmax(logits / temperature, dim=-1), log_probs, self.kind)

    def probability(self, ids: Tensor, tokens: Tensor) -> Tensor:
        """The softmax."""
        return probabilities((self.hidden[tokens] @ self.head.T).float(), ids)


def probabilities(logits: Tensor, ids: Tensor) -> Tensor:
    """The softmax of logits [n, vocabulary] at one id each: [n]."""
    return torch.softmax(logits, dim=-1).gather(1, ids[:, None]).squeeze(1)
