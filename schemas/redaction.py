"""Takes secrets out of JSON values and text before anything is published, logged, stored or shown (G12). Pure.

`redact` is total, idempotent and gives back the very same object when there was nothing to take out. What is not
certain is taken out: the bridge fills it in again from the object itself, which alone holds the secret.
Must never log or raise with a value in the message.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import itertools
import re
from typing import Any, Final

import msgspec

from schemas.secret_patterns import (
    MARKER,
    PATTERNS,
    Hint,
    Pattern,
    fold,
    is_reference,
    kind_of_name,
)
from schemas.texts import texts

__all__ = ["MARKER", "holds_marker", "is_secret_name", "redact", "redact_json"]

LONGEST_TEXT: Final = 65_536
"""Longer text with a hint of a secret is taken out whole, so that the time for one string is bounded."""
DEEPEST: Final = 100
"""Values nested deeper are taken out whole. The API server's own objects are about ten deep."""
MOST_PASSES: Final = 8

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_TEMPLATE: Final = re.compile(r"\{\{[^{}\"']{1,200}\}\}|\$\{\w+\}|\$\(\w+\)")
_PROSE: Final = re.compile(r"[A-Za-z.,-]{1,20}")
_PROSE_NAMES: Final = frozenset({"secret", "secrets", "token", "tokens", "credential", "credentials", "creds"})
_NOT_BASE64: Final = bytes(c if bytes((c,)).isalnum() or c in b"+/" else ord(" ") for c in range(256))
_BASE64: Final = re.compile(
    r"(?:(?<=\\)[nrt])?(?P<run>[A-Za-z0-9+/]{24,}(?:(?:\r?\n|\\r\\n|\\n)[A-Za-z0-9+/]+)*)={0,2}"
)
_LINE_END: Final = re.compile(r"\s+|\\[rn]")
_HEX: Final = re.compile(rb"[0-9a-f]+|[0-9A-F]+|[a-z]+")
_NAMES_IN_REFERENCES: Final = frozenset({"name", "namespace", "key", "optional"})
_SHORTEST_BASE64: Final = 24
_SHORTEST_TEXT: Final = 5
"""As in `pwd=x`."""
_SHORTEST_NAME: Final = 12
"""Names of fields are searched for secrets too, from this length."""
_ESCAPE: Final = re.compile(rb"\\.")


class _Search(msgspec.Struct, frozen=True):
    """What to look for, as the hints told, and how to mark it."""

    patterns: tuple[tuple[Hint, tuple[Pattern, ...]], ...]
    """With what of each hint was found."""
    encoded: bool
    """Whether base64 of a secret may be in it."""
    key: bytes | None


def is_secret_name(name: str) -> bool:
    """Whether a field of that name holds a secret, such as `apiKey` or `db_password`, but not `secretKeyRef`."""
    return kind_of_name(name) is not None


def redact(value: Any, key: bytes | None = None) -> Any:
    """Return the JSON value with `[redacted:<kind>]` where a secret was; the same object when there was none.

    With `key`, the marker also holds 8 hexadecimal digits of an HMAC-SHA-256 of the secret, so that equal secrets are
    seen to be equal and nothing else is.
    """
    try:
        raw = value.encode() if isinstance(value, str) else msgspec.json.encode(value)
    except (UnicodeEncodeError, ValueError, TypeError, OverflowError, RecursionError):
        # No JSON (a lone surrogate) or deeper than an encoder goes: search with everything.
        return _value(value, _Search(PATTERNS, encoded=True, key=key), None, 0)
    search = _search(raw, key)
    return value if search is None else _value(value, search, None, 0)


def redact_json(raw: bytes, key: bytes | None = None) -> bytes:
    """Return the JSON text without its secrets; the same object, without decoding it, when no hint of one is in it.

    What is no JSON is treated as text.
    """
    search = _search(raw, key)
    if search is None and b"\\u00" not in raw and b"\\/" not in raw:
        return raw
    try:
        value = msgspec.json.decode(raw)
    except RecursionError:
        return msgspec.json.encode(_marker("deep", raw.decode("utf-8", "replace"), key))
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = raw.decode("utf-8", "surrogateescape")
        clean = redact(text, key)
        return raw if clean is text else clean.encode("utf-8", "surrogateescape")
    # Encoded even when it is clean: of a name that is there twice, decoding saw the last value only.
    encoded = msgspec.json.encode(redact(value, key))
    return raw if encoded == raw else encoded


def holds_marker(value: Any) -> bool:
    """Whether redaction took anything out of the JSON value: the whole of it is known only to the object itself."""
    return any("[redacted:" in text and MARKER.search(text) for text in texts(value))


def _search(raw: bytes, key: bytes | None) -> _Search | None:
    """Return what must be looked for in text that holds these bytes, going by hints alone; None for nothing."""
    patterns = _hinted(raw)
    encoded = _may_be_encoded(raw)
    return _Search(patterns, encoded, key) if patterns or encoded else None


def _hinted(raw: bytes) -> tuple[tuple[Hint, tuple[Pattern, ...]], ...]:
    folded = fold(raw)
    found = [(hint.narrowed(folded if hint.folded else raw), patterns) for hint, patterns in PATTERNS]
    return tuple([(hint, patterns) for hint, patterns in found if hint is not None])


def _may_be_encoded(raw: bytes) -> bool:
    if b"\\" in raw:
        raw = _ESCAPE.sub(b"  ", raw)
    runs = (run for run in raw.translate(_NOT_BASE64).split() if len(run) >= _SHORTEST_BASE64)
    return any(not _HEX.fullmatch(run) and _encodes_secret(run.decode()) for run in runs)


