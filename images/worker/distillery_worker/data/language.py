"""The language of a text, by a model that its package carries (py3langid: 139 languages, no network)."""

from collections.abc import Iterable
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

# Below it the text is too short to tell: WordNet's English glosses, 15 words long, lose 3 in 10,000 rows at 0.5 and
# 6 in 100 at 0.
SURE = 0.5


@cache
def identifier() -> LanguageIdentifier:
    """The model, loaded once: that takes a second."""
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True, min_confidence=SURE)


def in_another_language(text: str, languages: Iterable[str]) -> bool:
    """Whether the text is, with a probability of at least SURE, in none of these languages (ISO 639 codes)."""
    code, _ = identifier().classify(text)
    return code not in {*languages, "und"}
