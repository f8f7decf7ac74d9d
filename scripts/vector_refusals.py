"""What must be refused, for make_vectors.py: each input is nearly right and wrong in one way.

Long, since most of it is a table. A case is (why, input); the input is made from a good one of the small ledger by
replacing one text in it by another.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, TypeAlias

from signed_ledger.encoding import (
    decode_base64,
    decode_body,
    decode_entry,
    decode_evidence,
    decode_note,
    decode_state,
    encode_base64,
    encode_evidence,
)
from signed_ledger.errors import Invalid, KeyChangeRefused, Refusal
from signed_ledger.keyring import Keyring, approve
from signed_ledger.records import Evidence, Genesis, KeyChange, RegisteredKey
from signed_ledger.schemes import reverify
from signed_ledger.sealing import open_entry, open_part
from signed_ledger.signing import SoftwareSigner, kid_of

Case: TypeAlias = tuple[str, str | bytes]
Edit: TypeAlias = tuple[str, str, str]
UnverifiedCases: TypeAlias = Callable[[Evidence, SoftwareSigner], Iterator[tuple[str, Evidence]]]

KEY: Final = base64.b64encode(bytes(range(32))).decode()
SHORT_KEY: Final = base64.b64encode(bytes(31)).decode()


def edited(good: str, edits: list[Edit]) -> Iterator[Case]:
    """A case for each (why, old, new): `old` stands in `good` once."""
    for why, old, new in edits:
        assert good.count(old) == 1, (why, good.count(old))
        yield why, good.replace(old, new)


def member(part: str, name: str, value: str | None) -> str:
    """The part with one member set to JSON text, or left out, and still in canonical order."""
    members = json.loads(part)
    del members[name]
    lines = {key: json.dumps(members[key], ensure_ascii=False, separators=(",", ":")) for key in members}
    if value is not None:
        lines[name] = value
    return "{" + ",".join(f'"{key}":{lines[key]}' for key in sorted(lines)) + "}"


def members(part: str, cases: list[tuple[str, str, str | None]]) -> Iterator[Case]:
    """A case for each (why, member, JSON text)."""
    for why, name, value in cases:
        assert name in json.loads(part), why
        yield why, member(part, name, value)


def with_member(part: str, name: str, value: str) -> str:
    """The part with a further member, in canonical order."""
    empty = json.dumps({**json.loads(part), name: None}, ensure_ascii=False)
    return member(empty, name, value)


# --- notes and entries -----------------------------------------------------------------------------------------------


def note_cases(good: str) -> Iterator[Case]:
    head, _, line = good.rpartition("\n\n")
    blob = line.split(" ")[-1].rstrip("\n")
    text = f"{head}\n\n"
    cases: list[Case] = [
        ("no signature", f"{head}\n"),
        ("an empty line, and no signature after it", text),
        ("no text", line),
        ("no line end after the signature", good[:-1]),
        ("an empty line after the signature", f"{good}\n"),
        ("a line after the signature", f"{good}more\n"),
        ("line ends of two characters", good.replace("\n", "\r\n")),
        ("a tab in the text", f"\t{good}"),
        ("a zero byte in the text", f"\0{good}"),
        ("not UTF-8 in the text", b"\xff" + good.encode()),
        ("half a surrogate pair as UTF-8", b"\xed\xa0\x80" + good.encode()),
        ("a hyphen for the em dash", good.replace("—", "-")),
        ("an en dash for the em dash", good.replace("—", "–")),
        ("no space after the em dash", good.replace("— ", "—")),
        ("two spaces after the em dash", good.replace("— ", "—  ")),
        ("a no-break space after the em dash", good.replace("— ", "—\u00a0")),
        ("no name", f"{text}—  {blob}\n"),
        ("a space in the name", f"{text}— a b {blob}\n"),
        ("a plus sign in the name", f"{text}— a+b {blob}\n"),
        ("a space of another kind in the name", f"{text}— a\u2003b {blob}\n"),
        ("a space after the signature", f"{text}— a {blob} \n"),
        ("no base64", f"{text}— a\n"),
        ("base64 in the URL alphabet", f"{text}— a AAAAA__-\n"),
        ("base64 without its padding", f"{text}— a AAAAAAA\n"),
        ("base64 with too much padding", f"{text}— a AAAAAAAA=\n"),
        ("base64 whose unused bits are not zero", f"{text}— a AAAAAAB=\n"),
        ("a key id and no signature", f"{text}— a AAAAAA==\n"),
        ("101 signatures", text + line * 101),
    ]
    yield from cases


ENTRY_EDITS: Final[list[Edit]] = [
    ("another version", "signed-ledger/v1 ", "signed-ledger/v2 "),
    ("a kind that this version does not know", " transaction\n", " checkpoint\n"),
    ("a kind in capitals", " transaction\n", " Transaction\n"),
    ("no kind", " transaction\n", "\n"),
    ("two spaces before the kind", " transaction\n", "  transaction\n"),
    ("a space after the kind", " transaction\n", " transaction \n"),
    ("seq with a leading zero", "\n19\n", "\n019\n"),
    ("seq with a sign", "\n19\n", "\n+19\n"),
    ("seq below zero", "\n19\n", "\n-19\n"),
    ("seq in hexadecimal", "\n19\n", "\n0x13\n"),
    ("seq in digits beyond ASCII", "\n19\n", "\n١٩\n"),
    ("seq of 17 digits", "\n19\n", "\n10000000000000000\n"),
    ("no seq", "\n19\n", "\n"),
    ("a line between seq and prev", "\n19\n", "\n19\n19\n"),
    ("time without its fraction", ".407402Z", "Z"),
    ("time in milliseconds", ".407402Z", ".407Z"),
    ("time in nanoseconds", ".407402Z", ".407402000Z"),
    ("time without its zone", ".407402Z", ".407402"),
    ("time with an offset", ".407402Z", ".407402+00:00"),
    ("time with a small z", ".407402Z", ".407402z"),
    ("time with a comma", ".407402Z", ",407402Z"),
    ("time with a space for the T", "2026-11-23T", "2026-11-23 "),
    ("time with a small t", "2026-11-23T", "2026-11-23t"),
    ("time on a day that is not", "2026-11-23T", "2026-02-29T"),
    ("time in the hour 24", "T10:00:", "T24:00:"),
    ("time in a leap second", ":07.407402Z", ":60.407402Z"),
    ("time before 1970", "2026-11-23T", "1969-12-31T"),
    ("no body", "body sha256:", "note sha256:"),
    ("a part name in capitals", "body sha256:", "Body sha256:"),
    ("another hash", "body sha256:", "body sha512:"),
    ("two spaces in a part's line", "body sha256:", "body  sha256:"),
    ("a space before a digest", "body sha256:", "body sha256: "),
    ("two states", "evidence sha256:", "state sha256:"),
    ("a part that is not known", "evidence sha256:", "receipt sha256:"),
    ("a length with a leading zero", " 558\n", " 0558\n"),
    ("a length of zero", " 558\n", " 0\n"),
    ("a length beyond 65,535", " 558\n", " 65536\n"),
    ("a length of six digits", " 558\n", " 100000\n"),
    ("no length", " 558\n", "\n"),
    ("a space after a length", " 558\n", " 558 \n"),
    ("signed under the name of another use", "— vectors.example/ledger/entry ", "— vectors.example/ledger/root "),
    ("signed under the name of another ledger", "— vectors.example/", "— vectors2.example/"),
]


def entry_cases(good: str) -> Iterator[Case]:
    yield from edited(good, ENTRY_EDITS)
    lines = good.split("\n")
    prev, body, state, signature = lines[3], lines[5], lines[6], lines[-2]
    blob = signature.split(" ")[-1]
    origin = lines[0].removesuffix("/entry")
    yield from [
        ("prev in hexadecimal", good.replace(prev, decode_base64(prev, "prev").hex())),
        ("prev of 31 bytes", good.replace(prev, SHORT_KEY)),
        ("prev whose unused bits are not zero", good.replace(prev, f"{'A' * 42}B=")),
        ("a digest of 31 bytes", good.replace(body.split(" ")[1], f"sha256:{SHORT_KEY}")),
        ("the state before the body", good.replace(f"{body}\n{state}", f"{state}\n{body}")),
        ("the body twice", good.replace(body, f"{body}\n{body}")),
        ("a line after the parts", good.replace("\n\n", "\nmore\n\n")),
        ("an empty line in the text", good.replace(f"{prev}\n", f"{prev}\n\n")),
        ("a first line without /entry", good.replace(f"{origin}/entry\n", f"{origin}\n", 1)),
        ("no first line", good.partition("\n")[2]),
        ("an origin in capitals", good.replace(origin, origin.upper())),
        ("an origin with its scheme", good.replace(origin, f"https://{origin}")),
        ("an origin beyond ASCII", good.replace(origin, origin.replace("e", "é"))),
        ("an origin of two parts without a name between", good.replace(origin, origin.replace("/", "//"))),
        ("line ends of two characters", good.replace("\n", "\r\n")),
        ("a byte order mark", f"\ufeff{good}"),
        ("a delete character", good.replace(origin, f"{origin}\x7f")),
        ("two signatures", f"{good}{signature}\n"),
        ("no signature", good[: good.index("\n\n") + 1]),
        ("a signature of 63 bytes", good.replace(blob, encode_base64(decode_base64(blob, "")[:-1]))),
        ("a signature of 65 bytes", good.replace(blob, encode_base64(decode_base64(blob, "") + b"\0"))),
        ("longer than 4,096 bytes", good.replace(origin, f"{origin}/{'a' * 2000}")),
    ]


# --- parts -----------------------------------------------------------------------------------------------------------


def form_cases(good: str) -> Iterator[Case]:
    """Other JSON texts of the same, or nearly the same, authorisation."""
    first = good[1 : good.index(",")]
    yield from edited(
        good,
        [
            ("an escape that is not needed", '"Caf\u00e9 ', '"Caf\\u00e9 '),
            ("an escape in a name", '"kind"', '"kin\\u0064"'),
            ("a member twice", '{"billing_amount":', '{"billing_amount":"90.00","billing_amount":'),
            ("a space after a colon", '"kind":', '"kind": '),
            ("a member that is null", '"kind":', '"extra":null,"kind":'),
            ("a member that is NaN", '"kind":', '"extra":NaN,"kind":'),
            ("a number with a fraction", '"kind":', '"extra":1.5,"kind":'),
            ("a number with a fraction of zero", '"kind":', '"extra":1.0,"kind":'),
            ("a number with an exponent", '"kind":', '"extra":1e0,"kind":'),
            ("a negative zero", '"kind":', '"extra":-0,"kind":'),
            ("an integer beyond 2^53-1", '"kind":', '"extra":9007199254740992,"kind":'),
            ("lists in lists in lists", '"kind":', f'"extra":{"[" * 300}{"]" * 300},"kind":'),
            ("more lists in lists than a stack holds", '"kind":', f'"extra":{"[" * 5000}{"]" * 5000},"kind":'),
            ("half a surrogate pair", '"Caf\u00e9 ', '"\\ud800 '),
        ],
    )
    others: list[Case] = [
        ("a member that is not known", with_member(good, "extra", '"x"')),
        ("a member whose name is not ASCII", with_member(good, "é", '"x"')),
        ("members in another order", "{" + good[len(first) + 2 : -1] + "," + first + "}"),
        ("a comma at the end", good[:-1] + ",}"),
        ("a line end after it", good + "\n"),
        ("a space before it", " " + good),
        ("a byte order mark", "\ufeff" + good),
        ("something after it", good + "{}"),
        ("in a list", f"[{good}]"),
        ("cut off", good[:-1]),
        ("single quotes", good.replace('"', "'")),
        ("empty", ""),
        ("null", "null"),
        ("not UTF-8", good.encode().replace(b"\xc3\xa9", b"\xe9")),
        ("in UTF-16", good.encode("utf-16-le")),
    ]
    yield from others


SALT_CASES: Final[list[tuple[str, str, str | None]]] = [
    ("no salt", "salt", None),
    ("a salt of 15 bytes", "salt", json.dumps(base64.b64encode(bytes(15)).decode())),
    ("a salt of 17 bytes", "salt", json.dumps(base64.b64encode(bytes(17)).decode())),
    ("a salt in the URL alphabet", "salt", '"____________________-w=="'),
    ("a salt without its padding", "salt", '"AAAAAAAAAAAAAAAAAAAAAA"'),
    ("a salt whose unused bits are not zero", "salt", '"AAAAAAAAAAAAAAAAAAAAAB=="'),
    ("a salt that is a number", "salt", "0"),
]
BODY_CASES: Final[dict[str, list[tuple[str, str, str | None]]]] = {
    "genesis": [
        ("genesis of another version", "version", "1"),
        ("a version that is true", "version", "true"),
        ("a threshold of zero", "threshold", "0"),
        ("a threshold above the number of roots", "threshold", "4"),
        ("a threshold as text", "threshold", '"2"'),
        ("no root keys", "root_keys", "[]"),
        ("one root key, not in a list", "root_keys", f'"{KEY}"'),
        ("the same root key twice", "root_keys", f'["{KEY}","{KEY}"]'),
        ("a root key of 31 bytes", "root_keys", f'["{KEY}","{SHORT_KEY}"]'),
        ("a root key that is null", "root_keys", f'["{KEY}",null]'),
        ("an entry key of 31 bytes", "entry_key", f'"{SHORT_KEY}"'),
        ("an origin with its scheme", "origin", '"https://vectors.example"'),
        ("an origin that ends in a slash", "origin", '"vectors.example/"'),
        ("an origin of 201 characters", "origin", json.dumps("a" * 201)),
        ("no approvals", "approvals", None),
    ],
    "key": [
        ("an op that this version does not know", "op", '"revoke"'),
        ("a role that no key entry may give", "role", '"root"'),
        ("a kid in capitals", "kid", json.dumps("A" * 64)),
        ("a kid of 63 digits", "kid", json.dumps("a" * 63)),
        ("a public key of 31 bytes", "public_key", f'"{SHORT_KEY}"'),
        ("nobody's key", "whose", '""'),
        ("a name with a slash", "whose", '"a/b"'),
        ("a name with a line end", "whose", '"acme\\n"'),
        ("a version below zero", "version", "-1"),
        ("a version as text", "version", '"1"'),
    ],
    "account": [
        ("a card without an id", "owner", '"card:"'),
        ("an owner of no sort", "owner", '"bank:x"'),
        ("an Issuer with a name", "owner", '"issuer:x"'),
        ("a currency in small letters", "currency", '"eur"'),
        ("a currency that is none", "currency", '"XXX"'),
        ("no currency", "currency", None),
    ],
    "load": [
        ("a load of nothing", "billing_amount", '"0.00"'),
        ("a load below zero", "billing_amount", '"-1.00"'),
        ("a decimal too few", "billing_amount", '"200.0"'),
        ("a decimal too many", "billing_amount", '"200.000"'),
        ("no decimals", "billing_amount", '"200"'),
        ("a leading zero", "billing_amount", '"0200.00"'),
        ("no digit before the point", "billing_amount", '".20"'),
        ("a plus sign", "billing_amount", '"+200.00"'),
        ("a decimal comma", "billing_amount", '"200,00"'),
        ("an exponent", "billing_amount", '"2e2"'),
        ("a space", "billing_amount", '" 200.00"'),
        ("a line end", "billing_amount", '"200.00\\n"'),
        ("digits beyond ASCII", "billing_amount", '"٢٠٠.٠٠"'),
        ("a number", "billing_amount", "200"),
        ("10^15 minor units", "billing_amount", '"10000000000000.00"'),
        ("decimals that the currency has not", "billing_currency", '"JPY"'),
        ("fewer decimals than the currency has", "billing_currency", '"KWD"'),
        ("another decision", "decision", '"approved"'),
        ("another reason", "reason", '"insufficient_funds"'),
        ("a load that holds", "hold_change", '"200.00"'),
        ("a negative zero", "hold_change", '"-0.00"'),
        ("a type that this version does not know", "type", '"chargeback"'),
        ("no type", "type", None),
        ("the type as kind", "kind", '"load"'),
        ("another kind", "kind", '"journal"'),
        ("an entry's kind as type", "type", '"genesis"'),
    ],
    "authorisation": [
        ("an approval for want of funds", "reason", '"insufficient_funds"'),
        ("a decline that is ok", "decision", '"declined"'),
        ("a decision that is none", "decision", '"posted"'),
        ("a response code of another reason", "response_code", '"51"'),
        ("a response code as a number", "response_code", "0"),
        ("no response code", "response_code", None),
        ("a status that the totals do not make", "status", '"CLEARED"'),
        ("no status", "status", None),
        ("a hold that the totals do not make", "hold", '"89.99"'),
        ("no hold", "hold", None),
        ("a status and a hold, and no totals", "totals", None),
        ("a window as text", "window_days", '"7"'),
        ("a window that is true", "window_days", "true"),
        ("an expiry without its fraction", "expires", '"2026-11-30T10:00:00Z"'),
        ("a category as a number", "merchant_mcc", "5812"),
        ("a category of three digits", "merchant_mcc", '"581"'),
        ("a country that is none", "merchant_country", '"UK"'),
        ("a country in small letters", "merchant_country", '"ch"'),
        ("a merchant without a name", "merchant_name", '""'),
        ("a merchant's name of 101 characters", "merchant_name", json.dumps("a" * 101)),
        ("a control character in a name", "merchant_name", '"a\\u0000b"'),
        ("a control character of the second sort in a name", "merchant_name", '"a\u0085b"'),
        ("a webhook id with a point", "webhook_id", '"evt.1"'),
        ("a transaction id of 65 characters", "transaction_id", json.dumps("a" * 65)),
        ("a Scheme with a space", "scheme", '"ac me"'),
        ("an amount without its currency", "transaction_currency", None),
    ],
    "presentment": [
        ("final as a number", "final", "1"),
        ("no final", "final", None),
        ("a hold's change in decimals that the currency has not", "hold_change", '"-90.0"'),
        ("built on no leaf", "builds_on", '{"seq":19}'),
        ("built on a leaf of 31 bytes", "builds_on", f'{{"leaf":"{SHORT_KEY}","seq":19}}'),
        ("built on more than an entry", "builds_on", f'{{"extra":1,"leaf":"{KEY}","seq":19}}'),
        ("built on a seq as text", "builds_on", f'{{"leaf":"{KEY}","seq":"19"}}'),
        ("no settlement", "settlement_amount", None),
        ("a settlement below zero", "settlement_amount", '"-95.00"'),
    ],
    "increment": [
        ("an increment that is posted", "decision", '"posted"'),
        ("a decline that is ok", "decision", '"declined"'),
        ("an increment of nothing that is said", "billing_amount", None),
    ],
    "reversal": [
        ("a reversal that is approved", "decision", '"approved"'),
        ("a reversal that is declined", "decision", '"declined"'),
        ("a reversal by nobody", "webhook_id", None),
    ],
    "refund": [
        ("a refund that is approved", "decision", '"approved"'),
        ("a refund that is settled with nobody", "settlement_amount", None),
        ("a refund id of nothing", "refund_id", '""'),
        ("an interchange with too few decimals", "interchange_amount", '"0.005"'),
        ("an interchange with too many decimals", "interchange_amount", '"0.005000000"'),
        ("an interchange below zero", "interchange_amount", '"-0.00500000"'),
        ("an interchange that is a negative zero", "interchange_amount", '"-0.00000000"'),
        ("an interchange as a number", "interchange_amount", "0"),
    ],
    "expiry": [
        ("an expiry of no amount", "billing_amount", None),
        ("an expiry for want of funds", "reason", '"insufficient_funds"'),
    ],
    "card": [
        ("an op that this version does not know", "op", '"close"'),
        ("blocked as a number", "blocked", "1"),
        ("no blocked", "blocked", None),
        ("a card without an id", "card_id", '""'),
        ("a Scheme without a name", "scheme", '""'),
        ("a Scheme that is null", "scheme", "null"),
        ("a reason of 201 characters", "why", json.dumps("a" * 201)),
        ("a control character in a reason", "why", '"a\\nb"'),
        ("no reason", "why", None),
    ],
    "journal": [
        ("line 0", "line", "0"),
        ("a line beyond the last", "line", "3"),
        ("no lines", "lines", "0"),
        ("a batch below zero", "batch", "-1"),
        ("a line that is true", "line", "true"),
        ("a negative zero", "amount", '"-0.00"'),
        ("more than an account can hold", "amount", '"92233720368547758.08"'),
        ("an account of no sort", "account", '"bank"'),
    ],
}
GONE: Final = object()
"""Instead of a value: the member is left out."""
WITHIN_CASES: Final[dict[str, list[tuple[str, tuple[str | int, ...], Any]]]] = {
    "authorisation": [
        ("a total below zero", ("totals", "reversed"), "-1.00"),
        ("a total of nothing, which is left out", ("totals", "expired"), "0.00"),
        ("no clearings, which is left out", ("totals", "clearings"), 0),
        ("no final clearing, which is left out", ("totals", "final"), False),
        ("a total as a number", ("totals", "authorised"), 90),
        ("a total that is not known", ("totals", "disputed"), "0.00"),
        ("a count of clearings as text", ("totals", "clearings"), "0"),
        ("a count of clearings that is false", ("totals", "clearings"), False),
        ("totals whose last clearing is a number", ("totals", "final"), 0),
        ("totals in a list", ("totals",), []),
        ("flags that are none", ("flags",), []),
        ("a flag that is not known", ("flags",), ["large"]),
        ("flags in another order", ("flags",), ["late", "forced"]),
        ("a flag twice", ("flags",), ["late", "late"]),
        ("a flag that is not in a list", ("flags",), "late"),
        ("a kind of authorisation that is none", ("authorisation_kind",), "contactless"),
        ("an authorisation that settles", ("presentment_id",), "clr.1"),
        ("an authorisation that is the last", ("final",), True),
        ("no data elements", ("iso8583",), {}),
        ("a data element that is not known", ("iso8583",), {"39": "00"}),
        ("a data element as a number", ("iso8583",), {"49": 978}),
        ("a data element of another form", ("iso8583",), {"37": "12345678901"}),
        ("a data element of no ASCII", ("iso8583",), {"38": "ABCDÉF"}),
        ("another currency's number", ("iso8583",), {"51": "840"}),
        ("data elements in a list", ("iso8583",), ["978"]),
    ],
    "reversal": [
        ("a reversal that settles", ("refund_id",), "back.1"),
    ],
    "refund": [
        ("a refund that is the last", ("final",), True),
        ("a refund of no transaction, under another id than its own", ("builds_on",), GONE),
    ],
    "expiry": [
        ("an expiry that a Scheme sent", ("webhook_id",), "evt_1"),
        ("an expiry with data elements", ("iso8583",), {"38": "A1B2C3"}),
        ("an expiry with a merchant", ("merchant_mcc",), "5812"),
    ],
    "settlement": [
        ("another day's settlement", ("transaction_id",), "settlement-2026-11-27"),
        ("a day that is not", ("date",), "2026-02-30"),
        ("a day in another form", ("date",), "20261128"),
        ("a day's end without its fraction", ("day_ends",), "2026-11-29T00:00:00Z"),
        ("complete as a number", ("is_complete",), 0),
        ("a settlement that is approved", ("decision",), "approved"),
        ("rounded for the Issuer first", ("rounded",), ["issuer", "scheme"]),
        ("rounded for nobody", ("rounded",), []),
        ("the digest of another CSV", ("csv",), f"sha256:{KEY} 258"),
        ("no CSV", ("csv",), GONE),
        ("sums in an object", ("sums",), {}),
        ("a net that is not gross - refunds + fees", ("sums", 0, "net"), "0.00"),
        ("a gross below zero", ("sums", 0, "gross"), "-1.00"),
        ("refunds that are left out", ("sums", 0, "refunds"), GONE),
        ("a count as text", ("sums", 0, "count"), "2"),
        ("a count below zero", ("sums", 0, "count"), -1),
        ("an interchange that is rounded", ("sums", 0, "interchange_exact"), "0.03"),
        ("a sum in a currency that is none", ("sums", 0, "currency"), "XXX"),
        ("a sum in another currency than the next in order", ("sums", 1, "currency"), "CLP"),
        ("a sum with more than a sum has", ("sums", 0, "tax"), "0.00"),
    ],
    "terms": [
        ("a window of no days", ("window_days",), 0),
        ("a window of 401 days", ("window_days",), 401),
        ("a window as text", ("window_days",), "5"),
        ("no windows", ("windows",), GONE),
        ("windows in an object", ("windows",), {}),
        ("201 windows", ("windows",), [{"days": 7}] * 201),
        ("a rule's window of no days", ("windows", 0, "days"), 0),
        ("a rule with more than it has", ("windows", 0, "percent"), "1"),
        ("a rule for no kind", ("windows", 0, "kinds"), []),
        ("a rule for a kind that is none", ("windows", 0, "kinds"), ["contactless"]),
        ("a rule for no category", ("windows", 0, "mccs"), []),
        ("a category of three digits", ("windows", 0, "mccs"), ["812"]),
        ("a category as a number", ("windows", 0, "mccs"), [5812]),
        ("a range of one category", ("windows", 0, "mccs"), ["5812-5812"]),
        ("a range that goes back", ("windows", 0, "mccs"), ["5813-5812"]),
        ("a Scheme without a name", ("windows", 0, "scheme"), ""),
        ("a share with a zero at its end", ("tolerances", 0, "percent"), "20.0"),
        ("a share with a zero before it", ("tolerances", 0, "percent"), "020"),
        ("a share of five decimals", ("tolerances", 0, "percent"), "0.00001"),
        ("a share below zero", ("tolerances", 0, "percent"), "-1"),
        ("a share above ten times the amount", ("tolerances", 0, "percent"), "1000.0001"),
        ("a share as a number", ("tolerances", 0, "percent"), 20),
        ("no share", ("tolerances", 0, "percent"), GONE),
        ("an amount without its currency", ("tolerances", 0, "at_least"), "10.00"),
        ("an amount with a decimal too few", ("tolerances", 0, "at_least"), "10.0 EUR"),
        ("an amount below zero", ("fees", 0, "fixed"), "-0.05 EUR"),
        ("an amount in a currency that is none", ("fees", 0, "fixed"), "0.05 XXX"),
    ],
}
STATE_CASES: Final[list[tuple[str, str, str | None]]] = [
    ("held below zero", "held", '"-90.00"'),
    ("posted as a number", "posted", "20000"),
    ("more than an account can hold", "posted", '"92233720368547758.08"'),
    ("a negative zero", "held", '"-0.00"'),
    ("decimals that the currency has not", "currency", '"JPY"'),
    ("no owner", "owner", None),
    ("an owner of no sort", "owner", '"bank"'),
    *SALT_CASES,
]
EVIDENCE_CASES: Final[list[tuple[str, str, str | None]]] = [
    ("a profile that this version does not know", "profile", '"v1a"'),
    ("a signature of 63 bytes", "signature", json.dumps(base64.b64encode(bytes(63)).decode())),
    ("a public key of 31 bytes", "public_key", f'"{SHORT_KEY}"'),
    ("fields in a list", "fields", "[]"),
    ("a field that is a number", "fields", '{"webhook-id":1}'),
    ("a body whose unused bits are not zero", "body", '"AB=="'),
    ("a body that is not encoded", "body", '"{}"'),
    ("received without its fraction", "received", '"2026-11-23T10:00:00Z"'),
    ("received before 1970", "received", '"1969-12-31T23:59:59.999999Z"'),
    ("no query", "query", None),
    ("a kid that is a number", "kid", "1"),
    SALT_CASES[0],
]


def within(part: str, path: tuple[str | int, ...], value: Any) -> str:
    """The part with one value deep in it set, or left out, and still in canonical order."""
    whole: Any = json.loads(part)
    inner = whole
    for step in path[:-1]:
        inner = inner[step]
    if value is GONE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def body_cases(bodies: dict[str, str]) -> Iterator[Case]:
    yield from form_cases(bodies["authorisation"])
    yield from members(bodies["authorisation"], SALT_CASES)
    for name, cases in BODY_CASES.items():
        yield from members(bodies[name], cases)
    for name, deeper in WITHIN_CASES.items():
        yield from ((why, within(bodies[name], path, value)) for why, path, value in deeper)
    yield "an amount without its currency", with_member(bodies["presentment"], "transaction_amount", '"1.00"')
    yield "the type as kind, without a type", member(member(bodies["load"], "type", None), "kind", '"load"')
    yield "a presentment id that is null", with_member(bodies["presentment"], "presentment_id", "null")
    yield "a presentment id of nothing", with_member(bodies["presentment"], "presentment_id", '""')
    yield "a genesis with a kid", with_member(bodies["genesis"], "kid", json.dumps("a" * 64))


# --- what is well-formed, and not what should stand there ------------------------------------------------------------


def opening_cases(entry: dict[str, Any], keys: dict[str, SoftwareSigner]) -> Iterator[dict[str, Any]]:
    """Entries that do not open: {why, note, origin, seq, public_key}."""
    good = {
        "note": entry["note"],
        "origin": "vectors.example/ledger",
        "seq": entry["seq"],
        "public_key": encode_base64(keys["entry-2"].public_key),
    }
    text, _, line = entry["note"].rpartition("\n\n")
    blob = decode_base64(line.split(" ")[-1][:-1], "")
    name = line.rpartition(" ")[0]

    def signed(data: bytes) -> str:
        return f"{text}\n\n{name} {encode_base64(data)}\n"

    yield {"why": "another ledger's", **good, "origin": "vectors.example/other"}
    yield {"why": "at another seq", **good, "seq": entry["seq"] + 1}
    yield {"why": "by the key before", **good, "public_key": encode_base64(keys["entry-1"].public_key)}
    yield {"why": "with another key id", **good, "note": signed(bytes(4) + blob[4:])}
    yield {"why": "with one bit of R changed", **good, "note": signed(blob[:4] + bytes([blob[4] ^ 1]) + blob[5:])}
    yield {"why": "with one bit of S changed", **good, "note": signed(blob[:36] + bytes([blob[36] ^ 1]) + blob[37:])}
    order = 2**252 + 27742317777372353535851937790883648493
    large = (int.from_bytes(blob[36:], "little") + order).to_bytes(32, "little")
    yield {"why": "with S and the group's order", **good, "note": signed(blob[:36] + large)}
    yield {"why": "with another length of the body", **good, "note": entry["note"].replace(" 558\n", " 559\n")}
    yield {"why": "with another kind", **good, "note": entry["note"].replace(" transaction\n", " journal\n")}


def part_cases(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Parts that their entry does not name: {why, note, part, data}."""
    yield {"why": "another body", "part": "body", "data": entry["body"].replace("90.00", "90.01")}
    yield {"why": "a body with a space after it", "part": "body", "data": entry["body"] + " "}
    yield {"why": "the body as the state", "part": "state", "data": entry["body"]}
    yield {"why": "a state of nothing", "part": "state", "data": ""}