def _encodes_secret(run: str) -> bool:
    """Whether base64 text decodes to readable text with a secret in it."""
    whole = _LINE_END.sub("", run)[: LONGEST_TEXT * 4 // 3]
    try:
        text = base64.b64decode(whole[: len(whole) - len(whole) % 4]).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    patterns = _hinted(text.encode())
    return bool(patterns) and _patterns(text, _Search(patterns, encoded=False, key=None)) != text


def _marker(kind: str, secret: str, key: bytes | None) -> str:
    if key is None:
        return f"[redacted:{kind}]"
    digest = hmac.new(key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
    return f"[redacted:{kind}:{digest[:8]}]"


def _value(value: Any, search: _Search, kind: str | None, depth: int) -> Any:
    """Redact a value; `kind` is what the name over it says that it holds."""
    if isinstance(value, str):
        return _text(value, search) if kind is None else _secret(value, kind, search)
    if isinstance(value, dict | list | tuple):
        if depth >= DEEPEST:
            return _marker("deep", "", None)
        if isinstance(value, dict):
            return _object(value, search, kind, depth + 1)
        items = [_value(item, search, _kind_of_item(value, i, kind), depth + 1) for i, item in enumerate(value)]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    if kind is None or value is None or isinstance(value, bool):
        return value
    return _marker(kind, _digits(value), search.key)


def _digits(number: Any) -> str:
    # Python refuses to write integers of more than 4,300 digits in decimal.
    return hex(number) if isinstance(number, int) else repr(number)


def _object(value: dict[Any, Any], search: _Search, kind: str | None, depth: int) -> dict[Any, Any]:
    changed = False
    result = {}
    for name, entry in value.items():
        label = _text(name, search) if isinstance(name, str) and len(name) >= _SHORTEST_NAME else name
        # By the name as it comes out, so that a second pass sees what the first saw.
        own = _kind_of_entry(value, label, entry, kind) if isinstance(label, str) else kind
        new = _text(entry, search) if own is None and isinstance(entry, str) else _value(entry, search, own, depth)
        changed = changed or new is not entry or label is not name
        result[label] = new
    return result if changed else value


def _kind_of_entry(parent: dict[Any, Any], name: str, entry: Any, kind: str | None) -> str | None:
    """Kind of secret that an entry of an object holds, going by its name and its neighbours."""
    own = kind_of_name(name)
    if own is None and kind is None:
        # The environment of a container: {name: DB_PASSWORD, value: ...}.
        label = parent.get("name", parent.get("key")) if name == "value" else None
        return kind_of_name(label) if isinstance(label, str) else None
    if name == "secret" and "namespace" in parent and isinstance(entry, str) and _NAME.fullmatch(entry):
        # The name of a Secret object, as in the parameters of rotate_secrets.
        return None
    if kind is not None and (name in _NAMES_IN_REFERENCES or is_reference(name)):
        return None
    return own or kind


def _kind_of_item(items: Any, index: int, kind: str | None) -> str | None:
    """Arguments of a program: what follows `--password` is one."""
    before = items[index - 1] if index and kind is None else None
    if isinstance(before, str) and before.startswith("-") and "=" not in before and isinstance(items[index], str):
        return kind_of_name(before)
    return kind


def _secret(value: str, kind: str, search: _Search) -> str:
    """Redact a string that its name says is secret: whole, unless it is empty, a reference or redacted already."""
    if not value or MARKER.fullmatch(value) or _TEMPLATE.fullmatch(value):
        return value
    return _marker(kind, value, search.key)


def _text(text: str, search: _Search) -> str:
    """Redact secrets within a text, until a further pass would change nothing."""
    if len(text) < _SHORTEST_TEXT:
        return text
    raw = text.encode("utf-8", "surrogatepass")
    folded = fold(raw)
    patterns = tuple([entry for entry in search.patterns if entry[0].within(folded if entry[0].folded else raw)])
    encoded = search.encoded and len(text) >= _SHORTEST_BASE64
    if not patterns and not encoded:
        return text
    if len(text) > LONGEST_TEXT:
        return _marker("long", text, search.key)
    new = _patterns(text, _Search(patterns, encoded, search.key))
    for _ in range(MOST_PASSES):
        if new == text:
            return text
        text = new
        again = _search(text.encode("utf-8", "surrogatepass"), search.key)
        new = text if again is None else _patterns(text, again)
    return _marker("secret", text, search.key)


def _patterns(text: str, search: _Search) -> str:
    for pattern in itertools.chain.from_iterable(patterns for _, patterns in search.patterns):
        text = pattern.expression.sub(lambda match, p=pattern: _replace(match, p, search.key), text)  # type: ignore[misc]
    if not search.encoded:
        return text
    return _BASE64.sub(
        lambda match: _marker("base64", match["run"], search.key) if _encodes_secret(match["run"]) else match[0], text
    )


def _replace(match: re.Match[str], pattern: Pattern, key: bytes | None) -> str:
    group = next((name for name in pattern.groups if match[name] is not None), 0)
    secret = match[group]
    if group == "bare":
        secret = secret.rstrip(")]},.") or secret
    elif group == "escaped":
        secret = secret.rstrip("\\")
    kind = pattern.kind or kind_of_name(match["key"])
    is_prose = group == "bare" and "sign" in match.re.groupindex and match["sign"] == ":" and _PROSE.fullmatch(secret)
    if not secret or kind is None or (is_prose and match["key"].lower() in _PROSE_NAMES):
        return match[0]
    if pattern.proof is not None and not pattern.proof(secret):
        return match[0]
    start = match.start(group) - match.start()
    return match[0][:start] + _marker(kind, secret, key) + match[0][start + len(secret) :]
