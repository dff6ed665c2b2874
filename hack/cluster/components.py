"""The command lines and certificates of the control plane's components."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import settings
from certificates import Authority


@dataclass(frozen=True)
class Plan:
    """Where one control plane lives. Its etcd listens on 127.0.0.1, its API server on `address`."""

    directory: Path
    address: str
    api_port: int
    etcd_port: int
    etcd_peer_port: int

    @property
    def server(self) -> str:
        return f"https://{self.address}:{self.api_port}"

    @property
    def authority(self) -> Authority:
        return Authority(self.directory / "certificates")

    def component_kubeconfig(self, name: str) -> Path:
        return self.authority.folder / f"{name}.kubeconfig"


def create_certificates(plan: Plan) -> None:
    """Make the certificate authority and what the API server and its clients need."""
    authority = plan.authority
    authority.create()
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"]
    addresses = {plan.address, "127.0.0.1", settings.API_SERVICE_ADDRESS}
    alternatives = [f"DNS:{name}" for name in names] + [f"IP:{address}" for address in sorted(addresses)]
    authority.issue("apiserver", "/CN=kube-apiserver", ",".join(alternatives))
    authority.issue("apiserver-kubelet", "/O=system:masters/CN=kube-apiserver-kubelet-client")
    authority.issue("front-proxy", "/CN=front-proxy-client")
    create_kubeconfig(plan, "controller-manager", "/CN=system:kube-controller-manager")


def create_kubeconfig(plan: Plan, name: str, subject: str) -> Path:
    return plan.authority.kubeconfig(plan.component_kubeconfig(name), plan.server, name, subject)


def etcd_command(tools: Path, plan: Plan) -> list[str]:
    client, peer = f"http://127.0.0.1:{plan.etcd_port}", f"http://127.0.0.1:{plan.etcd_peer_port}"
    return [
        str(tools / "etcd"),
        f"--data-dir={plan.directory / 'etcd'}",
        "--unsafe-no-fsync",  # the data never outlives a start
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--log-level=warn",
    ]


def apiserver_command(tools: Path, plan: Plan) -> list[str]:
    pki = plan.authority.folder
    alone = plan.address == "127.0.0.1"
    return [
        str(tools / "kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{plan.etcd_port}",
        f"--bind-address={plan.address}",
        f"--advertise-address={plan.address}",
        f"--secure-port={plan.api_port}",
        # A loopback address is refused as an endpoint of the Service `kubernetes`, which nothing reads here.
        *(["--endpoint-reconciler-type=none"] if alone else []),
        f"--service-cluster-ip-range={settings.SERVICE_NETWORK}",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={plan.authority.token_public_key}",
        f"--service-account-signing-key-file={plan.authority.token_key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--requestheader-client-ca-file={pki}/ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki}/front-proxy.crt",
        f"--proxy-client-key-file={pki}/front-proxy.key",
        # The metrics API is a Service whose endpoint the API server reaches directly.
        "--enable-aggregator-routing=true",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
    ]


def controller_manager_command(tools: Path, plan: Plan) -> list[str]:
    kubeconfig = plan.component_kubeconfig("controller-manager")
    return [
        str(tools / "kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--service-account-private-key-file={plan.authority.token_key}",
        f"--root-ca-file={plan.authority.certificate}",
        f"--cluster-signing-cert-file={plan.authority.certificate}",
        f"--cluster-signing-key-file={plan.authority.key}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
    ]


def scheduler_command(tools: Path, plan: Plan) -> list[str]:
    kubeconfig = plan.component_kubeconfig("scheduler")
    return [
        str(tools / "kube-scheduler"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
    ]
