"""containerd, kubelet and kube-proxy of the one node: their settings and their commands."""

from __future__ import annotations

import json
from pathlib import Path

import settings
from certificates import write_private
from components import Plan, create_kubeconfig
from network import run
from pause_image import pause_archive
from residue import CGROUPS
from settings import CONTAINERD_DATA, CONTAINERD_SOCKET, CONTAINERD_STATE, NODE_ADDRESS, NODE_NAME, ROOT, RUN

CONTAINERD_CONFIG = f"""\
version = 2
root = "{CONTAINERD_DATA}"
state = "{CONTAINERD_STATE}"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{settings.PAUSE_IMAGE}"
  # A root without CAP_SYS_RESOURCE cannot lower the score of a sandbox to -998, and runc would die of it.
  restrict_oom_score_adj = true
  # Else the namespaces of pods lie in /run/netns, where nobody can tell whose they are.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    discard_unpacked_layers = true # the registry keeps them; a second copy is 3 GB
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
      Root = "{RUN}/runc"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{ROOT}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{ROOT}/registries"
"""
# Without a host table containerd 1.6 rejects the file and falls back to TLS.
REGISTRY_HOSTS = f"""\
server = "http://{settings.REGISTRY}"
[host."http://{settings.REGISTRY}"]
  capabilities = ["pull", "resolve"]
"""


def write_settings(plan: Plan) -> None:
    """Write the configuration of the node's daemons, and their certificates."""
    plan.authority.issue(
        "kubelet",
        f"/O=system:nodes/CN=system:node:{NODE_NAME}",
        f"IP:{NODE_ADDRESS},DNS:{NODE_NAME}",
    )
    create_kubeconfig(plan, "kubelet-client", f"/O=system:nodes/CN=system:node:{NODE_NAME}")
    create_kubeconfig(plan, "kube-proxy", "/CN=system:kube-proxy")
    files = {
        "containerd.toml": CONTAINERD_CONFIG,
        f"registries/{settings.REGISTRY}/hosts.toml": REGISTRY_HOSTS,
        "cni/distillery.conflist": json.dumps(pod_network()),
        "resolv.conf": f"nameserver {NODE_ADDRESS}\n",
        "kubelet.json": json.dumps(kubelet_configuration(plan)),
        "kube-proxy.json": json.dumps(proxy_configuration(plan)),
    }
    for name, text in files.items():
        write_private(ROOT / name, text)
    create_cgroups()


def pod_network() -> dict[str, object]:
    addresses = {
        "type": "host-local",
        "dataDir": f"{RUN}/pod-addresses",
        "ranges": [[{"subnet": settings.POD_NETWORK}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": settings.BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": addresses,
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": settings.NAMESPACE, "plugins": [bridge, ports]}


def kubelet_configuration(plan: Plan) -> dict[str, object]:
    pki = plan.authority.folder
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{pki}/kubelet.crt",
        "tlsPrivateKeyFile": f"{pki}/kubelet.key",
        "address": NODE_ADDRESS,
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{ROOT}/resolv.conf",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{settings.CGROUP}",
        "failCgroupV1": False,  # from 1.35 on the kubelet refuses cgroup v1 unless told
        "failSwapOn": False,
        "oomScoreAdj": 0,  # the default, -999, needs CAP_SYS_RESOURCE
        "podLogsDir": f"{ROOT}/pod-logs",
        # The root device of a sandbox has no file system statistics.
        "localStorageCapacityIsolation": False,
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,  # never: images are few, and the pause image has no registry
        "imageMaximumGCAge": "0s",
        "serializeImagePulls": False,
        "maxPods": 200,
    }


def proxy_configuration(plan: Plan) -> dict[str, object]:
    untouched = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": settings.POD_NETWORK,
        "hostnameOverride": NODE_NAME,
        "oomScoreAdj": 0,
        "clientConnection": {"kubeconfig": str(plan.component_kubeconfig("kube-proxy"))},
        "conntrack": untouched,  # those sysctls belong to the host and are read-only in a namespace
    }


def containerd_command() -> list[str]:
    return ["/usr/bin/containerd", f"--config={ROOT}/containerd.toml"]


def kubelet_command(tools: Path, plan: Plan) -> list[str]:
    return [
        str(tools / "kubelet"),
        f"--config={ROOT}/kubelet.json",
        f"--kubeconfig={plan.component_kubeconfig('kubelet-client')}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE_ADDRESS}",
        f"--root-dir={ROOT}/kubelet",
    ]


def proxy_command(tools: Path) -> list[str]:
    return [str(tools / "kube-proxy"), f"--config={ROOT}/kube-proxy.json"]


def create_cgroups() -> None:
    """The kubelet wants its root cgroup to exist in every hierarchy."""
    for hierarchy in CGROUPS.iterdir():
        if (hierarchy / "cgroup.procs").exists():
            (hierarchy / settings.CGROUP).mkdir(exist_ok=True)


def ctr(*arguments: str) -> str:
    return run(["ctr", f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io", *arguments])


def stale_containers() -> list[str]:
    """Containers of an earlier start that containerd still knows; their images are what is kept."""
    return ctr("containers", "list", "--quiet").split()


def forget_containers(names: list[str]) -> None:
    ctr("containers", "delete", *names)


def import_pause_image(program: Path) -> None:
    archive = RUN / "pause.tar"
    archive.write_bytes(pause_archive(program.read_bytes()))
    ctr("images", "import", str(archive))
    archive.unlink()
