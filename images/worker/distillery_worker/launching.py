"""Training by several processes: this one starts them and gives their exit code, as torchrun does."""

import logging
import os
import sys
from typing import Any

from distillery_api import exits
from distillery_api.run import TrainRun
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

PORT = 29500
PATIENCE = 900  # seconds until every pod must be there


def launch(run: TrainRun, arguments: list[str], index: int, threads: int) -> int:
    """Start this pod's processes with the worker's arguments and wait for them; the first failure's exit code.

    index: of the pod in its Job. Their environment is torchrun's.
    """
    nodes, processes = run.training.nodes, run.training.processes_per_node
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # the processes say themselves what they met
    backend, endpoint, settings = rendezvous(nodes, index)
    os.environ["OMP_NUM_THREADS"] = str(max(1, threads // processes))
    config = LaunchConfig(
        min_nodes=nodes,
        max_nodes=nodes,
        nproc_per_node=processes,
        run_id=f"{run.job.uid}-{run.attempt}",
        max_restarts=0,  # that is for the Job, and its counts
        monitor_interval=0.2,
        rdzv_backend=backend,
        rdzv_endpoint=endpoint,
        rdzv_configs=settings,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "distillery_worker", *arguments)
    except SignalException:
        return exits.STOPPED
    except ChildFailedError as error:
        return int(error.get_first_failure()[1].exitcode)
    return exits.DONE


def rendezvous(nodes: int, index: int) -> tuple[str, str, dict[str, Any]]:
    """Backend, endpoint and settings: pods meet at their Job's first one; a pod alone takes any free port."""
    if nodes == 1:
        return "c10d", "localhost:0", {}
    return "static", f"{os.environ['MASTER_ADDR']}:{PORT}", {"rank": index, "timeout": PATIENCE}
