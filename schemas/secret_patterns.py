"""What secrets look like, as data: names of secret fields, hints that find them fast, and patterns of secret text.

Every pattern runs in time linear in the text: no nested quantifier, and each repeat that could meet another is bounded.
Every pattern has hints, one of which is in any text that it can match: what holds no hint is never searched.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: Final = (
    *("password", "token", "secret", "key", "credential", "authorization", "cookie"),
    *("jwt", "pem", "aws", "gcp", "url", "signature", "base64", "deep", "long"),
)
MARKER: Final = re.compile(rf"\[redacted:(?:{'|'.join(KINDS)})(?::[0-9a-f]{{8}})?\]")
"""What stands where a secret was."""

_BLANK: Final = b"-_. "
_LOWER: Final = bytes(range(256)).lower()

# What makes a name secret, in names folded as by `fold`. The first that is found gives the kind.
_NAME_KINDS: Final = (
    (("passw", "passphrase", "passcode", "pwd"), "password"),
    (("authorization",), "authorization"),
    (("cookie",), "cookie"),
    (("accesskey", "apikey", "privatekey", "encryptionkey", "signingkey", "masterkey", "sharedkey"), "key"),
    (("accountkey", "sshkey", "secretkey"), "key"),
    (("token", "jwt"), "token"),
    (("credential", "creds"), "credential"),
    (("secret",), "secret"),
)
# Names that end so tell about a secret, or where it is, and hold none.
_REFERENCES: Final = (
    *("name", "names", "namespace", "ref", "refs", "reference", "references", "type", "types", "kind", "mode", "path"),
    *("file", "policy", "ttl", "expiry", "expiration", "expires", "expiresat", "expiresin", "seconds", "count"),
    *("limit", "length", "size", "version", "enabled", "required", "provider", "issuer", "audience", "audiences"),
    *("domain", "tokenizer", "review", "class", "manager", "store", "rotation", "status", "phase", "reason"),
)
_LONGEST_NAME: Final = 256


def fold(text: bytes) -> bytes:
    """Lower case, without blanks, `-`, `_` and `.`: so `API-Key`, `api_key` and `apiKey` are one."""
    return text.translate(_LOWER, _BLANK)


@lru_cache(maxsize=4096)
def kind_of_name(name: str) -> str | None:
    """Kind of secret that a field of that name holds; None when the name says nothing of the sort."""
    if "[redacted:" in name:
        name = MARKER.sub("", name)
    folded = fold(name[-_LONGEST_NAME:].encode("utf-8", "replace"))
    if folded == b"auth":
        return "credential"
    found = next((kind for hints, kind in _NAME_KINDS if any(hint.encode() in folded for hint in hints)), None)
    return None if found is None or is_reference(name) else found


def is_reference(name: str) -> bool:
    """Whether a name says where a secret is or what it is like, such as `secretName` or `tokenExpirationSeconds`."""
    return fold(name[-_LONGEST_NAME:].encode("utf-8", "replace")).decode("ascii", "replace").endswith(_REFERENCES)


class Hint(msgspec.Struct, frozen=True):
    """What is in any text that a pattern can match, in bytes, because that is found fastest."""

    folded: bool
    """Whether it is looked for in the folded text."""
    literals: tuple[bytes, ...] = ()
    expression: re.Pattern[bytes] | None = None
    """Begins with one literal character: the search for that is as fast as that for a literal."""

    def narrowed(self, text: bytes) -> Hint | None:
        """Return what of the hint is in a text; None when nothing is."""
        literals = tuple([literal for literal in self.literals if literal in text])
        expression = None if self.expression is None or self.expression.search(text) is None else self.expression
        return Hint(self.folded, literals, expression) if literals or expression is not None else None

    def within(self, text: bytes) -> bool:
        """Whether anything of the hint is in a text."""
        for literal in self.literals:
            if literal in text:
                return True
        return self.expression is not None and self.expression.search(text) is not None


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of secret in text. The secret is the named group that matched, else the whole match."""

    kind: str
    """Empty: the group `key` names what it is."""
    expression: re.Pattern[str]
    groups: tuple[str, ...]
    """Groups that hold the secret, of which one matches; empty: it is the whole match."""
    proof: Callable[[str], bool] | None = None
    """What must be true of the secret too."""


