"""The Scheme in one file: what it sends, what it prints, and its exit status. The server beside it is a real one."""

import ast
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from signed_ledger.encoding import decode_request
from signed_ledger.records import MESSAGES, Evidence, HttpRequest, Iso8583
from signed_ledger.records.messages import MONEY
from signed_ledger.schemes import WEBHOOK, verify, webhook_id
from tests.processes import installed
from tests.signing_scheme import SCHEME, registered, send_webhook

SCRIPT = Path(__file__).parents[1] / "scripts" / "send_webhook.py"


@dataclass
class Issuer:
    """Answers every webhook alike, and keeps what came."""

    url: str = ""
    status: int = 201
    headers: dict[str, str] = field(default_factory=dict)
    came: list[HttpRequest] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path, mark, query = handler.path.partition("?")
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        fields = {name.lower(): value for name, value in handler.headers.items()}
        assert handler.command is not None
        self.came.append(HttpRequest(handler.command, fields["host"], path, mark + query, fields, body))
        handler.send_response(self.status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(b'{"decision": "approved"}')

    def evidence(self) -> Evidence:
        """The evidence of the only request that came."""
        (request,) = self.came
        find_key = {registered(SCHEME).kid: registered(SCHEME)}
        return verify(request, find_key.get, time.time_ns() // 1000, coverage=WEBHOOK, authorities=None)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    return write_key(tmp_path / "scheme.pem", SCHEME)


def write_key(path: Path, private: Ed25519PrivateKey | X25519PrivateKey, passphrase: bytes = b"") -> str:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return str(path)


# --- what is sent ---


def test_an_authorisation_is_sent_signed_and_answered(
    issuer: Issuer, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    issuer.headers = {"Content-Type": "application/json", "X-Other": "x", "Idempotent-Replayed": "true"}
    assert send_webhook.main(["authorisation", "--url", issuer.url, "--key", key_file, "--webhook-id", "evt-7"]) == 0
    evidence = issuer.evidence()
    assert evidence.request.path == "/authorisation"
    assert webhook_id(evidence.request) == "evt-7"
    assert capsys.readouterr().out.splitlines() == [
        "201 Created",
        "Content-Type: application/json",
        "Idempotent-Replayed: true",
        "",
        '{"decision": "approved"}',
    ]


def test_an_authorisation_has_a_new_transaction_and_takes_fields(issuer: Issuer, key_file: str) -> None:
    arguments = ["--card-id", "c-9", "--billing-amount", "0.5", "--billing-currency", "KWD"]
    send_webhook.main(["authorisation", "--url", issuer.url, "--key", key_file, *arguments])
    body = json.loads(issuer.evidence().request.body)
    assert body.pop("transaction_id").startswith("tx-")
    assert body == {
        "card_id": "c-9",
        "merchant_name": "Demo Shop",
        "merchant_country": "NL",
        "merchant_mcc": "5411",
        "billing_amount": "0.5",
        "billing_currency": "KWD",
        "transaction_amount": "0.5",
        "transaction_currency": "KWD",
    }


def test_a_presentment_names_its_transaction(issuer: Issuer, key_file: str) -> None:
    arguments = ["--transaction-id", "tx-1", "--final", "true", "--settlement-amount", "3.00"]
    send_webhook.main(["presentment", "--url", f"{issuer.url}/base/?a=b", "--key", key_file, *arguments])
    request = issuer.evidence().request
    assert (request.path, request.query) == ("/base/presentment", "?a=b")
    expected = {"transaction_id": "tx-1", "settlement_amount": "3.00", "settlement_currency": "EUR", "final": True}
    assert json.loads(request.body) == expected


AMOUNTS = ["--billing-amount", "3", "--settlement-currency", "USD", "--interchange-amount", "0.0333"]


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        pytest.param(
            ["increment", "--transaction-id", "tx-1"],
            {"transaction_id": "tx-1", "billing_amount": "5.00", "billing_currency": "EUR"},
            id="an increment",
        ),
        pytest.param(["reversal", "--transaction-id", "tx-1"], {"transaction_id": "tx-1"}, id="a reversal of all"),
        pytest.param(
            ["reversal", "--transaction-id", "tx-1", "--billing-amount", "3"],
            {"transaction_id": "tx-1", "billing_amount": "3", "billing_currency": "EUR"},
            id="a reversal of some",
        ),
        pytest.param(
            ["presentment", "--transaction-id", "tx-1", "--presentment-id", "p-1", "--final", "false", *AMOUNTS],
            {
                "transaction_id": "tx-1",
                "presentment_id": "p-1",
                "final": False,
                "billing_amount": "3",
                "billing_currency": "EUR",
                "settlement_amount": "12.30",
                "settlement_currency": "USD",
                "interchange_amount": "0.0333",
            },
            id="a part of what was authorised",
        ),
        pytest.param(
            ["presentment", "--transaction-id", "tx-1", "--force-post", "true", "--card-id", "c-9"],
            {
                "transaction_id": "tx-1",
                "force_post": True,
                "card_id": "c-9",
                "billing_amount": "12.30",
                "billing_currency": "EUR",
                "settlement_amount": "12.30",
                "settlement_currency": "EUR",
            },
            id="a forced presentment",
        ),
        pytest.param(
            ["refund", "--transaction-id", "tx-1", "--refund-id", "r-1", "--billing-amount", "3"],
            {
                "transaction_id": "tx-1",
                "refund_id": "r-1",
                "billing_amount": "3",
                "billing_currency": "EUR",
                "settlement_amount": "3",
                "settlement_currency": "EUR",
            },
            id="a refund of a transaction",
        ),
        pytest.param(
            ["refund", "--refund-id", "r-1", "--settlement-amount", "13.28", "--settlement-currency", "USD"],
            {
                "card_id": "card-1",
                "refund_id": "r-1",
                "billing_amount": "12.30",
                "billing_currency": "EUR",
                "settlement_amount": "13.28",
                "settlement_currency": "USD",
            },
            id="a refund of none",
        ),
    ],
)
def test_what_each_kind_says(issuer: Issuer, key_file: str, arguments: list[str], body: dict[str, object]) -> None:
    send_webhook.main([*arguments, "--url", issuer.url, "--key", key_file])
    request = issuer.evidence().request
    assert request.path == f"/{arguments[0]}"
    assert json.loads(request.body) == body
    decode_request(arguments[0], request.body)


@pytest.mark.parametrize("kind", [message.type for message in MESSAGES.values() if message.is_sent])
def test_every_kind_and_field_that_an_issuer_takes_can_be_sent(issuer: Issuer, key_file: str, kind: str) -> None:
    message = MESSAGES[kind]
    values = {"iso8583": ["--de", "37=000000000001", "--de", "49=978"], "interchange": ["--interchange-amount", "0.1"]}
    values |= {name: [f"--{name.replace('_', '-')}", "true"] for name in ("final", "force_post")}
    values |= {name: [f"--{name}-amount", "1.50", f"--{name}-currency", "EUR"] for name in MONEY}
    values |= {"merchant_country": ["--merchant-country", "AT"], "merchant_mcc": ["--merchant-mcc", "5812"]}
    values["authorisation_kind"] = ["--authorisation-kind", "final"]
    arguments = []
    for name in (*message.required, *message.optional):
        arguments += values.get(name, [f"--{name.replace('_', '-')}", "x-1"])
    send_webhook.main([kind, *arguments, "--url", issuer.url, "--key", key_file])
    request = decode_request(kind, issuer.evidence().request.body)
    assert [name for name in (*message.required, *message.optional) if getattr(request, name) is None] == []
    if request.iso8583 is not None:
        assert request.iso8583 == Iso8583("000000000001", transaction_currency="978")


@pytest.mark.parametrize("profile", ["rfc9421", "v1a"])
def test_a_whole_life_at_a_real_issuer(profile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installation = installed(tmp_path)
    told = []
    with installation.serve(STANDARD_WEBHOOKS="acme" if profile == "v1a" else "bolt") as server:
        door = ["--url", server.url, "--key", str(installation.scheme.private_file), "--profile", profile]
        for kind, *arguments in (
            ["authorisation", "--transaction-id", "tx-1"],
            ["increment", "--transaction-id", "tx-1"],
            ["reversal", "--transaction-id", "tx-1", "--billing-amount", "2.30"],
            ["presentment", "--transaction-id", "tx-1", "--billing-amount", "9.00", "--final", "false"],
            ["presentment", "--transaction-id", "tx-1", "--de", "37=000000000001"],
            ["refund", "--transaction-id", "tx-1", "--billing-amount", "1.00"],
            ["presentment", "--force-post", "true", "--interchange-amount", "0.0125"],
            ["refund"],
        ):
            assert send_webhook.main([kind, *arguments, *door]) == 0
            told.append(json.loads(capsys.readouterr().out.partition("\n\n")[2])["decision"])
        assert send_webhook.main(["refund", "--transaction-id", "tx-2", *door]) == 1
    assert told == ["approved", "approved", *["posted"] * 6]
    assert installation.json("balance", "card-1")["accounts"][0]["posted"] == "999986.00"
    installation.assert_audits()


@pytest.mark.parametrize("body", [b'{"a":1}\n', b"", b"\xff\x00"], ids=["json", "nothing", "not text"])
@pytest.mark.parametrize("source", ["file", "standard input"])
def test_a_body_is_sent_byte_for_byte(
    issuer: Issuer, key_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, body: bytes
) -> None:
    (tmp_path / "body").write_bytes(body)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(body)))
    name = "-" if source == "standard input" else str(tmp_path / "body")
    assert send_webhook.main(["authorisation", "--url", issuer.url, "--key", key_file, "--body", name]) == 0
    assert issuer.evidence().request.body == body


