"""What the student answers on the held-out rows as perturbations change them; no other model is run again."""

from distillery_api.artifact import ArtifactManifest
from distillery_api.robustness import Perturbation
from distillery_api.run import EvaluateRun

from ..data.files import Rows
from ..perturbing.rows import perturbed
from ..tasks.head import Head
from ..tasks.task import Engine
from ..teachers.teacher import outputs_of
from .answering import Answers, Ask, Evaluation, Told


def perturbations_of(run: EvaluateRun) -> tuple[Perturbation, ...]:
    """Those that the gate asks about."""
    return run.gate.robustness.of(run.task) if run.gate.robustness else ()


def score_perturbed(evaluation: Evaluation, manifest: ArtifactManifest) -> None:
    """The artifact, in the engine that serves it, on changed rows. Raises Interrupted."""
    names = perturbations_of(evaluation.run)
    if not names:
        return
    context, task = evaluation.context, evaluation.task
    head = task.head_of(manifest.labels)
    engine = task.engine(context.folder("artifact"), manifest, context.threads)
    for name in names:
        evaluation.perturbed[name] = Answers(asked_changed(evaluation, name, engine, head))


def asked_changed(evaluation: Evaluation, name: Perturbation, engine: Engine, head: Head) -> Ask:
    """How the engine answers rows that a perturbation has changed."""

    def ask(rows: Rows) -> Told:
        inputs, encoder = perturbed(name, rows, engine.encoder)
        return head.answers(outputs_of(engine.run, encoder, inputs, head.outputs, evaluation.answered)), None

    return ask