def unverified_cases(evidence: Evidence, other: SoftwareSigner) -> Iterator[tuple[str, Evidence]]:
    """Evidence of which something is not what was signed."""
    request = evidence.request
    header = dict(request.fields)

    def asked(**changes: Any) -> Evidence:
        return replace(evidence, request=replace(request, **changes))

    def with_fields(**fields: str) -> Evidence:
        return asked(fields={**header, **{name.replace("_", "-"): text for name, text in fields.items()}})

    body = request.body.replace(b"90.00", b"10.00")
    hashed = encode_base64(hashlib.sha256(body).digest())
    yield "another body", asked(body=body)
    yield "another body, with its digest", asked(body=body, fields={**header, "content-digest": f"sha-256=:{hashed}:"})
    yield "another method", asked(method="PUT")
    yield "another host", asked(authority="other.example")
    yield "another path", asked(path="/presentment")
    yield "another query", asked(query="?a")
    yield "another webhook id", with_fields(webhook_id="evt_0")
    yield "another type", with_fields(content_type="text/plain")
    yield "a field that is not covered", with_fields(date="Mon, 23 Nov 2026 10:00:00 GMT")
    yield "a covered field that is missing", asked(fields={n: v for n, v in header.items() if n != "webhook-id"})
    yield "another signature base", replace(evidence, signature_base=evidence.signature_base.replace("POST", "PUT"))
    yield "another signature beside the field", replace(evidence, signature=evidence.signature[:-1] + b"\0")
    yield "another signature in the field", with_fields(signature=header["signature"].replace("A", "B"))
    yield "another key", replace(evidence, public_key=other.public_key)
    yield "another kid", replace(evidence, kid=kid_of(other.public_key))
    yield "received 301 s later", replace(evidence, received=evidence.received + 301_000_000)


