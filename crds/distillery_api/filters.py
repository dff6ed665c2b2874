"""Which rows of a dataset are learned from: dataset.filters of a DistillationJob."""

from typing import Annotated, Any, Literal

from pydantic import Field

from .judge import Judge
from .schema import Model, rules

# ISO 639-1 where a language has such a code, else ISO 639-3: what the worker's language model tells apart.
LanguageCode = Literal[
    "ace", "af", "am", "an", "ar", "ary", "arz", "as", "az", "ba", "bcl", "be", "bg", "bn", "br", "bs", "ca", "crh",
    "cs", "cy", "da", "de", "dz", "el", "en", "eo", "es", "et", "eu", "ext", "fa", "fi", "fo", "fr", "fuv", "fy",
    "ga", "gcf", "gcr", "gd", "gl", "gom", "grc", "gu", "gug", "guw", "ha", "hbo", "he", "hi", "hr", "ht", "hu",
    "hy", "id", "ig", "is", "it", "ja", "jv", "ka", "kab", "kik", "kk", "km", "kn", "ko", "ku", "ky", "la", "lb",
    "lg", "lij", "ln", "lo", "lt", "ltg", "lv", "mg", "mk", "ml", "mn", "mr", "ms", "mt", "my", "ne", "nl", "nn",
    "no", "nso", "oc", "om", "or", "pa", "pcm", "pl", "ps", "pt", "qu", "ro", "ru", "rw", "sa", "sdh", "se", "si",
    "sk", "sl", "sn", "so", "sq", "sr", "st", "sv", "sw", "ta", "te", "tg", "th", "tk", "tl", "tr", "tt", "ug",
    "uk", "ur", "uz", "uzs", "vec", "vi", "vo", "wa", "wuu", "xh", "yo", "yue", "zh", "zu", "zxx",
]  # fmt: skip


class Length(Model):
    """Bounds on the length of a text."""

    min_characters: Annotated[int, Field(ge=1, le=10000000)] | None = None
    max_characters: Annotated[int, Field(ge=1, le=10000000)] | None = None


class Language(Model):
    """Texts that are plainly in another language are dropped; texts too short to tell are kept."""

    keep: Annotated[
        list[LanguageCode],
        Field(min_length=1, max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ]


class Contamination(Model):
    """Rows to learn from that share 13 words in a row with a test row, nearly equal one, or are of its group."""

    on_found: Annotated[
        Literal["Remove", "Refuse"], Field(description="Remove drops such rows; Refuse fails the job.")
    ] = "Remove"


class NearDuplicates(Model):
    """Texts that differ little."""

    threshold: Annotated[
        float,
        Field(ge=0.5, le=1, description="Jaccard similarity of the texts' runs of 5 characters from which on."),
    ] = 0.8


class Dedupe(Model):
    """Of equal rows the first is kept, labelled ones before unlabelled ones."""

    near: Annotated[NearDuplicates, Field(description="Drops nearly equal texts, too.")] | None = None


class TeacherConfidence(Model):
    """How sure the teacher must be of a row."""

    min: Annotated[float, Field(gt=0, lt=1, description="Least probability of the teacher's likeliest label.")]


Share = Annotated[float, Field(ge=0, le=1, json_schema_extra=rules(("self <= 1.0", "write a share of 1: 0.3, not 30")))]


class Answers(Model):
    """Answers that a teacher wrote and that are not learned, besides empty ones and those that it did not end."""

    max_repetition: (
        Annotated[Share, Field(description="Largest share of an answer's runs of 4 words that came before in it.")]
        | None
    ) = None
    max_echo: (
        Annotated[Share, Field(description="Largest similarity of an answer to its prompt, by runs of 5 characters.")]
        | None
    ) = None
    min_likelihood: (
        Annotated[
            float,
            Field(
                ge=-100,
                le=0,
                description="Least mean log-likelihood of an answer's tokens under the teacher that wrote it, in nats.",
                json_schema_extra=rules(
                    ("self <= 0.0", "write a log-likelihood in nats, which is never above 0: -1.5, say")
                ),
            ),
        ]
        | None
    ) = None
    judge: Judge | None = None
    near: (
        Annotated[NearDuplicates, Field(description="Of answers that are nearly equal, the first is learned.")] | None
    ) = None
    max_per_slice: (
        Annotated[int, Field(ge=1, le=10**9, description="Answers of each value of columns.slice that are learned.")]
        | None
    ) = None


class Filters(Model):
    """Rows of train and unlabelled that are left out, in this order. Test rows are never left out."""

    length: (
        Annotated[
            Length,
            Field(
                json_schema_extra=rules(
                    (
                        "has(self.minCharacters) || has(self.maxCharacters)",
                        "set minCharacters or maxCharacters, or leave length out",
                    ),
                    (
                        "!has(self.minCharacters) || !has(self.maxCharacters)"
                        " || self.minCharacters <= self.maxCharacters",
                        "minCharacters must not exceed maxCharacters; change one of them",
                        ".minCharacters",
                    ),
                )
            ),
        ]
        | None
    ) = None
    language: Language | None = None
    contamination: Contamination | None = None
    dedupe: Dedupe | None = None
    teacher_confidence: TeacherConfidence | None = None
    teacher_mistakes: (
        Annotated[
            Literal["Drop"],
            Field(description="Drop leaves out labelled rows whose label is not the teacher's likeliest."),
        ]
        | None
    ) = None

    answers: (
        Annotated[
            Answers,
            Field(
                json_schema_extra=rules(
                    (
                        "has(self.maxRepetition) || has(self.maxEcho) || has(self.minLikelihood) || has(self.judge)"
                        " || has(self.near) || has(self.maxPerSlice)",
                        "set maxRepetition, maxEcho, minLikelihood, judge, near or maxPerSlice, or leave answers out",
                    )
                )
            ),
        ]
        | None
    ) = None

    def without_teacher(self) -> "Filters":
        """The filters that need the rows alone."""
        return self.model_copy(update={"teacher_confidence": None, "teacher_mistakes": None, "answers": None})

    def deciding(self) -> dict[str, Any]:
        """The filters as far as what they keep depends on them."""
        found = self.dump()
        if self.answers and self.answers.judge:
            found["answers"]["judge"] = self.answers.judge.deciding()
        return found


# On the spec, where the task and the objective are in reach.
FILTER_RULES = (
    (
        "self.task in ['text-classification', 'image-classification'] || !has(self.dataset.filters)"
        " || !(has(self.dataset.filters.teacherConfidence) || has(self.dataset.filters.teacherMistakes))",
        "filters.teacherConfidence and filters.teacherMistakes need label probabilities: remove them for this task",
        ".dataset.filters",
    ),
    (
        "self.task != 'image-classification' || !has(self.dataset.filters)"
        " || !(has(self.dataset.filters.length) || has(self.dataset.filters.language)"
        " || has(self.dataset.filters.contamination)"
        " || (has(self.dataset.filters.dedupe) && has(self.dataset.filters.dedupe.near)))",
        "filters length, language, contamination and dedupe.near read texts: remove them for images",
        ".dataset.filters",
    ),
    (
        "!has(self.dataset.filters) || !has(self.dataset.filters.teacherMistakes)"
        " || !self.objective.maskTeacherMistakes",
        "filters.teacherMistakes leaves no rows for objective.maskTeacherMistakes to mask: set one of the two",
        ".dataset.filters.teacherMistakes",
    ),
)
