"""Plays the worker: ends as the script in $SCRIPT says, in milliseconds. One entry a start, the last one for ever."""

import json
import os
import signal
import sys
import time
from pathlib import Path

arguments = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
run = json.loads(Path(arguments["--run"]).read_text())
script = json.loads(Path(os.environ["SCRIPT"]).read_text())
log = Path(os.environ["SCRIPT"]).with_suffix(".log")
started = log.read_text().count(f"{run['stage']}\n") if log.exists() else 0
with log.open("a") as file:
    file.write(f"{run['stage']}\n")
entries = script[run["stage"]]
entry = entries[min(started, len(entries) - 1)]
if entry.get("hangs"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN if entry["hangs"] == "deaf" else lambda *_: sys.exit(143))
    print("hanging", flush=True)
    time.sleep(60)
if "says" in entry:
    print(entry["says"], file=sys.stderr)
else:
    message = json.dumps(entry["message"])
    for name, value in {"RUN_UID": run["job"]["uid"], "RUN_SHARD": os.environ["JOB_COMPLETION_INDEX"]}.items():
        message = message.replace(f'"{name}"', json.dumps(value)).replace(name, value)
    Path(arguments["--termination-log"]).write_text(message)
sys.exit(entry.get("code", 0))
