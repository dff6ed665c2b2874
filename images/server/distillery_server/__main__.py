"""`python -m distillery_server`: serve the artifact that run.json names."""

import argparse
import logging
import sys
from pathlib import Path

from distillery_api import exits
from distillery_api.run import RUN_PATH, SERVE_PORT, ServeRun
from distillery_api.schema import Failure
from distillery_api.summary import TERMINATION_LOG
from pydantic import ValidationError

from .limits import Limits
from .loading import write_termination_message
from .logs import configure_logging
from .process import ServerProcess, listen

log = logging.getLogger("distillery_server")


def main(arguments: list[str]) -> int:
    """Serve until stopped; gives the exit code."""
    options = parse_arguments(arguments)
    configure_logging()
    try:
        run = ServeRun.model_validate_json(options.run.read_bytes())
    except (OSError, ValidationError) as error:
        failure = Failure(reason="InvalidRun", message=f"{options.run}: {error}"[:1024])
        log.error("cannot serve", extra={"fields": {"failure": failure.dump()}})
        write_termination_message(options.termination_log, failure)
        return exits.PERMANENT
    sock = listen(options.host, options.port)
    host, port = sock.getsockname()[:2]
    log.info("listening", extra={"fields": {"host": host, "port": port}})
    return ServerProcess(run, sock, options.termination_log, Limits()).run()


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Paths and the address to listen on."""
    parser = argparse.ArgumentParser(prog="distillery_server", description=__doc__)
    parser.add_argument("--run", type=Path, default=Path(RUN_PATH), help="serve run as JSON")
    parser.add_argument("--host", help="address to listen on; all of them by default")
    parser.add_argument("--port", type=int, default=SERVE_PORT, help="0 takes a free one and logs it")
    parser.add_argument("--termination-log", type=Path, default=Path(TERMINATION_LOG), help="written if it exists")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
