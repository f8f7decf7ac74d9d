"""The trust file is read strictly: what an auditor starts from must have one meaning."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.errors import Invalid
from signed_ledger.signing import SoftwareSigner
from signed_ledger.trust import TRUST_BYTES_MAX, Trust, decode_trust, encode_trust, read_trust

KEYS = tuple(SoftwareSigner(os.urandom(32)).public_key for _ in range(3))
TRUST = Trust("issuer.example/ledger", KEYS, 2)
MEMBERS: dict[str, Any] = json.loads(encode_trust(TRUST))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    path.write_bytes(encode_trust(TRUST))
    assert read_trust(path) == TRUST


def test_people_may_set_it_out_as_they_like() -> None:
    assert decode_trust(json.dumps(MEMBERS).encode()) == TRUST
    assert decode_trust(json.dumps(dict(reversed(MEMBERS.items())), indent=8).encode()) == TRUST


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b"\xff", "not JSON", id="no UTF-8"),
        pytest.param(b"[" * 100_000, "not JSON", id="nested without end"),
        pytest.param(b'{"threshold":' + b"9" * 5_000 + b"}", "not JSON", id="a number without end"),
        pytest.param(b"[]", "must be an object", id="a list"),
        pytest.param(b'{"origin":"a","origin":"b"}', "a member twice", id="a member twice"),
    ],
)
def test_what_is_no_trust_file_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        decode_trust(data)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        pytest.param({"more": 1}, "trust", id="a member too many"),
        pytest.param({"origin": "https://issuer.example/ledger"}, "origin", id="an origin with a scheme"),
        pytest.param({"origin": 7}, "origin", id="an origin that is a number"),
        pytest.param({"origin": "issuer.example/ledger\n"}, "origin", id="an origin with a newline"),
        pytest.param({"root_keys": "AAAA"}, "root_keys", id="keys that are no list"),
        pytest.param({"root_keys": []}, "threshold", id="no keys"),
        pytest.param({"root_keys": [None]}, "root_keys", id="a key that is null"),
        pytest.param({"root_keys": [MEMBERS["root_keys"][0] + "="]}, "root_keys", id="a key in another base64"),
        pytest.param({"root_keys": ["AQ=="]}, "root_keys", id="a short key"),
        pytest.param({"root_keys": ["AQ" + "A" * 41 + "="]}, "public_key", id="a key of low order"),
        pytest.param({"root_keys": MEMBERS["root_keys"][:1] * 2}, "root_keys", id="a key twice"),
        pytest.param({"threshold": 0}, "threshold", id="a threshold of none"),
        pytest.param({"threshold": 4}, "threshold", id="a threshold of more than there are"),
        pytest.param({"threshold": True}, "threshold", id="a threshold that is true"),
        pytest.param({"threshold": 1.0}, "threshold", id="a threshold that is a float"),
    ],
)
def test_each_member_is_checked(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        decode_trust(json.dumps({**MEMBERS, **changed}).encode())
    assert refused.value.field == field


@pytest.mark.parametrize("name", list(MEMBERS))
def test_each_member_is_required(name: str) -> None:
    with pytest.raises(Invalid):
        decode_trust(json.dumps({key: value for key, value in MEMBERS.items() if key != name}).encode())


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    large.write_bytes(b" " * (TRUST_BYTES_MAX + 1))
    for path in (tmp_path / "none.json", tmp_path, large):
        with pytest.raises(Invalid) as refused:
            read_trust(path)
        assert refused.value.field == str(path)