def unverified_standard_cases(evidence: Evidence, other: SoftwareSigner) -> Iterator[tuple[str, Evidence]]:
    """The same of Standard Webhooks v1a."""
    request = evidence.request
    name, _, stamp = evidence.signature_base.partition(".")
    later = f"{name}.{int(stamp) + 1}"
    field = request.fields["webhook-signature"]

    def with_fields(base: str = evidence.signature_base, **fields: str) -> Evidence:
        header = {**request.fields, **{name.replace("_", "-"): text for name, text in fields.items()}}
        return replace(evidence, signature_base=base, request=replace(request, fields=header))

    body = request.body.replace(b"90.00", b"10.00")
    foreign = f"v1a,{encode_base64(other.sign(evidence.signature_base.encode() + b'.' + request.body))}"
    yield "v1a: another body", replace(evidence, request=replace(request, body=body))
    yield "v1a: a query", replace(evidence, request=replace(request, query="?a"))
    yield "v1a: another id", with_fields(f"evt_0.{stamp}", webhook_id="evt_0")
    yield "v1a: another id in the field", with_fields(webhook_id="evt_0")
    yield "v1a: another timestamp", with_fields(later, webhook_timestamp=later.partition(".")[2])
    yield "v1a: a timestamp with a leading zero", with_fields(webhook_timestamp=f"0{stamp}")
    yield "v1a: another timestamp beside the field", replace(evidence, signature_base=later)
    yield "v1a: a symmetric signature only", with_fields(webhook_signature=field.partition(" ")[0])
    yield "v1a: two spaces between signatures", with_fields(webhook_signature=field.replace(" ", "  "))
    yield "v1a: a signature by another key in the field", with_fields(webhook_signature=foreign)
    yield "v1a: another signature beside the field", replace(evidence, signature=bytes(64))
    yield "v1a: a field that is not signed", with_fields(content_type="application/json")
    yield "v1a: another key", replace(evidence, public_key=other.public_key)
    yield "v1a: received 301 s later", replace(evidence, received=evidence.received + 301_000_000)


