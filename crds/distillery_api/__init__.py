"""The contract every part of Distillery shares: both kinds, stage runs, summaries, artifacts and exit codes.

Pydantic and the standard library alone, so that operator, worker, server and client can all read it.
"""

GROUP = "distillery.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
