"""One thing that is wrong with an object, and the paths of fields as Kubernetes writes them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The field and what is wrong, in the API server's words. `blocking`: rules cannot be checked beside it."""

    path: str
    words: str
    blocking: bool = False

    def __str__(self) -> str:
        """As the API server writes it."""
        return f"{self.path}: {self.words}" if self.path else self.words


def inside(path: str, name: str) -> str:
    """Path of a field."""
    return f"{path}.{name}" if path else name


def item(path: str, key: object) -> str:
    """Path of an entry of a list, or of a map without fixed fields."""
    return f"{path}[{key}]"
