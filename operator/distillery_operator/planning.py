"""What a pass over an object decides: the plan of its kind, or the word that it cannot be read. No I/O, no clock."""

from collections.abc import Mapping

from distillery_api.distillationjob_status import Progress
from distillery_api.schema import Failure
from pydantic import ValidationError

from .conditions import Wanted, merged
from .job_pass import Words
from .job_plan import plan_job
from .model_plan import plan_model
from .names import JOB, Kind
from .plans import Note, Plan
from .settings import Settings
from .store import Object, Store
from .views import job_view, model_view, why_unreadable


def plan_object(
    kind: Kind, obj: Object, store: Store, settings: Settings, now: str,
    progress: Mapping[str, Progress], refused: Mapping[str, Failure], words: Words, created: str | None = None,
) -> Plan:  # fmt: skip
    """Plan one pass. `now` is RFC 3339; `progress` goes by Job name, `refused` by name of the child.

    `created` is the newest Job that this process has seen come into being.
    """
    try:
        if kind == JOB:
            return plan_job(job_view(obj, store, progress, refused, words, created), settings, now)
        return plan_model(model_view(obj, store, refused), settings, now)
    except ValidationError as error:
        return invalid(obj, error, now)


def invalid(obj: Object, error: ValidationError, now: str) -> Plan:
    """A spec that the API server let through and we cannot read: say so, and wait for another."""
    held, generation = obj.get("status", {}), obj["metadata"]["generation"]
    if held.get("finishedAt"):
        return Plan(status={**held, "observedGeneration": generation})
    message = why_unreadable(error)
    wanted = [
        Wanted("Ready", "False", "InvalidSpec", message),
        Wanted("Reconciling", "False", "InvalidSpec"),
        Wanted("Stalled", "True", "InvalidSpec", message),
    ]
    conditions = [condition.dump() for condition in merged((), wanted, generation, now)]
    said = [condition["message"] for condition in held.get("conditions", ())]
    if held.get("observedGeneration") == generation and said == [condition["message"] for condition in conditions]:
        return Plan(status=held)
    return Plan(
        # The rest stands: what serves, and what a run has made, must be there once the object can be read again.
        status={**held, "observedGeneration": generation, "conditions": conditions},
        notes=(Note("Warning", "InvalidSpec", message),),
    )
