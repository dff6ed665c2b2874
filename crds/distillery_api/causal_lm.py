"""What a job says about language models alone, and what goes with other tasks."""

# Of kinds that keep a few ids: the whole distribution cannot be computed from them.
FEW_IDS = "(!has(self.softLabels.kind) || self.softLabels.kind in ['sampled', 'topK'])"

FROM_TEXT = "has(self.softLabels.kind) && self.softLabels.kind == 'text'"

CAUSAL_LM_RULES = (
    (
        "self.task != 'causal-lm' || !has(self.promoteTo)",
        "a DistilledModel cannot serve causal-lm yet; remove promoteTo, the student is kept in storage",
        ".promoteTo",
    ),
    (
        f"self.task != 'causal-lm' || !has(self.dataset.unlabelled) || {FROM_TEXT}",
        "texts of a language model need no labels; put them into dataset.train, or set softLabels.kind: text",
        ".dataset.unlabelled",
    ),
    (
        f"!({FROM_TEXT}) || has(self.dataset.columns.prompt)",
        "kind text needs prompts that the teacher answers; name their column and that of the responses",
        ".dataset.columns.prompt",
    ),
    (
        f"!({FROM_TEXT}) || (self.objective.divergence == 'forward' && !has(self.objective.temperature)"
        " && !has(self.objective.hiddenStates) && !has(self.objective.attention)"
        " && !has(self.objective.maxDisagreement))",
        "of kind text the student learns the words alone; of objective set alpha, or use another softLabels.kind",
        ".objective",
    ),
    (
        f"!has(self.dataset.filters) || !has(self.dataset.filters.answers) || ({FROM_TEXT})",
        "filters.answers judge what the teacher wrote; set softLabels.kind text or remove them",
        ".dataset.filters.answers",
    ),
    (
        "!has(self.dataset.filters) || !has(self.dataset.filters.answers)"
        " || !has(self.dataset.filters.answers.maxPerSlice) || has(self.dataset.columns.slice)",
        "name in dataset.columns.slice the column of which each value has its share of the answers",
        ".dataset.columns.slice",
    ),
    (
        "self.task == 'causal-lm' || !has(self.dataset.sequenceLength)",
        "sequenceLength is for task causal-lm alone; remove it",
        ".dataset.sequenceLength",
    ),
    (
        "self.task == 'causal-lm' || !has(self.dataset.columns.prompt)",
        "prompt and response are for task causal-lm alone; name the column with the text in columns.text",
        ".dataset.columns.prompt",
    ),
    (
        "self.task == 'causal-lm' || ((!has(self.softLabels.kind) || self.softLabels.kind == 'logits')"
        " && !has(self.softLabels.samples) && !has(self.softLabels.seed) && !has(self.softLabels.temperature))",
        "of the few outputs of this task all logits are kept; remove what is set beside shards and parallelism",
        ".softLabels.kind",
    ),
    (
        f"self.task != 'causal-lm' || self.objective.divergence == 'forward' || !{FEW_IDS}",
        "sampled and topK soft labels are biased for reverse and jsd; use forward, or softLabels.kind hidden or logits",
        ".objective.divergence",
    ),
    (
        f"self.task != 'causal-lm' || !has(self.objective.temperature) || !{FEW_IDS} || self.objective.temperature =="
        " (has(self.softLabels.temperature) ? self.softLabels.temperature : 1.0)",
        "sampled and topK soft labels have one temperature: leave this out and set softLabels.temperature",
        ".objective.temperature",
    ),
    (
        "self.task != 'causal-lm' || !self.objective.maskTeacherMistakes",
        "maskTeacherMistakes is not for causal-lm, whose texts have many right tokens; remove it",
        ".objective.maskTeacherMistakes",
    ),
    (
        "self.task != 'causal-lm' || !has(self.student.config)"
        " || self.student.config.hiddenSize % (2 * self.student.config.attentionHeads) == 0",
        "for causal-lm hiddenSize must be a multiple of twice attentionHeads (rotary positions); change one of them",
        ".student.config.hiddenSize",
    ),
)
