"""Addresses, ports and folders of the embedded cluster: one place for each number."""

from __future__ import annotations

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("DISTILLERY_CACHE", "/var/cache/distillery"))
ROOT = Path("/var/lib/distillery")  # data, logs, certificates
RUN = Path("/run/distillery")  # sockets, the record of processes, the kubeconfig
LOGS = ROOT / "log"
LOCK = Path("/run/lock/distillery-cluster.lock")
RECORD = RUN / "cluster.json"
KUBECONFIG = RUN / "kubeconfig"
# Kept over a restart, so that no image is pulled or pushed twice.
REGISTRY_DATA = CACHE / "registry"
CONTAINERD_DATA = ROOT / "containerd"
CONTAINERD_STATE = RUN / "containerd"
CONTAINERD_SOCKET = CONTAINERD_STATE / "containerd.sock"

NAMESPACE = "distillery"  # the node's network namespace
NAMESPACE_FILE = Path("/run/netns") / NAMESPACE
CGROUP = "distillery"  # parent of kubepods in every cgroup hierarchy
HOST_LINK = "distillery0"
NODE_LINK = "eth0"
BRIDGE = "cni0"
NODE_NAME = "distillery-node"
HOST_ADDRESS = "10.250.0.1"
NODE_ADDRESS = "10.250.0.2"
LINK_NETWORK = "10.250.0.0/30"
POD_NETWORK = "10.244.0.0/24"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"  # the first address of SERVICE_NETWORK

API_PORT = 6443
ETCD_PORT = 2379
ETCD_PEER_PORT = 2380
METRICS_SERVER_PORT = 4443
REGISTRY_PORT = 5000
S3_PORT = 8333
S3_MASTER_PORT = 9333
S3_VOLUME_PORT = 9340
S3_FILER_PORT = 8888
GRPC_OFFSET = 10000  # SeaweedFS's own habit, spelled out for each port

REGISTRY = f"{NODE_ADDRESS}:{REGISTRY_PORT}"
S3_ENDPOINT = f"http://{NODE_ADDRESS}:{S3_PORT}"
# Keys of a store that only this machine reaches and that is emptied at every start.
S3_ACCESS_KEY = "distillery-test"
S3_SECRET_KEY = "distillery-test-secret"  # noqa: S105 see above
S3_REGION = "us-east-1"
PAUSE_IMAGE = "localhost/distillery-pause:1"
