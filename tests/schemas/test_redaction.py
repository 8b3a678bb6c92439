"""No secret leaves the object that it was in (G12)."""

from __future__ import annotations

import base64
import sys
import time
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.redaction import LONGEST_TEXT, MARKER, holds_marker, is_secret_name, redact, redact_json
from schemas.secret_patterns import KINDS, kind_of_name

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabcdef==\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
AWS_ID = "AKIAIOSFODNN7EXAMPLE"
GITHUB = "ghp_" + "aB3" * 12


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("password=hunter2", "password=[redacted:password]", id="a password after ="),
        pytest.param("Password: hunter2, x", "Password: [redacted:password], x", id="a password after a colon"),
        pytest.param("DB_PASSWD=a,b)c", "DB_PASSWD=[redacted:password]", id="a password with odd characters"),
        pytest.param("PGPASSWORD='a b' psql", "PGPASSWORD='[redacted:password]' psql", id="a quoted password"),
        pytest.param('{"password":"a \\"b c","x":1}', '{"password":"[redacted:password]","x":1}', id="JSON in text"),
        pytest.param('{\\"pwd\\":\\"a b\\"}', '{\\"pwd\\":\\"[redacted:password]\\"}', id="JSON in JSON in text"),
        pytest.param('{"password":12345}', '{"password":[redacted:password]}', id="a number in JSON in text"),
        pytest.param("password: |\n  hunter2\n", "password: |\n  [redacted:password]\n", id="a block of YAML"),
        pytest.param("password%3Dhunter2", "password%3D[redacted:password]", id="a password in a coded URL"),
        pytest.param("?token=abc123&x=1", "?token=[redacted:token]&x=1", id="a token in a URL"),
        pytest.param("--password hunter2 -v", "--password [redacted:password] -v", id="an option of a program"),
        pytest.param("--db-token=x1 -v", "--db-token=[redacted:token] -v", id="an option with ="),
        pytest.param("api_key=k1", "api_key=[redacted:key]", id="an API key"),
        pytest.param("apiKey: k1", "apiKey: [redacted:key]", id="an API key in camel case"),
        pytest.param(
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "aws_secret_access_key = [redacted:key]",
            id="an AWS secret key",
        ),
        pytest.param(f"id {AWS_ID}.", "id [redacted:aws].", id="an AWS key id"),
        pytest.param("AIza" + "Sy" * 17 + "x", "[redacted:gcp]", id="a GCP key"),
        pytest.param("ya29." + "a" * 30, "[redacted:gcp]", id="a GCP access token"),
        pytest.param(f"got {JWT} back", "got [redacted:jwt] back", id="a JWT"),
        pytest.param(f"x\n{PEM}\ny", "x\n[redacted:pem]\ny", id="a PEM block"),
        pytest.param(PEM.replace("\n", "\\n"), "[redacted:pem]", id="a PEM block on one line"),
        pytest.param(PEM[:50], "[redacted:pem]", id="a PEM block that was cut"),
        pytest.param(GITHUB, "[redacted:token]", id="a GitHub token"),
        pytest.param("sk-proj-" + "a1" * 20, "[redacted:token]", id="a key of a model's API"),
        pytest.param("xoxb-1234567890-abc", "[redacted:token]", id="a Slack token"),
        pytest.param("hvs." + "a1" * 20, "[redacted:token]", id="a Vault token"),
        pytest.param("Bearer abc.def-123456", "Bearer [redacted:token]", id="a Bearer token"),
        pytest.param("Authorization: Bearer a b\nX: y", "Authorization: [redacted:authorization]\nX: y", id="a header"),
        pytest.param("Cookie: a=b; c=d", "Cookie: [redacted:cookie]", id="cookies"),
        pytest.param("Basic dXNlcjpwYXNz", "Basic [redacted:credential]", id="basic authentication"),
        pytest.param("postgres://u:p@h/db", "postgres://u:[redacted:url]@h/db", id="only the password of a URL"),
        pytest.param("postgres://u:p@ss@h/db", "postgres://u:[redacted:url]@h/db", id="a password with @"),
        pytest.param("amqp://u:p/w@h", "amqp://u:[redacted:url]@h", id="a password with /"),
        pytest.param("redis://:pw@h:6379", "redis://:[redacted:url]@h:6379", id="a URL without a user"),
        pytest.param(quote("redis://u:pw@h", safe=""), "redis%3A%2F%2Fu%3A[redacted:url]%40h", id="a coded URL"),
        pytest.param("u:pw@tcp(db:3306)/x", "u:[redacted:url]@tcp(db:3306)/x", id="a MySQL connection string"),
        pytest.param(
            "Server=db;User Id=u;Password=a b;Timeout=3",
            "Server=db;User Id=u;Password=[redacted:password];Timeout=3",
            id="only the password of a connection string",
        ),
        pytest.param(
            "AccountName=n;AccountKey=abc==;Suffix=x", "AccountName=n;AccountKey=[redacted:key];Suffix=x", id="Azure"
        ),
        pytest.param("https://h/b?sig=abcdefghij&se=2", "https://h/b?sig=[redacted:signature]&se=2", id="a signed URL"),
        pytest.param(
            base64.b64encode(b"password=hunter2 and more").decode(), "[redacted:base64]", id="base64 of a password"
        ),
        pytest.param(f"data: {base64.b64encode(PEM.encode()).decode()}", "data: [redacted:base64]", id="base64 of PEM"),
        pytest.param(base64.encodebytes(PEM.encode()).decode(), "[redacted:base64]\n", id="base64 in lines"),
        pytest.param("secret: token: abc123", "secret: token: [redacted:token]", id="one name after the other"),
        pytest.param("secretName=a,password=b1", "secretName=a,password=[redacted:password]", id="after a reference"),
    ],
)
def test_secrets_are_taken_out_of_text(text: str, expected: str) -> None:
    """What is around the secret stays."""
    assert expected == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "Scale the deployment checkout to 3 replicas",
        "secret: db-creds",
        "parameters.secret: missing; it must be a Kubernetes name",
        'secrets "db-creds" not found',
        "secretName: db-creds",
        "the token expired",
        "basic configuration",
        "http://registry:5000/app@sha256:0123456789abcdef",
        "registry.example.com/app@sha256:" + "ab" * 32,
        "git@github.com:a/b.git",
        "kubernetes.io/service-account-token",
        "password={{ variables.db }}",
        "password: ${DB_PASSWORD}",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "0f1d9a2e-8a53-4a55-9d3a-112233445566",
        "cGxhaW4gdGV4dCB3aXRoIG5vdGhpbmcgaW4gaXQ=",
        "[redacted:password]",
        "[redacted:password:1a2b3c4d] and more",
        "",
    ],
)
def test_text_without_a_secret_is_the_very_same_object(text: str) -> None:
    """Nothing is made anew on the hot path, and what is readable stays so."""
    assert redact(text) is text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"password": "x"}, {"password": "[redacted:password]"}, id="a password"),
        pytest.param({"a": [{"dbPassword": "x"}]}, {"a": [{"dbPassword": "[redacted:password]"}]}, id="deep in it"),
        pytest.param({"api-key": "x"}, {"api-key": "[redacted:key]"}, id="an API key"),
        pytest.param({"pin_token": 1234}, {"pin_token": "[redacted:token]"}, id="a number"),
        pytest.param({"token": ["a", "b"]}, {"token": ["[redacted:token]", "[redacted:token]"]}, id="a list"),
        pytest.param(
            {"credentials": {"user": "u", "code": 1}},
            {"credentials": {"user": "[redacted:credential]", "code": "[redacted:credential]"}},
            id="all in an object of secrets",
        ),
        pytest.param(
            {"name": "DB_PASSWORD", "value": "x"},
            {"name": "DB_PASSWORD", "value": "[redacted:password]"},
            id="a variable of a container",
        ),
        pytest.param(
            ["login", "--password", "x", "--verbose"],
            ["login", "--password", "[redacted:password]", "--verbose"],
            id="arguments of a program",
        ),
        pytest.param({"auth": "dXNlcjpw"}, {"auth": "[redacted:credential]"}, id="a login of a registry"),
        pytest.param({"secret": "hunter2"}, {"secret": "[redacted:secret]"}, id="a secret that is no name"),
        pytest.param({GITHUB: 1}, {"[redacted:token]": 1}, id="a name that is a secret"),
        pytest.param({"x": {"y": f"use {AWS_ID}"}}, {"x": {"y": "use [redacted:aws]"}}, id="in the text of a value"),
    ],
)
def test_secrets_are_taken_out_of_objects(value: Any, expected: Any) -> None:
    """By the name that is over them, or by what they look like; the original stays as it was."""
    before = msgspec.json.encode(value)

    actual = redact(value)

    assert (expected, before) == (actual, msgspec.json.encode(value))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"secret": "db-creds", "namespace": "shop"}, id="the name of a Secret that is rotated"),
        pytest.param({"valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}, id="a reference to a key"),
        pytest.param({"volumes": [{"name": "t", "secret": {"secretName": "tls", "defaultMode": 420}}]}, id="a volume"),
        pytest.param({"imagePullSecrets": [{"name": "registry"}]}, id="names of Secrets"),
        pytest.param({"automountServiceAccountToken": False, "token": None, "password": ""}, id="nothing to hide"),
        pytest.param({"tokenExpirationSeconds": 3600, "secretType": "Opaque"}, id="words about a secret"),
        pytest.param({"idempotencyKey": "9f86d081884c7d659a2feaa0c55ad015", "key": "dedicated"}, id="other keys"),
        pytest.param({"password": "{{ variables.password }}"}, id="an expression"),
        pytest.param({"action": "rotate_secrets", "cookieDomain": "example.com"}, id="an action"),
        pytest.param([1, 2.5, True, None, {"a": []}], id="no text at all"),
    ],
)
def test_an_object_without_a_secret_is_the_very_same_object(value: Any) -> None:
    """References are kept: they say where a secret is, not what it is."""
    assert redact(value) is value