def _has_user_and_password(text: str) -> bool:
    try:
        return b":" in base64.b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return False


def _pattern(
    kind: str, *expressions: str, any_case: bool = False, proof: Callable[[str], bool] | None = None
) -> Pattern:
    expression = re.compile("|".join(expressions), re.ASCII | (re.IGNORECASE if any_case else 0))
    groups = tuple(name for name in expression.groupindex if name not in {"key", "sign"})
    return Pattern(kind=kind, expression=expression, groups=groups, proof=proof)


def _raw(*literals: bytes, expression: bytes = b"") -> Hint:
    return Hint(folded=False, literals=literals, expression=re.compile(expression) if expression else None)


_WORDS: Final = (
    r"(?:passw(?:or)?d|passphrase|passcode|pwd|secret|token|jwt|credential|creds|"
    r"(?:access|api|private|encryption|signing|master|shared|account|ssh)[-_. ]?key)"
)
_NO_REFERENCE: Final = "".join(f"(?<!{ending})" for ending in _REFERENCES)
_NAME: Final = rf"(?<!\[redacted:)(?P<key>{_WORDS}[\w.-]{{0,32}}+{_NO_REFERENCE})"
# Between a name and its value: quotes of JSON, also escaped once more, and = or : or their forms in a URL. A value may
# be a block of YAML.
_SIGN: Final = (
    r"[\\\"'\]]{0,4}[ \t]{0,4}(?P<sign>=>|:=|=|:|%3[AD])(?:[ \t]{0,4}[|>][-+]?[ \t]{0,4}\r?\n[ \t]{0,32}|\s{0,4})"
)
_FREE: Final = r"(?!\[redacted:|\{\{[^{}\"']{1,200}\}\}|\$\{\w+\}|\$\(\w+\))"
_ESCAPED: Final = rf"\\{{1,4}}\"{_FREE}(?P<escaped>[^\"]+)"
_QUOTED: Final = rf"\"{_FREE}(?P<quoted>(?:[^\"\\]|\\.)+)|'{_FREE}(?P<single>[^']+)"
# A password with blanks in it is seen only where a connection string closes it with `;`.
_BARE: Final = (
    rf"{_FREE}(?!{_WORDS}[\w.-]{{0,32}}[ \t]{{0,4}}[=:]|[|>][-+]?[ \t]{{0,4}}\r?\n)"
    r"(?P<bare>[^\s\"'&;\\]+(?:(?: [^\s\"'&;=\\]{0,64}){1,4}(?=;))?)"
)
_HEADER: Final = r"[\\\"']{0,4}\s{0,4}[=:]\s{0,4}[\\\"']{0,4}(?!\[redacted:)(?P<value>[^\s\"'\\][^\r\n\"'\\]*)"

_NAME_HINT: Final = Hint(
    folded=True,
    literals=(b"passw", b"passphrase", b"passcode", b"pwd", b"secret", b"token", b"jwt", b"cred", b"cookie"),
    expression=re.compile(
        rb"key(?:(?<=accesskey)|(?<=apikey)|(?<=privatekey)|(?<=encryptionkey)|(?<=signingkey)|(?<=masterkey)|"
        rb"(?<=sharedkey)|(?<=accountkey)|(?<=sshkey))"
    ),
)
# What field names are secret is told by `kind_of_name`: each of them holds a hint of a pattern, or the one without any.

