"""The verifier that we run and the rule of docs/FORMAT.md are the same rule: on public edge cases, and on made ones."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signed_ledger.signing import PublicKeyRefused, check_public_key, verify
from tests import reference_ed25519 as rule
from tests.reference_ed25519 import BASE, L, P, Point, add, decode, encode, multiply

VECTORS = Path(__file__).parent / "vectors"
CCTV = json.loads((VECTORS / "ed25519" / "cctv.json").read_text())
SPECCHECK = json.loads((VECTORS / "ed25519" / "speccheck.json").read_text())
WYCHEPROOF = json.loads((VECTORS / "wycheproof" / "ed25519_test.json").read_text())


def may_be_registered(public_key: bytes) -> bool:
    """What our code says."""
    try:
        check_public_key(public_key)
    except PublicKeyRefused:
        return False
    return True


def accepted(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """What our code says, once it says the same as the rule, of the key and of the signature."""
    registered = may_be_registered(public_key)
    assert registered == rule.may_be_registered(public_key)
    says = verify(public_key, message, signature)
    assert says == rule.is_signature(public_key, message, signature)
    assert registered or not says, "a key that can not be registered verifies nothing"
    return says


# --- public vectors ---


def test_of_cctv_what_has_low_order_points_other_encodings_or_a_residue_is_refused() -> None:
    """Its flags are the rule in other words: mixed order is admitted, where the cofactorless equation holds."""
    assert len(CCTV) == 914
    admitted = {"low_order_component_A", "low_order_component_R"}
    for case in CCTV:
        says = accepted(bytes.fromhex(case["key"]), case["msg"].encode(), bytes.fromhex(case["sig"]))
        assert says == (set(case["flags"] or ()) <= admitted), case
    assert sum(set(case["flags"] or ()) <= admitted for case in CCTV) == 43


def test_of_speccheck_only_mixed_order_under_the_cofactorless_equation_is_accepted() -> None:
    names = ("pub_key", "message", "signature")
    says = [accepted(*(bytes.fromhex(case[name]) for name in names)) for case in SPECCHECK]
    assert [number for number, yes in enumerate(says) if yes] == [3]
    assert len(says) == 12


def test_of_wycheproof_the_rule_says_what_the_verdict_is() -> None:
    cases = [(group["publicKey"]["pk"], case) for group in WYCHEPROOF["testGroups"] for case in group["tests"]]
    for key, case in cases:
        says = accepted(bytes.fromhex(key), bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
        assert says == (case["result"] == "valid"), case["comment"]


# --- made ones ---


def _order_8() -> Point:
    point = decode(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))
    assert point is not None
    return point


LOW_ORDER = [multiply(factor, _order_8()) for factor in range(8)]


def encodings(point: Point) -> list[bytes]:
    """The canonical one, and those that a lenient decoder takes for the same point: y + p, and a sign where x is 0."""
    canonical = int.from_bytes(encode(point), "little")
    sign, y = canonical >> 255, canonical & (2**255 - 1)
    signs = [0, 1] if point[0] % P == 0 else [sign]
    return [
        (value | bit << 255).to_bytes(32, "little") for value in (y, y + P) if value < 2**255 for bit in sorted(signs)
    ]


def challenge(r: bytes, a: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + a + message).digest(), "little") % L


def signed(secret: int, a: bytes, nonce: int, r: bytes, message: bytes, times: int = 0) -> bytes:
    """A signature that states the bytes `r`, its S raised by `times` the order of the group where there is room."""
    s = (nonce + challenge(r, a, message) * secret) % L + times * L
    return r + (s % 2**256).to_bytes(32, "little")


scalars = st.sampled_from([0, 1, 2, L - 1]) | st.integers(0, L - 1)


@st.composite
def edge_cases(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    """Key, message and signature: any order, any encoding, and an S in range or out of it."""
    secret, nonce = draw(scalars), draw(scalars)
    a = draw(st.sampled_from(encodings(add(multiply(secret, BASE), draw(st.sampled_from(LOW_ORDER))))))
    r = draw(st.sampled_from(encodings(add(multiply(nonce, BASE), draw(st.sampled_from(LOW_ORDER))))))
    message = draw(st.binary(max_size=40))
    return a, message, signed(secret, a, nonce, r, message, draw(st.sampled_from([0, 0, 0, 1, 2, 15])))


@settings(max_examples=500, deadline=None)
@given(edge_cases())
def test_code_and_rule_agree_on_made_edge_cases(case: tuple[bytes, bytes, bytes]) -> None:
    accepted(*case)


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=31, max_size=33), st.binary(max_size=20), st.binary(min_size=63, max_size=65))
def test_code_and_rule_agree_on_arbitrary_bytes(key: bytes, message: bytes, signature: bytes) -> None:
    assert not accepted(key, message, signature)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 40) | st.integers(P - 40, 2**255 - 1), st.integers(0, 1))
def test_code_and_rule_agree_on_keys_at_the_ends_of_the_field(y: int, sign: int) -> None:
    key = (y | sign << 255).to_bytes(32, "little")
    assert may_be_registered(key) == rule.may_be_registered(key)


@pytest.mark.parametrize("torsion_a", range(8))
@pytest.mark.parametrize("torsion_r", range(8))
def test_of_mixed_order_exactly_what_the_cofactorless_equation_takes_is_accepted(
    torsion_a: int, torsion_r: int
) -> None:
    """R's part of low order must cancel k times A's: 0 = r + k a (mod 8)."""
    secret, nonce = 123456789, 987654321
    a = encode(add(multiply(secret, BASE), LOW_ORDER[torsion_a]))
    r = encode(add(multiply(nonce, BASE), LOW_ORDER[torsion_r]))
    for number in range(16):
        message = b"%d" % number
        holds = (torsion_r + challenge(r, a, message) * torsion_a) % 8 == 0
        assert accepted(a, message, signed(secret, a, nonce, r, message)) == holds
        assert not accepted(a, message, signed(secret, a, nonce, r, message, times=1))


LOW_ORDER_ENCODINGS: list[Any] = [encoded for point in LOW_ORDER for encoded in encodings(point)]


def test_all_fourteen_encodings_of_low_order_are_refused_as_key_and_as_r() -> None:
    assert len(set(LOW_ORDER_ENCODINGS)) == 14
    key = encode(multiply(5, BASE))
    for encoded in LOW_ORDER_ENCODINGS:
        assert not may_be_registered(encoded)
        for number in range(16):
            message = b"%d" % number
            assert not accepted(key, message, signed(5, key, 0, encoded, message))
            assert not accepted(encoded, message, signed(0, encoded, 7, encode(multiply(7, BASE)), message))