def key_cases(
    genesis: Genesis, changes: list[tuple[int, KeyChange]], keys: dict[str, SoftwareSigner]
) -> Iterator[tuple[str, KeyChange]]:
    """Key entries that the registry does not admit next after all of `changes`."""
    origin, version = genesis.origin, len(changes) + 1
    public, new = keys["acme-1"].public_key, SoftwareSigner(hashlib.sha256(b"signed-ledger vectors: new").digest())
    root, entry, scheme = f"{origin}/root", f"{origin}/entry", f"{origin}/scheme/zeta"
    roots = [(root, keys["root-1"]), (root, keys["root-2"])]
    add = KeyChange("add", "scheme", kid_of(new.public_key), new.public_key, "zeta", version)
    rotate = replace(add, role="entry", whose=origin)
    old, fresh = (entry, keys["entry-2"]), (entry, new)

    def signed(change: KeyChange, signers: list[tuple[str, Any]]) -> KeyChange:
        return replace(change, approvals=approve(change, origin, signers))

    yield "a version that was before", signed(replace(add, version=version - 1), roots)
    yield "a version left out", signed(replace(add, version=version + 1), roots)
    yield "another key's kid", signed(replace(add, kid=kid_of(public)), roots)
    yield "a key that was retired", signed(replace(add, kid=kid_of(public), public_key=public), roots)
    yield "a root key in another role", _of(add, keys["root-1"].public_key, signed, roots)
    yield "a key of low order", _of(add, bytes([1]) + bytes(31), signed, roots)
    yield "no approvals", add
    yield "one root of two", signed(add, roots[:1])
    yield "one root twice", signed(add, [roots[0], roots[0]])
    yield "a line by a key that is not known", signed(add, [*roots, ("somebody", keys["operator-1"])])
    yield "a line by the entry key, which has no say here", signed(add, [*roots, old])
    yield "a root under another name", signed(add, [roots[0], (entry, keys["root-2"])])
    yield "approvals over another key", replace(add, approvals=signed(rotate, roots).approvals)
    yield "a rotation without the old key", signed(rotate, [*roots, fresh])
    yield "a rotation without the new key", signed(rotate, [*roots, old])
    yield "a rotation without a root", signed(rotate, [fresh, old])
    yield "a rotation by the key before the old one", signed(rotate, [*roots, fresh, (entry, keys["entry-1"])])
    yield "an entry key of somebody's", signed(replace(rotate, whose="zeta"), [*roots, fresh, old])
    forged = signed(add, [*roots, (scheme, new)])
    yield "possession that is not shown", replace(forged, approvals=forged.approvals[:-5] + "AAA=\n")
    retire = replace(add, op="retire", kid=kid_of(public), public_key=public, whose="acme")
    yield "a key retired twice", signed(retire, roots)
    yield "a key that nobody registered, retired", signed(replace(add, op="retire"), roots)
    current = keys["entry-2"].public_key
    ends = replace(rotate, op="retire", kid=kid_of(current), public_key=current)
    yield "an entry key retired", signed(ends, roots)


