"""Accounts of the services on a real API server of their own: what they are, and that their tokens never end."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from kubernaut.local.service_accounts import TOKEN_SECONDS, ServiceAccounts
from kubernaut.local.stack import LocalStack, StackOptions
from schemas.rbac import AUDITOR, SERVICES
from tests.identities import user_of
from tests.local.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real


async def test_each_service_is_itself_and_stays_so(tmp_path: Path) -> None:
    """Its files are its owner's alone; a token is renewed when half of its time is over, and twice made is no error."""
    now = [1_000_000.0]
    folder = tmp_path / "accounts"
    async with LocalStack(StackOptions.only("kubernetes", home=tmp_path / "home")) as stack:
        assert stack.kubeconfig
        before = ServiceAccounts(stack.kubeconfig, tmp_path / "before")
        await before.start()
        before.close()
        accounts = ServiceAccounts(stack.kubeconfig, folder, clock=lambda: now[0], look_seconds=0.05)
        await accounts.start()
        token = folder / f"{AUDITOR.full_name}.token"
        first = token.read_text()

        users = {role.name: await user_of(accounts.kubeconfig(role)) for role in SERVICES}
        now[0] += TOKEN_SECONDS / 2
        await until(lambda: token.read_text() != first, "the token is renewed")
        again = await user_of(accounts.kubeconfig(AUDITOR))
        accounts.close()

        assert {role.name: f"system:serviceaccount:kubernaut-system:{role.full_name}" for role in SERVICES} == users
        assert again == users[AUDITOR.name]
        assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
