"""Conditions as values: set by type, `lastTransitionTime` moved only when the status flips."""

from collections.abc import Sequence
from dataclasses import dataclass

from distillery_api.schema import Condition


@dataclass(frozen=True)
class Wanted:
    """What a condition should say."""

    type: str
    status: str  # True | False | Unknown
    reason: str
    message: str = ""


def merged(held: Sequence[Condition], wanted: Sequence[Wanted], generation: int, now: str) -> list[Condition]:
    """The new list: every wanted condition, then held ones that nobody mentioned."""
    by_type = {condition.type: condition for condition in held}
    named = {want.type for want in wanted}
    fresh = [renewed(by_type.get(want.type), want, generation, now) for want in wanted]
    return fresh + [condition for condition in held if condition.type not in named]


def renewed(held: Condition | None, want: Wanted, generation: int, now: str) -> Condition:
    """One condition brought up to date."""
    flipped = held is None or held.status != want.status
    return Condition(
        type=want.type,
        status=want.status,
        reason=want.reason,
        message=want.message[:4096],
        last_transition_time=now if flipped or held is None else held.last_transition_time,
        observed_generation=generation,
    )