def test_json_is_sent_as_it_is(issuer: Issuer, key_file: str) -> None:
    text = '{ "merchant_name": "Caf\u00e9" }'
    assert send_webhook.main(["authorisation", "--url", issuer.url, "--key", key_file, "--json", text]) == 0
    assert issuer.evidence().request.body == text.encode()


def test_an_encrypted_key_is_opened_by_the_first_line_of_a_file(issuer: Issuer, tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_bytes(b"open\nother")
    key_file = write_key(tmp_path / "scheme.pem", SCHEME, b"open")
    arguments = ["--key", key_file, "--passphrase-file", str(tmp_path / "passphrase")]
    assert send_webhook.main(["authorisation", "--url", issuer.url, *arguments]) == 0
    issuer.evidence()


def test_a_dry_run_prints_what_would_be_sent_and_signed(
    issuer: Issuer, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["authorisation", "--url", issuer.url, "--key", key_file, "--json", "{}"]
    assert send_webhook.main([*arguments, "--dry-run"]) == 0
    assert issuer.came == []
    request, _, base = capsys.readouterr().out.partition("\n\n--- what is signed:\n")
    head, _, body = request.partition("\n\n")
    line, *headers = head.splitlines()
    assert (line, body) == ("POST /authorisation HTTP/1.1", "{}")
    fields = {name.lower(): value for name, value in (header.split(": ", 1) for header in headers)}
    issuer.came.append(HttpRequest("POST", fields["host"], "/authorisation", "", fields, body.encode()))
    assert issuer.evidence().signature_base == base.removesuffix("\n")


# --- the other profile ---


def standard_evidence(issuer: Issuer) -> Evidence:
    """The evidence of the only request that came, by Standard Webhooks v1a; RFC 9421 would find no key."""
    (request,) = issuer.came
    keys = [registered(SCHEME)]
    now = time.time_ns() // 1000
    return verify(
        replace(request, query=request.query or "?"),
        lambda _: None,
        now,
        coverage=WEBHOOK,
        authorities=None,
        standard_keys=lambda: keys,
    )


def test_a_webhook_is_signed_by_v1a_where_asked_for(issuer: Issuer, key_file: str) -> None:
    arguments = ["authorisation", "--url", issuer.url, "--key", key_file, "--webhook-id", "evt-7", "--profile", "v1a"]
    assert send_webhook.main(arguments) == 0
    evidence = standard_evidence(issuer)
    assert (evidence.profile, webhook_id(evidence.request)) == ("standard-webhooks-v1a", "evt-7")
    assert "signature-input" not in issuer.came[0].fields
    assert "content-digest" not in issuer.came[0].fields


def test_rfc_9421_is_the_default_and_can_be_named(issuer: Issuer, key_file: str) -> None:
    assert send_webhook.main(["authorisation", "--url", issuer.url, "--key", key_file, "--profile", "rfc9421"]) == 0
    assert issuer.evidence().profile == "rfc9421"


def test_a_dry_run_of_v1a_prints_what_would_be_signed(
    issuer: Issuer, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["authorisation", "--url", issuer.url, "--key", key_file, "--json", "{}", "--webhook-id", "evt-7"]
    assert send_webhook.main([*arguments, "--profile", "v1a", "--dry-run"]) == 0
    assert issuer.came == []
    request, _, signed = capsys.readouterr().out.partition("\n\n--- what is signed:\n")
    head, _, body = request.partition("\n\n")
    fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in head.splitlines()[1:])}
    assert signed == f"evt-7.{fields['webhook-timestamp']}.{body}\n"
    issuer.came.append(HttpRequest("POST", fields["host"], "/authorisation", "", fields, body.encode()))
    assert standard_evidence(issuer).kid == registered(SCHEME).kid


# --- the exit status ---


@pytest.mark.parametrize(
    ("status", "exit_status"), [(200, 0), (201, 0), (204, 0), (302, 1), (403, 1), (404, 1), (503, 1)]
)
def test_the_exit_status_tells_the_answer(issuer: Issuer, key_file: str, status: int, exit_status: int) -> None:
    issuer.status = status
    assert send_webhook.main(["authorisation", "--url", issuer.url, "--key", key_file]) == exit_status


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--url", "http://127.0.0.1:1"], "refused", id="nobody listens"),
        pytest.param(["--url", "ftp://127.0.0.1"], "not an http or https URL", id="another scheme of URL"),
        pytest.param(["--url", "http://127.0.0.1/caf\u00e9"], "percent-encoded", id="a URL that is not encoded"),
        pytest.param(["--url", "http://127.0.0.1:x"], "Port", id="a port that is no number"),
        pytest.param(["--key", "missing.pem"], "missing.pem", id="no such key file"),
        pytest.param(["--key", os.devnull], os.devnull, id="a file that holds no key"),
        pytest.param(["--body", "missing.json"], "missing.json", id="no such body file"),
        pytest.param(["--passphrase-file", "missing"], "missing", id="no such passphrase file"),
        pytest.param(["--webhook-id", "a\nb"], "", id="a webhook id that can not be a header"),
    ],
)
def test_what_can_not_be_asked_exits_2(
    key_file: str, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    url = "http://127.0.0.1:1"
    assert send_webhook.main(["authorisation", "--url", url, "--key", key_file, *arguments]) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert answer.err.startswith("send_webhook: ")
    assert says in answer.err


def test_a_key_that_can_not_sign_or_is_not_opened_exits_2(tmp_path: Path) -> None:
    x25519 = write_key(tmp_path / "x25519.pem", X25519PrivateKey.generate())
    encrypted = write_key(tmp_path / "encrypted.pem", SCHEME, b"open")
    (tmp_path / "wrong").write_text("shut\n")
    for key_arguments in ([x25519], [encrypted], [encrypted, "--passphrase-file", str(tmp_path / "wrong")]):
        assert send_webhook.main(["authorisation", "--key", *key_arguments]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="no kind"),
        pytest.param(["settlement", "--key", "k"], id="another kind"),
        pytest.param(["authorisation"], id="no key"),
        pytest.param(["presentment", "--key", "k"], id="a presentment of no transaction"),
        pytest.param(["presentment", "--key", "k", "--force-post", "false"], id="a presentment that is not forced"),
        pytest.param(["increment", "--key", "k"], id="an increment of no transaction"),
        pytest.param(["reversal", "--key", "k"], id="a reversal of no transaction"),
        pytest.param(["refund", "--key", "k", "--de", "37"], id="a data element without a value"),
        pytest.param(["refund", "--key", "k", "--de", "x=1"], id="a data element without a number"),
        pytest.param(["refund", "--key", "k", "--de", "37=1", "--de", "37=2"], id="a data element twice"),
        pytest.param(["refund", "--key", "k", "--json", "{}", "--de", "37=1"], id="a body and a data element"),
        pytest.param(["authorisation", "--key", "k", "--json", "{}", "--body", "-"], id="two bodies"),
        pytest.param(["authorisation", "--key", "k", "--json", "{}", "--card-id", "c"], id="a body and a field"),
        pytest.param(["presentment", "--key", "k", "--final", "maybe"], id="neither true nor false"),
    ],
)
def test_wrong_arguments_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        send_webhook.main(arguments)
    assert left.value.code == 2
    assert "usage: " in capsys.readouterr().err


