"""What the API server does to a manifest before an operator sees it: the same defaults, the same refusals."""

from .admit import admitted
from .manifests import Manifest, read_manifests

__all__ = ["Manifest", "admitted", "read_manifests"]
