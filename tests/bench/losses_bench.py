"""`make bench-losses`: our losses of tokens beside TRL's, on the same states. The last line is one JSON object.

Forward KL of 1,024 tokens and 49,152 ids between a student and a teacher 256 wide: TRL 1.13.0 on whole matrices of
logits (GKDTrainer) and in chunks of 256 tokens (DistillationTrainer); ours on the teacher's hidden states and on 50
draws a token. `seconds` are of value and gradients, the best of some passes; `peak_mib` is what they add to the
resident memory of a process of its own (VmHWM). `value_difference` and `gradient_difference` are the largest relative
distances of our exact losses (forward KL, reverse KL, JSD) from TRL's, on 64 tokens and 2,048 ids.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from distillery_worker.losses.divergence import Divergence
from distillery_worker.losses.token_objective import token_objective
from distillery_worker.losses.token_targets import HiddenTargets, SampledTargets
from torch import Tensor
from train_bench import PEAK_TOKENS, PEAK_VOCABULARY, PEAK_WIDTH, resident_mib

# Of a student's states [tokens, width] and head [vocabulary, width], and of a teacher's.
Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
BETAS: dict[Divergence, float] = {"forward": 0.0, "reverse": 1.0, "jsd": 0.5}  # as TRL numbers them
TRL_CHUNK = 256  # its default
DRAWS = 50


def trl_dense(kind: Divergence = "forward") -> Loss:
    """GKDTrainer's loss."""
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    from trl.experimental.gkd.gkd_trainer import GKDTrainer

    def loss(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor) -> Tensor:
        with torch.no_grad():
            logits = teacher @ teacher_head.T
        return GKDTrainer.generalized_jsd_loss(hidden @ head.T, logits, beta=BETAS[kind], reduction="sum") / len(hidden)

    return loss


def trl_chunked(kind: Divergence = "forward") -> Loss:
    """DistillationTrainer's loss."""
    from trl.trainer.distillation_trainer import _chunked_divergence_loss

    def loss(hidden: Tensor, head: Tensor, teacher: Tensor, teacher_head: Tensor) -> Tensor:
        mask = torch.ones(1, len(hidden))
        return _chunked_divergence_loss(hidden[None], teacher[None], head, teacher_head, mask, BETAS[kind], TRL_CHUNK)[
            0
        ]

    return loss


def ours_hidden(kind: Divergence = "forward") -> Loss:
    """On the teacher's hidden states."""
    return lambda hidden, head, teacher, teacher_head: soft(hidden, head, HiddenTargets(teacher, teacher_head, kind))


def ours_sampled() -> Loss:
    """On draws; which ids they are costs nothing here."""
    return lambda hidden, head, *_: soft(
        hidden, head, SampledTargets(torch.randint(len(head), (len(hidden), DRAWS), dtype=torch.int32))
    )


def soft(hidden: Tensor, head: Tensor, targets: HiddenTargets | SampledTargets) -> Tensor:
    """The first term of the objective alone."""
    gold = torch.zeros(len(hidden), dtype=torch.long)
    return token_objective(hidden, head, targets, torch.ones(len(hidden)), gold, alpha=1.0, temperature=1.0)


LOSSES: dict[str, Callable[[], Loss]] = {
    "TRL, whole matrices": trl_dense, "TRL, in chunks": trl_chunked, "hidden": ours_hidden, "sampled": ours_sampled
}  # fmt: skip


def inputs(tokens: int, vocabulary: int) -> list[Tensor]:
    """States and heads of a student, which want gradients, and of a teacher."""
    random = torch.Generator().manual_seed(0)
    shapes = [(tokens, PEAK_WIDTH), (vocabulary, PEAK_WIDTH)] * 2
    # Logits with a deviation of 4, as a teacher has that is sure of some tokens.
    made = [
        torch.randn(shape, generator=random) * (1 if shape[0] == tokens else 4 / PEAK_WIDTH**0.5) for shape in shapes
    ]
    return [each.requires_grad_(place < 2) for place, each in enumerate(made)]


def measured(name: str, passes: int) -> dict[str, object]:
    """Seconds and memory of one loss, in this process."""
    loss, given = LOSSES[name](), inputs(PEAK_TOKENS, PEAK_VOCABULARY)
    before, seconds = resident_mib("VmRSS"), []
    for _ in range(passes):
        given[0].grad = given[1].grad = None
        start = time.perf_counter()
        loss(*given).backward()
        seconds.append(time.perf_counter() - start)
    return {"name": name, "seconds": round(min(seconds), 3), "peak_mib": round(resident_mib("VmHWM") - before, 1)}


def differences() -> dict[str, float]:
    """Largest relative distances of our exact losses and gradients from TRL's two."""
    values, gradients, given = [], [], inputs(tokens=64, vocabulary=2048)
    for kind in BETAS:
        mine = valued(ours_hidden(kind), given)
        for theirs in (valued(trl_dense(kind), given), valued(trl_chunked(kind), given)):
            values.append(relative(mine[0], theirs[0]))
            gradients += [relative(own, other) for own, other in zip(mine[1:], theirs[1:], strict=True)]
    return {"value_difference": max(values), "gradient_difference": max(gradients)}


def valued(loss: Loss, given: list[Tensor]) -> list[Tensor]:
    """Value and both gradients."""
    value = loss(*given)
    return [value.detach(), *torch.autograd.grad(value, given[:2])]


def relative(first: Tensor, second: Tensor) -> float:
    """Norm of the difference over the second's."""
    return float((first - second).norm() / second.norm())


def main() -> None:
    """Measure each loss in a process of its own, and print."""
    parser = argparse.ArgumentParser(description="Our losses of tokens beside TRL's.")
    parser.add_argument("--trl", type=Path, help="folder with the packages of peer/trl.txt", required=True)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--one", choices=LOSSES, help="one loss alone, in this process")
    options = parser.parse_args()
    sys.path.append(str(options.trl))  # behind the locked packages
    warnings.filterwarnings("ignore")
    if options.one:
        print(json.dumps(measured(options.one, options.passes)))
        return
    again = [sys.executable, __file__, "--trl", str(options.trl), "--passes", str(options.passes), "--one"]
    lines = [subprocess.run([*again, name], check=True, stdout=subprocess.PIPE, text=True).stdout for name in LOSSES]
    print(json.dumps({"losses": [json.loads(line.splitlines()[-1]) for line in lines], **differences()}))


if __name__ == "__main__":
    main()