def _of(add: KeyChange, key: bytes, signed: Callable[..., KeyChange], roots: list[Any]) -> KeyChange:
    return signed(replace(add, kid=kid_of(key), public_key=key), roots)


# --- told ------------------------------------------------------------------------------------------------------------


def made_refusals(ledger: dict[str, Any], keys: dict[str, SoftwareSigner], standard: bytes) -> dict[str, Any]:
    """The vectors of refused.json. `standard` is an evidence of Standard Webhooks v1a."""
    entries = ledger["entries"]
    approved = next(entry for entry in entries if entry["about"] == "approved")
    bodies: dict[str, str] = {}
    for entry in entries:
        said = json.loads(entry["body"])
        bodies.setdefault(said.get("type", said["kind"]), entry["body"])
    decoders: dict[str, tuple[Callable[[bytes], Any], Iterator[Case]]] = {
        "notes": (decode_note, note_cases(approved["note"])),
        "entries": (decode_entry, entry_cases(approved["note"])),
        "bodies": (decode_body, body_cases(bodies)),
        "states": (decode_state, members(approved["state"], STATE_CASES)),
        "evidence": (decode_evidence, members(approved["evidence"], EVIDENCE_CASES)),
    }
    return {
        **{name: [_refused(decode, *case) for case in cases] for name, (decode, cases) in decoders.items()},
        "entries_that_do_not_open": [_not_opened(case) for case in opening_cases(approved, keys)],
        "parts_of_another_entry": [_not_its_part(approved["note"], case) for case in part_cases(approved)],
        "evidence_that_does_not_verify": [
            *_unverified(approved["evidence"].encode(), keys, unverified_cases),
            *_unverified(standard, keys, unverified_standard_cases),
        ],
        "key_changes": list(_refused_changes(entries, keys)),
    }


