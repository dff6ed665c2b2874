"""What the operator takes of kopf, and what it leaves: raw events, login and a probe; nothing on objects."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kopf
import pytest
from distillery_operator import kopf_shell
from distillery_operator.names import CHILDREN, MANAGED_SELECTOR, PARENTS

ACTING = ("_indexing", "_spawning", "_changing", "_webhooks")  # kopf's registries of handlers that act


def registry() -> kopf.OperatorRegistry:
    return kopf_shell.build_registry(lambda kind, event, obj: None, lambda: None, None)


def handlers(name: str) -> list[Any]:
    return list(getattr(registry(), name).get_all_handlers())


@pytest.mark.parametrize("name", ACTING)
def test_no_handler_of_kopfs_own_loop_is_registered(name: str):
    assert handlers(name) == []


def test_events_of_every_kind_are_passed_on():
    kinds = (*PARENTS, *CHILDREN)
    assert sorted(h.id for h in handlers("_watching")) == sorted(f"see-{kind.plural}" for kind in kinds)


def test_kopf_posts_nothing_pairs_with_nobody_and_serves_no_webhook():
    settings = kopf_shell.build_settings()
    assert settings.peering.standalone
    assert not settings.posting.enabled
    assert settings.admission.managed is None


def test_a_watch_ends_on_either_side_where_it_brings_nothing():
    watching = kopf_shell.build_settings().watching
    assert watching.server_timeout == 300
    assert watching.inactivity_timeout


def test_the_server_sends_our_children_alone_and_lists_in_pages():
    watching = kopf_shell.build_settings().watching
    selectors: Mapping[Any, str] = watching.label_selectors
    assert {selectors[k.group, k.version, k.plural] for k in CHILDREN} == {MANAGED_SELECTOR}
    assert watching.chunk_size == 100


def test_the_login_is_taken_anew_before_the_token_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "token").write_text("secret\n")
    monkeypatch.setattr(kopf_shell, "ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    info = kopf_shell.service_account()
    assert (info.server, info.token) == ("https://[fd00::1]:443", "secret")
    assert info.expiration is not None
    assert info.expiration - dt.datetime.now(dt.UTC) < dt.timedelta(minutes=48)  # 80 % of an hour