@pytest.mark.parametrize("kind", KINDS)
def test_a_marker_is_found_and_left_alone(kind: str) -> None:
    """With and without a key, wherever it is."""
    values = [f"a [redacted:{kind}] b", {"x": [f"[redacted:{kind}:0a1b2c3d]"]}, {f"[redacted:{kind}]": 1}]

    assert [(holds_marker(value), redact(value) is value) for value in values] == [(True, True)] * 3


@pytest.mark.parametrize("value", ["[redacted:]", "[redacted:hunter2]", "redacted", {"a": 1}, None, 7])
def test_what_is_no_marker_is_not_taken_for_one(value: Any) -> None:
    """A kind that does not exist could hide something."""
    assert holds_marker(value) is False


def test_a_key_shows_that_two_secrets_are_equal_and_nothing_else() -> None:
    """The same secret under the same key has the same marker; another key or secret has another."""
    markers = [
        redact({"password": secret}, key)["password"]
        for secret, key in (("a", b"1"), ("a", b"1"), ("b", b"1"), ("a", b"2"))
    ]

    assert (len(set(markers)), markers[0], all(map(MARKER.fullmatch, markers))) == (3, markers[1], True)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("password", "password"),
        ("X-Api-Key", "key"),
        ("secret", "secret"),
        ("clientSecret", "secret"),
        ("Authorization", "authorization"),
        ("privateKey", "key"),
        ("credentials", "credential"),
        ("refresh_token", "token"),
        ("secretName", None),
        ("secretKeyRef", None),
        ("tokenizer", None),
        ("key", None),
        ("idempotencyKey", None),
        ("author", None),
        ("replicas", None),
        ("", None),
    ],
)
def test_secret_names_are_known(name: str, kind: str | None) -> None:
    """Whatever way they are written."""
    assert (kind_of_name(name), is_secret_name(name)) == (kind, kind is not None)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b'{"password":"x"}', b'{"password":"[redacted:password]"}', id="a password"),
        pytest.param(b'{"p\\u0061ssword":"x"}', b'{"password":"[redacted:password]"}', id="a name with escapes"),
        pytest.param(b'"redis:\\/\\/u:p@h"', b'"redis://u:[redacted:url]@h"', id="a URL with escapes"),
        pytest.param(b'{"a":"AKIAIOSFODNN7EXAMPLE","a":"b"}', b'{"a":"b"}', id="a name twice"),
        pytest.param(b'{"password": "x', b'{"password": "[redacted:password]', id="no JSON"),
        pytest.param(b"password=x \xff", b"password=[redacted:password] \xff", id="no text"),
        pytest.param(b'[1e400, "AKIAIOSFODNN7EXAMPLE"]', b'[1e400, "[redacted:aws]"]', id="a number without end"),
    ],
)
def test_secrets_are_taken_out_of_json(raw: bytes, expected: bytes) -> None:
    """Of JSON as it came, and of what is none."""
    assert expected == redact_json(raw)


