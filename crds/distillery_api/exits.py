"""Exit codes of a worker: how the kubelet and the operator tell a wrong input from a passing fault."""

DONE = 0
PERMANENT = 65  # EX_DATAERR: the input is wrong, another try gives the same answer
OUT_OF_MEMORY = 71  # EX_OSERR: more memory, or smaller batches, might mend it
RETRY = 75  # EX_TEMPFAIL: storage, disk; the stage resumes where it stopped
STOPPED = 143  # SIGTERM: a queue, a user or a drained node took the pod away; no retry is used
