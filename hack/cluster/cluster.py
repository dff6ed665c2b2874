"""A real single-node Kubernetes on this machine: `python3 hack/cluster/cluster.py --help`."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import lifecycle
import record
import settings
from controlplane import DEFAULT_CONTROLLERS, ControlPlane
from errors import ClusterError
from packages import install_missing
from tools import ensure_tools, health_program, tools_directory

Verb = Callable[[argparse.Namespace], int | None]


def main() -> int:
    arguments = parser().parse_args()
    try:
        return int(arguments.verb(arguments) or 0)
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="cluster.py", description=__doc__)
    verbs = root.add_subparsers(required=True, metavar="VERB")

    def add(name: str, verb: Verb, about: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=about, description=about)
        added.set_defaults(verb=verb)
        return added

    add("tools", tools, "install the packages, build the programs, print their folder")
    add("up", up, "start the cluster, or do nothing if it is up and healthy")
    purge = add("down", down, "stop the cluster and remove all but image content and logs")
    purge.add_argument("--purge", action="store_true", help="remove these too")
    add("status", status, "say how the cluster is; exit status 1 unless it is up and healthy")
    env = add("env", environment, "print the shell lines that point a shell at the cluster")
    env.add_argument("--json", action="store_true", help="print the same as a JSON object")
    plane = add("controlplane", controlplane, "an API server and controllers alone, in a folder of their own")
    plane.add_argument("action", choices=["up", "down"])
    plane.add_argument("--dir", type=Path, required=True, help="folder of its data and kubeconfig")
    names = ",".join(DEFAULT_CONTROLLERS)
    plane.add_argument("--controllers", default=names, help="comma-separated; default: %(default)s")
    plane.add_argument("--manifests", type=Path, nargs="*", default=[], help="applied before the controllers start")
    return root


def tools(_: argparse.Namespace) -> None:
    install_missing()
    health_program()
    print(ensure_tools())


def up(_: argparse.Namespace) -> None:
    lifecycle.up()


def down(arguments: argparse.Namespace) -> None:
    lifecycle.down(purge=arguments.purge)


def status(_: argparse.Namespace) -> int:
    started = record.load(settings.RECORD)
    if started is not None:
        for name in lifecycle.COMPONENTS:
            runs = lifecycle.component_runs(started, name)
            print(f"{name:26}{f'runs, pid {started.processes[name].pid}' if runs else 'does not run'}")
    complaints = lifecycle.complaints(ensure_tools())
    print("cluster:", "; ".join(complaints) or "up and healthy")
    return 1 if complaints else 0


def environment(arguments: argparse.Namespace) -> None:
    if not settings.KUBECONFIG.exists():
        raise ClusterError("the cluster is not up: run `python3 hack/cluster/cluster.py up`")
    variables = variables_of_the_cluster()
    if arguments.json:
        print(json.dumps(variables, indent=1))
        return
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")


def variables_of_the_cluster() -> dict[str, str]:
    return {
        "KUBECONFIG": str(settings.KUBECONFIG),
        "REGISTRY": settings.REGISTRY,
        "S3_ENDPOINT": settings.S3_ENDPOINT,
        "AWS_ACCESS_KEY_ID": settings.S3_ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": settings.S3_SECRET_KEY,
        "AWS_REGION": settings.S3_REGION,
        "PATH": f"{tools_directory()}:{os.environ.get('PATH', os.defpath)}",
    }


def controlplane(arguments: argparse.Namespace) -> None:
    controllers = [name for name in arguments.controllers.split(",") if name]
    plane = ControlPlane(arguments.dir, controllers, arguments.manifests, outlive=True)
    if arguments.action == "down":
        plane.stop()
        return
    print(plane.start().kubeconfig)


if __name__ == "__main__":
    sys.exit(main())
