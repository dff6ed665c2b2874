"""The reasons that an event may have: a closed list, each explained in docs/distillationjob.md or distilledmodel.md."""

STEPS = frozenset({"LabelSkipped", "StageRepeated", "StageRetried", "Resumed", "Passed"})
WRONG_INPUTS = frozenset(
    {
        "MissingColumn", "InvalidScore", "UnknownLabel", "EmptyText", "EmptyGroup", "ImageUnreadable",
        "EmptyTestSet", "EmptyTrainSet", "SliceTooSmall", "TestInTraining",
        "DataUnreadable", "SourceNotFound", "AccessDenied", "StorageRefused", "DigestMismatch", "UnsafeFormat",
        "ModelUnsupported", "TokenizerMismatch", "WeightsCorrupt", "LabelsMissing", "LabelsNotReproduced",
        "ArtifactMismatch", "SigningKeyUnusable",
        "PromptTooLong", "TeacherUnfit", "StudentUnfit", "NoSignal", "BiasedSoftLabels",
        "LabelsDiffer", "SliceWithoutTeacher", "LabelsIndistinct", "AnswersUnusable", "EndpointRefused",
        "ExportMismatch", "GateInput", "LooksUnreadable", "InvalidSpec", "ChildRefused", "NameTaken",
    }
)  # fmt: skip
FAULTS = frozenset(
    {
        "StorageUnavailable", "OutOfMemory", "ImageUnavailable", "PendingDeadlineExceeded", "ActiveDeadlineExceeded",
        "GpuSecondsUsedUp", "DiskFull", "Interrupted", "InternalError", "WorkerFailed", "JobFailed",
        "AttemptsExhausted", "PeerLost", "ResultUnreadable", "EndpointUnavailable", "TokensUsedUp",
    }
)  # fmt: skip
VERDICTS = frozenset(
    {
        "RetentionBelowThreshold", "WorseThanIncumbent", "QualityBelowLimit", "TooManyFlips", "SliceBelowThreshold",
        "TeacherMistakesCopied", "PoorlyCalibrated", "NotRobust", "TestSetLeaked",
        "TooSlow", "TooLarge", "TooMuchMemory",
        "TooExpensive",
        "Inconclusive", "InsufficientEvidence", "GateFailed", "VerdictUntrusted", "IncumbentChanged",
    }
)  # fmt: skip
DECISIONS = frozenset(
    {
        "Promoted", "PromotedByHand", "RejectedByHand", "NoVerdict", "CandidateFailed", "Superseded", "GateChanged",
        "InterfaceChanged",
    }
)  # fmt: skip
NO_OFFERS = frozenset({"JobUnreadable"})  # of a model, where there is nothing to decide on
LISTED = STEPS | WRONG_INPUTS | FAULTS | VERDICTS | DECISIONS | NO_OFFERS


def closed(reason: str, message: str) -> tuple[str, str]:
    """Reason and message of the event: a word of a foreign worker or of Kubernetes moves into the message."""
    if reason in LISTED:
        return reason, message
    return "StageFailed", f"{reason}: {message}"
