"""What the cluster does to the host is bounded: mounts, routes, packages, records."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import network
import packages
import pytest
import record
import residue
import sysctls
from errors import ClusterError
from pause_image import pause_archive
from processes import Identity

MOUNTINFO = r"""
22 1 254:0 / / rw - ext4 /dev/vda rw
31 22 0:40 / /run/distillery/containerd/rootfs rw - overlay overlay rw
32 31 0:41 / /run/distillery/containerd/rootfs/a\040b rw - tmpfs tmpfs rw
33 22 0:42 / /run/distillery-images rw - tmpfs tmpfs rw
34 22 0:43 / /var/lib/distillery/kubelet/pods/1 rw - tmpfs tmpfs rw
""".strip()


def test_only_mounts_below_the_clusters_folders_are_unmounted() -> None:
    folders = [Path("/run/distillery"), Path("/var/lib/distillery")]
    assert residue.mounts_below(folders, MOUNTINFO) == [
        "/run/distillery/containerd/rootfs",
        "/run/distillery/containerd/rootfs/a b",
        "/var/lib/distillery/kubelet/pods/1",
    ]


@pytest.mark.parametrize("taken", ["10.96.4.0/24", "10.0.0.0/8", "10.250.0.1"])
def test_a_network_that_the_machine_reaches_already_is_never_hidden(taken: str) -> None:
    with pytest.raises(ClusterError, match=f"overlaps this machine's route to {taken} over eth1"):
        network.require_unused_networks([{"dst": taken, "dev": "eth1"}])


def test_a_machine_with_other_networks_is_accepted() -> None:
    network.require_unused_networks([{"dst": "default"}, {"dst": "192.0.2.0/24", "dev": "eth0"}])


@pytest.mark.parametrize("own", ["#!/bin/sh\nexit 0\n", None], ids=["with a policy", "without one"])
def test_daemons_are_kept_off_only_while_packages_are_installed(tmp_path: Path, own: str | None) -> None:
    policy = tmp_path / "policy-rc.d"
    if own is not None:
        policy.write_text(own)
    seen = []

    def install() -> None:
        with packages.daemons_kept_off(policy):
            seen.append(policy.read_text())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install()
    assert seen == [packages.OURS]
    assert [path.name for path in tmp_path.iterdir()] == ([] if own is None else ["policy-rc.d"])
    assert own is None or policy.read_text() == own


def test_the_policy_of_a_machine_survives_a_killed_installation(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text(packages.OURS)
    (tmp_path / "policy-rc.d.distillery-saved").write_text("theirs")
    with packages.daemons_kept_off(policy):
        pass
    assert policy.read_text() == "theirs"


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    written = record.Record(tmp_path / "run/cluster.json", "version-1")
    written.add("etcd", Identity(7, 8, "boot", "/tools/etcd"))
    assert record.load(written.path) == written


@pytest.mark.parametrize("text", ["", "{}", '{"version": "1", "processes": {"etcd": {"pid": 1}}}'])
def test_a_record_of_other_code_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "cluster.json").write_text(text)
    assert record.load(tmp_path / "cluster.json") is None


def test_the_kernel_parameters_that_the_kubelet_changes_are_put_back(tmp_path: Path) -> None:
    for name in sysctls.PARAMETERS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("0\n")
    sysctls.save(tmp_path / "saved", tmp_path)
    (tmp_path / "kernel/panic").write_text("10\n")
    sysctls.restore(tmp_path / "saved", tmp_path)
    assert (tmp_path / "kernel/panic").read_text().strip() == "0"


def test_without_remembered_kernel_parameters_none_is_touched(tmp_path: Path) -> None:
    sysctls.restore(tmp_path / "saved", tmp_path / "no such folder")


def test_the_pause_image_holds_its_program_and_runs_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(pause_archive(b"program"))) as archive:
        (manifest,) = json.loads(archive.extractfile("manifest.json").read())  # type: ignore[union-attr]
        config = json.loads(archive.extractfile(manifest["Config"]).read())  # type: ignore[union-attr]
        layer = archive.extractfile(manifest["Layers"][0]).read()  # type: ignore[union-attr]
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        entry = files.getmember("pause")
    assert config["config"]["Entrypoint"] == ["/pause"]
    assert entry.mode & 0o111