PATTERNS: Final[tuple[tuple[Hint, tuple[Pattern, ...]], ...]] = (
    (
        _raw(b"-----BEGIN"),
        (_pattern("pem", r"-----BEGIN [A-Z0-9 ]{1,64}-----[\s\S]*?(?:-----END [A-Z0-9 ]{1,64}-----|\Z)"),),
    ),
    (
        _raw(b"eyJ"),
        (_pattern("jwt", r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*)?"),),
    ),
    (
        _raw(expression=rb"A(?:KIA|SIA|BIA|CCA|Iza)"),
        (
            _pattern("aws", r"(?<![A-Za-z0-9])A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
            _pattern("gcp", r"\bAIza[A-Za-z0-9_-]{35}"),
        ),
    ),
    (
        _raw(expression=rb"_(?:(?<=gh[oprsu]_)|(?<=pat_)|(?<=k_live_)|(?<=k_test_)|(?<=npm_)|(?<=hf_)|(?<=v1_))"),
        (
            _pattern(
                "token",
                r"\bgh[pousr]_[A-Za-z0-9]{20,}",
                r"\bgithub_pat_\w{20,}",
                r"\b[sr]k_(?:live|test)_\w{10,}",
                r"\b(?:npm|hf)_[A-Za-z0-9]{24,}",
                r"\bdop_v1_[a-f0-9]{32,}",
            ),
        ),
    ),
    (
        _raw(expression=rb"-(?:(?<=sk-)|(?<=glpat-)|(?<=nvapi-)|(?<=xox[a-z]-))"),
        (
            _pattern(
                "token", r"\bsk-[\w-]{20,}", r"\bglpat-[\w-]{16,}", r"\bnvapi-[\w-]{20,}", r"\bxox[a-z]-[\w-]{10,}"
            ),
        ),
    ),
    (
        _raw(expression=rb"[.](?:(?<=SG[.])|(?<=hv[sbr][.])|(?<=ya29[.]))"),
        (
            _pattern("token", r"\bSG\.[\w-]{16,}\.[\w-]{16,}", r"\bhv[sbr]\.[\w-]{20,}"),
            _pattern("gcp", r"\bya29\.[\w-]{20,}"),
        ),
    ),
    # Headers: the value goes to the end of the line or of the quotes, because it has blanks in it.
    (
        Hint(folded=True, literals=(b"authorization",)),
        (_pattern("authorization", rf"(?<!\[redacted:)authorization{_HEADER}", any_case=True),),
    ),
    (_raw(expression=rb"(?i)\"auth\""), ()),
    (
        Hint(folded=True, literals=(b"cookie",)),
        (_pattern("cookie", rf"(?<!\[redacted:)cookie{_HEADER}", any_case=True),),
    ),
    (
        Hint(folded=True, literals=(b"bearer",)),
        (_pattern("token", r"\bbearer\s{1,8}(?P<value>[A-Za-z0-9._~+/=-]{8,})", any_case=True),),
    ),
    (
        Hint(folded=True, literals=(b"basic",)),
        (
            _pattern(
                "credential",
                r"\bbasic\s{1,8}(?P<value>[A-Za-z0-9+/_-]{6,}={0,2})",
                any_case=True,
                proof=_has_user_and_password,
            ),
        ),
    ),
    # The password may hold @ or, wrongly, /; a port is none.
    (
        _raw(b"://", expression=rb"%3[Aa]%2[Ff]%2[Ff]"),
        (
            _pattern(
                "url",
                r"://[^\s:/@\"']{0,256}:(?!\[redacted:)(?P<value>[^\s/\"'<>]{1,1024})@",
                r"://[^\s:/@\"']{0,256}:(?!\[redacted:|[0-9]{1,5}/)(?P<slashed>[^\s\"'<>@]{1,256})@",
                r"://(?P<user>[A-Za-z0-9_-]{20,256})@",
                r"%3A%2F%2F[^\s%]{0,256}%3A(?!\[redacted:)(?P<encoded>[^\s\"'<>]{1,256}?)%40",
                any_case=True,
            ),
        ),
    ),
    (
        _raw(expression=rb"@(?:tcp|unix)\("),
        (_pattern("url", r"(?<![\w.\[-])[\w.-]{1,64}:(?!\[redacted:)(?P<value>[^\s@]{1,256})@(?:tcp|unix)\("),),
    ),
    (
        _raw(expression=rb"=(?:(?<=sig=)|(?<=ignature=))"),
        (_pattern("signature", r"\b(?:sig|X-(?:Amz|Goog)-Signature)=(?P<value>[^\s&\"'\[]{8,})"),),
    ),
    (
        _NAME_HINT,
        (
            _pattern("", rf"{_NAME}{_SIGN}(?:{_ESCAPED}|{_QUOTED}|{_BARE})", any_case=True),
            _pattern(
                "",
                rf"(?<![\w-])--?[\w-]{{0,32}}?{_NAME}\s{{1,4}}(?:{_QUOTED}|(?!-){_BARE})",
                any_case=True,
            ),
        ),
    ),
)
