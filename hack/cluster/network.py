"""The node's network namespace and the pair of links between it and the host.

Rules, bridges, routes and addresses of the cluster live in the namespace and vanish with it; the host keeps
its own network untouched but for one link and the routes over it.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess

from errors import ClusterError
from settings import (
    HOST_ADDRESS,
    HOST_LINK,
    LINK_NETWORK,
    NAMESPACE,
    NAMESPACE_FILE,
    NODE_ADDRESS,
    NODE_LINK,
    POD_NETWORK,
    SERVICE_NETWORK,
)

# `ip netns exec` would mount a fresh /sys and hide the cgroups from the kubelet.
ENTER = ("nsenter", f"--net={NAMESPACE_FILE}", "--")


def create() -> None:
    """Make the namespace, the links and the host's routes to node, pods and Services."""
    require_unused_networks(json.loads(ip("-json", "route", "show")))
    ip("netns", "add", NAMESPACE)
    ip("link", "add", HOST_LINK, "type", "veth", "peer", "name", NODE_LINK, "netns", NAMESPACE)
    prefix = ipaddress.ip_network(LINK_NETWORK).prefixlen
    ip("address", "add", f"{HOST_ADDRESS}/{prefix}", "dev", HOST_LINK)
    ip("link", "set", HOST_LINK, "up")
    ip("-n", NAMESPACE, "link", "set", "lo", "up")
    ip("-n", NAMESPACE, "address", "add", f"{NODE_ADDRESS}/{prefix}", "dev", NODE_LINK)
    ip("-n", NAMESPACE, "link", "set", NODE_LINK, "up")
    ip("-n", NAMESPACE, "route", "add", "default", "via", HOST_ADDRESS)
    # A program on the host reaches Services and pods directly, without a port-forward.
    for network in (POD_NETWORK, SERVICE_NETWORK):
        ip("route", "add", network, "via", NODE_ADDRESS, "dev", HOST_LINK)
    run([*ENTER, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"])


def remove() -> None:
    """Take away the links and the namespace, whichever of them is there."""
    links = json.loads(ip("-json", "link", "show"))
    if any(link["ifname"] == HOST_LINK for link in links):
        ip("link", "delete", HOST_LINK)
    if NAMESPACE_FILE.exists():
        ip("netns", "delete", NAMESPACE)


def require_unused_networks(routes: list[dict[str, object]]) -> None:
    """Refuse to hide a network that the host reaches already; `routes` is what `ip -json route` prints."""
    for route in routes:
        destination = str(route["dst"])
        if destination == "default":
            continue
        there = ipaddress.ip_network(destination)
        for ours in (LINK_NETWORK, POD_NETWORK, SERVICE_NETWORK):
            if there.version == 4 and there.overlaps(ipaddress.ip_network(ours)):
                raise ClusterError(
                    f"the cluster's network {ours} overlaps this machine's route to {destination}"
                    f" over {route.get('dev')}: change the networks in hack/cluster/settings.py"
                )


def ip(*arguments: str) -> str:
    return run(["ip", *arguments])


def run(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ClusterError(f"`{' '.join(command)}` failed: {result.stderr.strip()}")
    return result.stdout
