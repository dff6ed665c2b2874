"""What a person decides on a student that the evidence did not decide on."""

from distillery_api.gate import GateSpec
from distillery_operator.names import MODEL, PROMOTE_ANNOTATION, REJECT_ANNOTATION
from model_world import REPORT, ModelWorld, digest


def evidence_on(artifact: str, report: str = REPORT["report_digest"]) -> str:
    return f"{digest(artifact)}@{report}"


def annotate(world: ModelWorld, **decisions: str | None) -> None:
    """promote and reject, or None to take one away."""
    annotations = dict(world.held["metadata"].get("annotations", {}))
    for name, value in decisions.items():
        key = {"promote": PROMOTE_ANNOTATION, "reject": REJECT_ANNOTATION}[name]
        annotations.pop(key, None)
        if value is not None:
            annotations[key] = value
    world.put(MODEL, {**world.held, "metadata": {**world.held["metadata"], "annotations": annotations}})
    world.settle()


def undecided(**spec: object) -> ModelWorld:
    """Student a serves, and the rows did not decide on student b."""
    world = ModelWorld(**spec)
    world.promote("first", "a")
    world.finish_job("second", "b", incumbent="a", result="Inconclusive")
    world.settle()
    return world


def last(world: ModelWorld) -> tuple[str, str, str]:
    entry = world.status["history"][-1]
    return entry["job"], entry["outcome"], entry["reason"]


def test_an_undecided_student_waits_for_a_person_and_says_what_to_write():
    world = undecided()
    assert last(world) == ("second", "Held", "Inconclusive")
    status, reason, message = world.condition("CandidateRejected")
    assert (status, reason) == ("True", "Inconclusive")
    assert f"annotate the model with {PROMOTE_ANNOTATION}={evidence_on('b')}" in message
    assert world.status["history"][-1]["evidence"] == evidence_on("b")
    assert world.deployments() == ["a"]


def test_a_person_promotes_it_and_the_model_says_so():
    world = undecided()
    annotate(world, promote=evidence_on("b"))
    assert world.deployments() == ["a", "b"]
    world.ready()
    world.settle()
    assert world.routed_to() == "b"
    assert last(world) == ("second", "Promoted", "PromotedByHand")
    assert world.status["active"]["byHand"] is True
    world.promote("third", "c", incumbent="b")
    assert "byHand" not in world.status["active"]


def test_a_person_rejects_it_and_may_not_think_again():
    world = undecided()
    annotate(world, reject=evidence_on("b"))
    assert last(world) == ("second", "Rejected", "RejectedByHand")
    annotate(world, promote=evidence_on("b"), reject=None)
    assert (world.deployments(), last(world)[2]) == (["a"], "RejectedByHand")


def test_who_both_promotes_and_rejects_it_rejects_it():
    world = undecided()
    annotate(world, promote=evidence_on("b"), reject=evidence_on("b"))
    assert last(world)[2] == "RejectedByHand"


def test_a_decision_on_other_evidence_decides_nothing_and_is_told():
    world = undecided()
    for stale in (evidence_on("b", digest("9")), evidence_on("c"), digest("b"), "yes"):
        annotate(world, promote=stale)
        assert (world.deployments(), last(world)) == (["a"], ("second", "Held", "Inconclusive"))
        assert "names another student or another report" in world.condition("CandidateRejected")[2]


def test_a_decision_that_is_there_before_the_verdict_counts_at_once():
    world = ModelWorld()
    annotate(world, promote=evidence_on("a"))
    world.finish_job("first", "a", result="Inconclusive")
    world.settle()
    world.ready()
    world.settle()
    assert (world.routed_to(), last(world)[2]) == ("a", "PromotedByHand")


def test_a_decision_that_is_taken_back_before_the_cut_over_ends_the_candidate():
    world = undecided()
    annotate(world, promote=evidence_on("b"))
    annotate(world, promote=None)
    world.clock += 60
    world.settle()
    assert (world.deployments(), world.routed_to()) == (["a"], "a")
    assert "candidate" not in world.status


def test_a_person_cannot_wave_a_failed_student_through():
    world = ModelWorld()
    world.promote("first", "a")
    annotate(world, promote=evidence_on("b"))
    world.finish_job("second", "b", incumbent="a", result="Fail")
    world.settle()
    assert (world.deployments(), last(world)[1]) == (["a"], "Rejected")


def test_a_gate_that_refuses_undecided_students_leaves_nothing_to_decide():
    world = undecided(promotion={"gate": {"onInconclusive": "Fail"}})
    assert last(world) == ("second", "Rejected", "InsufficientEvidence")
    annotate(world, promote=evidence_on("b"))
    assert (world.deployments(), last(world)[1]) == (["a"], "Rejected")


def test_a_decision_counts_only_against_the_student_that_served_then():
    world = undecided()
    world.promote("third", "c", incumbent="a")
    annotate(world, promote=evidence_on("b"))
    assert world.routed_to() == "c"
    assert last(world) == ("second", "Held", "IncumbentChanged")


def test_a_decision_is_used_once():
    world = undecided()
    annotate(world, promote=evidence_on("b"))
    world.ready()
    world.settle()
    world.promote("third", "c", incumbent="b")
    world.settle()
    assert (world.routed_to(), last(world)[0]) == ("c", "third")


def test_a_candidate_that_a_person_promoted_and_that_does_not_come_up_is_not_tried_again():
    world = undecided()
    annotate(world, promote=evidence_on("b"))
    world.refuse("b", "the artifact cannot be loaded")
    world.settle()
    assert (world.deployments(), last(world)) == (["a"], ("second", "Rejected", "CandidateFailed"))


def test_a_job_whose_gate_differs_from_the_models_is_not_promoted_by_hand_either():
    world = ModelWorld()
    world.finish_job("early", "a", gate=GateSpec(min_retention=0.96), result="Inconclusive")
    annotate(world, promote=evidence_on("a"))
    world.ready()
    world.settle()
    assert "active" not in world.status
    assert last(world)[2] == "GateChanged"
