"""What a job says about scores alone, and what goes with other tasks."""

SCORING_RULES = (
    (
        "self.task == 'text-scoring' || !has(self.dataset.columns.query)",
        "dataset.columns.query is for task text-scoring alone; remove it",
        ".dataset.columns.query",
    ),
    (
        "!has(self.objective.margin) || has(self.dataset.columns.query)",
        "margin compares the scores of texts of one query; name its column in dataset.columns.query, or remove it",
        ".objective.margin",
    ),
    (
        "self.task != 'text-scoring' || !has(self.objective.temperature)",
        "objective.temperature: scores have no temperature; remove it",
        ".objective.temperature",
    ),
    (
        "self.task != 'text-scoring' || self.objective.divergence == 'forward'",
        "scores are no distributions and have no divergence; remove it",
        ".objective.divergence",
    ),
    (
        "self.task != 'text-scoring' || !self.objective.maskTeacherMistakes",
        "maskTeacherMistakes is for labels: a score is not right or wrong; remove it",
        ".objective.maskTeacherMistakes",
    ),
)
