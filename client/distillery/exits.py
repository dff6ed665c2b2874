"""Exit codes."""

VERDICTS = {"Pass": 0, "Fail": 1, "Inconclusive": 2}
WRONG = 3  # wrong input, or a run that failed
STOPPED = 130  # 128 and SIGINT's number, as shells count