def test_clean_json_is_the_very_same_object() -> None:
    """It is not even decoded: this is the hot path."""
    raw = b'{"a": 1.50, "broken'

    assert redact_json(raw) is raw


def test_json_deeper_than_the_stack_is_taken_out_whole_when_it_may_hold_a_secret() -> None:
    """The answer is JSON, and short."""
    raw = b"[" * 100_000 + b'"password=x"' + b"]" * 100_000

    assert redact_json(raw) == b'"[redacted:deep]"'


def test_a_value_deeper_than_the_stack_is_cut() -> None:
    """No depth ends the process or hides a secret."""
    deep: Any = {"password": "x"}
    for _ in range(sys.getrecursionlimit() * 10):
        deep = [deep]

    shallow = redact(deep)

    assert (holds_marker(shallow), redact(shallow) is shallow) == (True, True)


def test_a_long_text_with_a_hint_is_taken_out_whole_and_one_without_is_kept() -> None:
    """The time for one string is bounded."""
    clean = "word " * LONGEST_TEXT

    assert (redact(clean) is clean, redact(clean + "password=x")) == (True, "[redacted:long]")


@pytest.mark.parametrize(
    "piece",
    [
        *("password", "password=", "--", "--a-password ", "token:", "secretName=", "://a:", "://", "eyJ", "eyJa."),
        *("-----BEGIN A-----", "basic a", "bearer ", "Bearer aaaaaaaaaa", '\\"', '"password":"', "password='", "{{"),
        *("password: |\n", "AKIA", "A", "a.", "%3A%2F%2Fa%3A", "a:b@", "@tcp(", "sig=", "\n", "=", "password  ", "p"),
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    """Text made to be slow: each is as long as is searched at all, and the whole answers within a second."""
    text = (piece * LONGEST_TEXT)[: LONGEST_TEXT - 30] + " password=x redis://"

    start = time.process_time()
    redact(text)

    assert time.process_time() - start < 1.0


NASTY = st.sampled_from(
    [
        *("password", "token", "secret", "apiKey", "=", ":", " ", '"', "'", "\\", "://", "@", "/", "Bearer ", "Basic "),
        *("eyJhbGciOi", ".", "-----BEGIN X-----", "-----END X-----", "AKIAIOSFODNN7EXAMPLE", "[redacted:", "]", "--"),
        *("[redacted:password]", "[redacted:token:0a1b2c3d]", "{{ a }}", "\n", ";", "&", "%3A", "%2F", "%40", "|", ">"),
        *("cGFzc3dvcmQ9aHVudGVyMiBhbmQgbW9yZQ", "x", "Name", "hunter2", "authorization", "cookie", "sig=", "@tcp("),
    ]
)
TEXT = st.lists(NASTY | st.text(max_size=5), max_size=12).map("".join)
VALUE = st.recursive(
    TEXT | st.integers() | st.floats() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None)
@given(VALUE, st.sampled_from([None, b"key"]))
def test_redacting_twice_changes_nothing(value: Any, key: bytes | None) -> None:
    """The second time gives back the very object, so that each place of the product may redact again."""
    once = redact(value, key)

    assert redact(once, key) is once


@settings(deadline=None)
@given(VALUE)
def test_only_what_changed_is_made_anew(value: Any) -> None:
    """The same object when nothing was taken out, a marker in it when something was."""
    clean = redact(value)

    assert clean is value or holds_marker(clean)


@settings(deadline=None)
@given(st.binary(max_size=200) | VALUE.map(lambda value: msgspec.json.encode(value, order="sorted")))
def test_json_is_redacted_as_its_value_is(raw: bytes) -> None:
    """Whatever bytes: no error; JSON stays JSON, with nothing left for a second time."""
    once = redact_json(raw)

    assert not is_json(raw) or (is_json(once), redact_json(once)) == (True, once)


def is_json(raw: bytes) -> bool:
    """Whether bytes are JSON."""
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


@settings(deadline=None)
@given(st.sampled_from(["wombat7", "s3cr3t-Value", "p@ss/w0rd"]), VALUE, TEXT, st.sampled_from([" ", "\n", ""]))
def test_a_password_is_gone_wherever_it_was(secret: str, beside: Any, name: str, gap: str) -> None:
    """In no part of what comes out, whatever is beside it."""
    told = [{"password": secret}, f'{{"password": "{secret}"}}', f"postgres://u:{secret}@h", f"x{gap} pwd={secret}"]

    clean = msgspec.json.encode(redact([told, beside, {name: told}])).decode("utf-8", "replace")

    assert secret not in clean
