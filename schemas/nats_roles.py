"""What a subscriber of the public events may do on NATS, as configuration of the server. Pure.

Permissions alone are not enough: who may pull from a consumer chooses where the messages go (the reply subject), and
the server checks no permission of that subject. In the account of the services it could so write into the log. So
subscribers have an account of their own with a mirror of the event stream, from which nothing leads back.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

from schemas.nats_conf import conf
from schemas.subjects import EVENT_STREAM

SERVICES: Final = "KUBERNAUT"
"""Account of the services; it holds the log."""
SUBSCRIBERS: Final = "KUBERNAUT_SUBSCRIBERS"
"""Account of outside subscribers; it holds the mirror, under the name of the stream that it mirrors."""
_STREAM: Final = EVENT_STREAM.name
_API: Final = "kubernaut.mirror.api"
_DELIVER: Final = "kubernaut.mirror.deliver"
_CREATE: Final = f"$JS.API.CONSUMER.CREATE.{_STREAM}"
_FLOW: Final = f"$JS.FC.{_STREAM}.>"
_DAY: Final = 24 * 3600 * 1_000_000_000
Node = dict[str, Any]

EXPORTS_FILE: Final = "subscribers-exports.conf"
ACCOUNT_FILE: Final = "subscribers-account.conf"
USERS_FILE: Final = "subscribers-users.conf"
_EXPORTS_HEAD: Final = f"""\
# Made by `python -m schemas.generate`; do not edit.
# To be included in the account of the services ({SERVICES}). It lets the account {SUBSCRIBERS}
# mirror the stream {_STREAM}, and nothing else.
"""
_ACCOUNT_HEAD: Final = f"""\
# Made by `python -m schemas.generate`; do not edit.
# To be included beside the account of the services. The users stand in a file of yours, {USERS_FILE}:
# `python -m schemas.nats_roles NAME` writes one.
"""


def mirror_config() -> Node:
    """Return the mirror's configuration, for whoever administrates the account of the subscribers."""
    return {
        "name": _STREAM,
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "max_age": EVENT_STREAM.max_age_days * _DAY,
        "deny_delete": True,
        "deny_purge": True,
        "mirror": {"name": _STREAM, "external": {"api": _API, "deliver": _DELIVER}},
    }


def permissions(durables: Sequence[str]) -> Node:
    """Return what a user may do: make and read these consumers of the mirror, and listen to their inboxes."""
    publish = ["$JS.API.INFO", f"$JS.API.STREAM.INFO.{_STREAM}"]
    for name in durables:
        publish += [
            f"$JS.API.CONSUMER.INFO.{_STREAM}.{name}",
            f"{_CREATE}.{name}",
            f"{_CREATE}.{name}.>",
            f"$JS.API.CONSUMER.MSG.NEXT.{_STREAM}.{name}",
            f"$JS.ACK.{_STREAM}.{name}.>",
            f"$JS.ACK.*.*.{_STREAM}.{name}.>",
        ]
    inboxes = [f"_INBOX_{name.replace('-', '_')}.>" for name in durables]
    return {"publish": {"allow": publish}, "subscribe": {"allow": inboxes}}


def exports_file() -> str:
    """Return what the account of the services includes."""
    to = [SUBSCRIBERS]
    exports = [
        {"service": _CREATE, "accounts": to},
        {"service": f"{_CREATE}.>", "accounts": to},
        {"service": _FLOW, "accounts": to},
        {"stream": f"{_DELIVER}.>", "accounts": to},
    ]
    return _EXPORTS_HEAD + conf("exports", exports)


def account_file() -> str:
    """Return the account of the subscribers."""
    api = _CREATE.replace("$JS.API", _API)
    imports = [
        {"service": {"account": SERVICES, "subject": _CREATE}, "to": api},
        {"service": {"account": SERVICES, "subject": f"{_CREATE}.>"}, "to": f"{api}.>"},
        {"service": {"account": SERVICES, "subject": _FLOW}},
        {"stream": {"account": SERVICES, "subject": f"{_DELIVER}.>"}},
    ]
    limits = {"max_streams": 1, "max_consumers": 200}
    body = f"{conf('jetstream', limits)}{conf('imports', imports)}include ./{USERS_FILE}\n"
    return f"{_ACCOUNT_HEAD}{SUBSCRIBERS} {{\n{_indented(body)}}}\n"


def users_file(users: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return users with the names of their durables; the password of each is the variable `<USER>_PASSWORD`."""
    lines = [
        {"user": name, "password": f"${name.replace('-', '_').upper()}_PASSWORD", "permissions": permissions(durables)}
        for name, durables in users
    ]
    return conf("users", lines)


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit("usage: python -m schemas.nats_roles USER [DURABLE ...]  (by default one durable of the user's name)")
    sys.stdout.write(users_file([(sys.argv[1], sys.argv[2:] or sys.argv[1:])]))
