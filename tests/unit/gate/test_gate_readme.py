"""The example of the README runs and prints what it shows."""

import re
from pathlib import Path

README = Path(__file__).parents[3] / "gate" / "README.md"


def test_the_readme_example_prints_what_it_shows(capsys):
    code, shown = re.findall(r"```(?:python|text)\n(.*?)```", README.read_text(), re.DOTALL)
    exec(compile(code, str(README), "exec"), {})  # noqa: S102 (our own file)
    assert capsys.readouterr().out == shown
