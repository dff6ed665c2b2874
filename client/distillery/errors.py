"""Why a command cannot go on."""


class Refused(Exception):  # noqa: N818 - a finding about the input
    """The input is wrong: a sentence that names the file or field, and what to do."""