def _refused(decode: Callable[[bytes], Any], why: str, data: str | bytes) -> dict[str, str]:
    raw = data if isinstance(data, bytes) else data.encode()
    field = _field(lambda: decode(raw), why)
    given = {"input": data} if isinstance(data, str) else {"input_base64": encode_base64(data)}
    return {"why": why, "field": field, **given}


def _field(refuse: Callable[[], Any], why: str) -> str:
    try:
        refuse()
    except (Invalid, KeyChangeRefused) as error:
        return str(error.field)
    raise AssertionError(f"this is accepted: {why}")


def _not_opened(case: dict[str, Any]) -> dict[str, Any]:
    key = decode_base64(case["public_key"], "public_key")
    note = case["note"].encode()
    field = _field(lambda: open_entry(note, origin=case["origin"], seq=case["seq"], public_key=key), case["why"])
    return {**case, "field": field}


def _not_its_part(note: str, case: dict[str, Any]) -> dict[str, Any]:
    entry = decode_entry(note.encode()).entry
    name = case["part"]
    field = _field(lambda: open_part(name, getattr(entry, name), case["data"].encode()), case["why"])
    return {**case, "note": note, "field": field}


def _unverified(part: bytes, keys: dict[str, SoftwareSigner], cases: UnverifiedCases) -> Iterator[dict[str, Any]]:
    public = keys["acme-1"].public_key
    key = RegisteredKey(kid_of(public), "scheme", "acme", public, 0)
    salt = decode_base64(json.loads(part)["salt"], "salt")
    for why, evidence in cases(decode_evidence(part), keys["acme-2"]):
        try:
            reverify(evidence, key)
        except Refusal as refusal:
            yield {"why": why, "code": refusal.code, "evidence": encode_evidence(evidence, salt).decode()}
        else:
            raise AssertionError(f"this is accepted: {why}")


def _refused_changes(entries: list[dict[str, Any]], keys: dict[str, SoftwareSigner]) -> Iterator[dict[str, Any]]:
    decoded = [(entry["seq"], decode_body(entry["body"].encode()).body) for entry in entries]
    genesis = decoded[0][1]
    assert isinstance(genesis, Genesis)
    changes = [(seq, body) for seq, body in decoded if isinstance(body, KeyChange)]
    keyring = Keyring(genesis)
    for seq, change in changes:
        keyring.apply(change, seq)
    for why, change in key_cases(genesis, changes, keys):
        refused = change
        field = _field(lambda refused=refused: keyring.check(refused, len(entries)), why)  # type: ignore[misc]
        yield {
            "why": why,
            "field": field,
            "op": change.op,
            "role": change.role,
            "kid": change.kid,
            "public_key": encode_base64(change.key),
            "whose": change.whose,
            "version": change.version,
            "approvals": change.approvals,
        }