# --- the file itself ---


@pytest.mark.parametrize(
    ("url", "authority", "path", "query"),
    [
        pytest.param("http://LOCALHOST/", "localhost", "/", "?", id="a host in upper case"),
        pytest.param("http://a.example:80/p", "a.example", "/p", "?", id="the default port"),
        pytest.param("https://a.example:80/p?q=%20", "a.example:80", "/p", "?q=%20", id="a port that is not"),
        pytest.param("http://[::1]:8080?x", "[::1]:8080", "/", "?x", id="an IPv6 address, and no path"),
    ],
)
def test_what_is_signed_of_a_url(url: str, authority: str, path: str, query: str) -> None:
    headers: dict[str, Any] = send_webhook.sign_request(SCHEME, "GET", url, None, created=1)
    base = send_webhook.signature_base("GET", url, headers)
    assert base.startswith(f'"@method": GET\n"@authority": {authority}\n"@path": {path}\n"@query": {query}\n')


def test_it_needs_nothing_but_the_standard_library_and_cryptography() -> None:
    found = set()
    for node in ast.walk(ast.parse(SCRIPT.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    assert found - set(sys.stdlib_module_names) == {"cryptography"}


def test_it_runs_as_a_command() -> None:
    told = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=True, timeout=60)
    assert "Exit status: 0 the answer is 2xx" in told.stdout
    assert told.stderr == ""
