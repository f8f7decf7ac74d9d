"""Ed25519 as docs/FORMAT.md has it, against the vectors of others and constructed edge cases; and key files."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_is_valid_point

from signed_ledger.signing import (
    KeyFileRefused,
    KeyFolder,
    PublicKeyRefused,
    SoftwareSigner,
    check_public_key,
    encode_public_pem,
    kid_of,
    note_key_id,
    read_private_key,
    read_public_key,
    verify,
    write_private_key,
)

SEED = bytes(range(32))
SIGNER = SoftwareSigner(SEED)

# --- the curve, for signatures that no signer makes (RFC 8032 section 5.1) ---

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]


def add(p: Point, q: Point) -> Point:
    (x1, y1), (x2, y2) = p, q
    k = D * x1 * x2 * y1 * y2 % P
    return (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P


def multiply(factor: int, point: Point) -> Point:
    result = (0, 1)
    while factor:
        if factor & 1:
            result = add(result, point)
        point = add(point, point)
        factor >>= 1
    return result


def encode(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def encode_y(y: int, sign: int = 0) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


def x_of(y: int) -> int | None:
    """The even x of the points with this y, or `None` where the curve has none."""
    x_squared = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x_squared, (P + 3) // 8, P)
    if (x * x - x_squared) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - x_squared) % P:
        return None
    return P - x if x & 1 else x


def point_of(y: int) -> Point:
    x = x_of(y % P)
    assert x is not None
    return x, y % P


BASE = point_of(4 * pow(5, -1, P))
ORDER_8 = point_of(
    int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
)
LOW_ORDER = [multiply(factor, ORDER_8) for factor in range(8)]
SECRET = 0x0123456789ABCDEF_0123456789ABCDEF
A = multiply(SECRET, BASE)


def challenge(r: bytes, a: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + a + message).digest(), "little") % L


def sign_as(r: bytes, nonce: int, a: bytes, message: bytes) -> bytes:
    """A signature by SECRET that states `r` and `a`, whatever they encode."""
    return r + ((nonce + challenge(r, a, message) * SECRET) % L).to_bytes(32, "little")


def openssl_verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_the_arithmetic_above_makes_good_signatures() -> None:
    nonce = 987654321
    signature = sign_as(encode(multiply(nonce, BASE)), nonce, encode(A), b"message")
    assert verify(encode(A), b"message", signature)
    assert openssl_verifies(encode(A), b"message", signature)
    assert len({encode(point) for point in LOW_ORDER}) == 8
    assert LOW_ORDER[0] == (0, 1)


# --- what is accepted ---

RFC_8032 = [  # section 7.1: secret key, public key, message, signature
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2"
        "4655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302ae"
        "eb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28"
        "dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17"
        "ad9bef1177331a704",
    ),
]


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032, ids=range(1, 5))
def test_rfc_8032_signs_and_verifies(secret: str, public: str, message: str, signature: str) -> None:
    signer = SoftwareSigner(bytes.fromhex(secret))
    assert signer.public_key.hex() == public
    assert signer.sign(bytes.fromhex(message)).hex() == signature
    assert verify(signer.public_key, bytes.fromhex(message), bytes.fromhex(signature))


WYCHEPROOF: dict[str, Any] = json.loads(
    (Path(__file__).parent / "vectors" / "wycheproof" / "ed25519_test.json").read_text(encoding="utf-8")
)


def test_rfc_8032_signs_and_verifies_a_long_message() -> None:
    """TEST 1024, which Wycheproof has without its secret key."""
    signer = SoftwareSigner(bytes.fromhex("f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5"))
    ((group, case),) = [
        (group, case) for group in WYCHEPROOF["testGroups"] for case in group["tests"] if "Test 1024" in case["comment"]
    ]
    assert len(case["msg"]) == 2 * 1023
    assert signer.public_key.hex() == group["publicKey"]["pk"]
    assert signer.sign(bytes.fromhex(case["msg"])).hex() == case["sig"]
    assert verify(signer.public_key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))


def test_every_case_of_wycheproof_agrees() -> None:
    cases = [(group["publicKey"]["pk"], case) for group in WYCHEPROOF["testGroups"] for case in group["tests"]]
    assert len(cases) == WYCHEPROOF["numberOfTests"] == 151
    for public, case in cases:
        verified = verify(bytes.fromhex(public), bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
        assert verified == (case["result"] == "valid"), (case["tcId"], case["comment"])
        check_public_key(bytes.fromhex(public))


@settings(max_examples=100, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=300))
def test_two_libraries_make_the_same_signature(seed: bytes, message: bytes) -> None:
    ours, theirs = SoftwareSigner(seed), Ed25519PrivateKey.from_private_bytes(seed)
    assert ours.public_key == theirs.public_key().public_bytes_raw()
    signature = ours.sign(message)
    assert signature == theirs.sign(message)
    assert verify(ours.public_key, message, signature)
    assert check_public_key(ours.public_key) == ours.public_key


@settings(max_examples=100, deadline=None)
@given(bit=st.integers(0, 8 * (32 + 64 + 7) - 1))
def test_no_bit_of_key_signature_or_message_can_be_changed(bit: int) -> None:
    message = b"message"
    whole = bytearray(SIGNER.public_key + SIGNER.sign(message) + message)
    whole[bit // 8] ^= 1 << bit % 8
    assert not verify(bytes(whole[:32]), bytes(whole[96:]), bytes(whole[32:96]))


# --- what is refused, though the equation of some other verifier holds ---


@pytest.mark.parametrize("size", [0, 1, 32, 63, 65, 128])
def test_a_signature_of_another_size_is_not_one(size: int) -> None:
    assert not verify(SIGNER.public_key, b"", (SIGNER.sign(b"") * 2)[:size])


def test_a_signature_does_not_take_the_message_in() -> None:
    """Signature and message are joined on their way to the library: the border between them is checked."""
    signature = SIGNER.sign(b"abc")
    assert verify(SIGNER.public_key, b"abc", signature)
    assert not verify(SIGNER.public_key, b"bc", signature + b"a")
    assert not verify(SIGNER.public_key, signature[-1:] + b"abc", signature[:-1])


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_key_of_another_size_verifies_nothing(size: int) -> None:
    assert not verify((SIGNER.public_key * 2)[:size], b"", SIGNER.sign(b""))


@pytest.mark.parametrize("times", [1, 2, 7])
def test_s_above_the_order_is_refused(times: int) -> None:
    signature = SIGNER.sign(b"message")
    s = int.from_bytes(signature[32:], "little") + times * L
    assert not verify(SIGNER.public_key, b"message", signature[:32] + s.to_bytes(32, "little"))


@pytest.mark.parametrize("order", range(8))
def test_a_key_of_low_order_signs_nothing(order: int) -> None:
    a = encode(LOW_ORDER[order])
    for number in range(16):
        message = b"message %d" % number
        for point in LOW_ORDER:
            assert not verify(a, message, encode(point) + bytes(32))
        r = multiply(5, BASE)
        assert not verify(a, message, encode(r) + (5).to_bytes(32, "little"))


@pytest.mark.parametrize("order", range(8))
def test_r_of_low_order_is_refused(order: int) -> None:
    r = encode(LOW_ORDER[order])
    signatures = [(b"message %d" % n, sign_as(r, 0, encode(A), b"message %d" % n)) for n in range(16)]
    assert not any(verify(encode(A), message, signature) for message, signature in signatures)
    if order == 0:  # the equation holds: a verifier without this rule says yes
        assert all(openssl_verifies(encode(A), message, signature) for message, signature in signatures)


@pytest.mark.parametrize(
    "r",
    [
        pytest.param(encode_y(P + 1), id="1 as p + 1"),
        pytest.param(encode_y(1, sign=1), id="1 with a sign"),
        pytest.param(encode_y(P + 1, sign=1), id="1 as p + 1 with a sign"),
        pytest.param(encode_y(P - 1, sign=1), id="-1 with a sign"),
        pytest.param(encode_y(P), id="0 as p"),
        pytest.param(encode_y(P + 3), id="3 as p + 3"),
    ],
)
def test_a_non_canonical_r_is_refused(r: bytes) -> None:
    for number in range(16):
        message = b"message %d" % number
        assert not verify(encode(A), message, sign_as(r, 0, encode(A), message))


@pytest.mark.parametrize("y", range(19))
@pytest.mark.parametrize("sign", [0, 1])
def test_a_non_canonical_key_verifies_nothing(y: int, sign: int) -> None:
    a = encode_y(P + y, sign)
    for number in range(4):
        message = b"message %d" % number
        for nonce in (0, 5):
            r = encode(multiply(nonce, BASE))
            assert not verify(a, message, r + nonce.to_bytes(32, "little"))


@pytest.mark.parametrize("order", range(1, 8))
def test_a_signature_that_only_the_cofactored_equation_takes_is_refused(order: int) -> None:
    nonce = 987654321
    for number in range(4):
        message = b"message %d" % number
        r = encode(add(multiply(nonce, BASE), LOW_ORDER[order]))
        signature = sign_as(r, nonce, encode(A), message)
        k = challenge(r, encode(A), message)
        left = multiply(8 * int.from_bytes(signature[32:], "little"), BASE)
        assert left == multiply(8, add(multiply(nonce, BASE), multiply(k, A)))  # 8SB = 8R + 8kA
        assert not verify(encode(A), message, signature)


def test_a_key_of_mixed_order_verifies_what_the_cofactorless_equation_takes() -> None:
    mixed = encode(add(A, ORDER_8))
    assert check_public_key(mixed) == mixed
    nonce = 987654321
    r = encode(multiply(nonce, BASE))
    answers = set()
    for number in range(40):
        message = b"message %d" % number
        holds = challenge(r, mixed, message) % 8 == 0
        assert verify(mixed, message, sign_as(r, nonce, mixed, message)) == holds
        answers.add(holds)
    assert answers == {True, False}


# --- what may be registered ---

NOT_A_POINT = next(y for y in range(2, 100) if x_of(y) is None)
BAD_KEYS = [
    *[pytest.param(bytes(size), "must be 32 bytes", id=f"{size} bytes") for size in (0, 31, 33, 64)],
    *[pytest.param(encode_y(P + y), "is not a canonical encoding of a point", id=f"{y} as p + {y}") for y in range(19)],
    pytest.param(encode_y(P + 3, sign=1), "is not a canonical encoding of a point", id="3 as p + 3 with a sign"),
    pytest.param(encode_y(1, sign=1), "is not a canonical encoding of a point", id="1 with a sign"),
    pytest.param(encode_y(P - 1, sign=1), "is not a canonical encoding of a point", id="-1 with a sign"),
    pytest.param(encode_y(NOT_A_POINT), "is not a point of the curve", id="no point has this y"),
    pytest.param(encode_y(NOT_A_POINT, sign=1), "is not a point of the curve", id="no point has this y, with a sign"),
    *[
        pytest.param(encode(point), "is of low order: anyone could sign with it", id=f"low order, {number}")
        for number, point in enumerate(LOW_ORDER)
    ],
]


@pytest.mark.parametrize(("key", "detail"), BAD_KEYS)
def test_such_a_key_is_not_registered(key: bytes, detail: str) -> None:
    with pytest.raises(PublicKeyRefused) as refused:
        check_public_key(key)
    assert (refused.value.field, refused.value.detail) == ("public_key", detail)


@settings(max_examples=200, deadline=None)
@given(key=st.binary(min_size=32, max_size=32))
def test_what_may_be_registered_is_a_point(key: bytes) -> None:
    y, sign = int.from_bytes(key, "little") & (2**255 - 1), key[31] >> 7
    x = x_of(y)
    try:
        check_public_key(key)
    except PublicKeyRefused:
        assert not crypto_core_ed25519_is_valid_point(key)
        assert y >= P or x is None or (x == 0 and sign) or multiply(8, (x, y)) == (0, 1)
        return
    assert y < P
    assert x is not None
    assert multiply(8, (x, y)) != (0, 1)


# --- names of keys ---


def test_a_kid_is_what_openssl_and_sha256sum_say(tmp_path: Path) -> None:
    pem = encode_public_pem(SIGNER.public_key)
    if openssl := shutil.which("openssl"):
        path = tmp_path / "key.pem"
        path.write_bytes(pem)
        command = [openssl, "pkey", "-pubin", "-in", str(path), "-outform", "DER"]
        der = subprocess.run(command, capture_output=True, check=True).stdout
    else:
        der = serialization.load_pem_public_key(pem).public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    assert kid_of(SIGNER.public_key) == hashlib.sha256(der).hexdigest()


def test_a_note_key_id_is_c2sps() -> None:
    name = "issuer.example/ledger/entry"
    digest = hashlib.sha256(name.encode() + b"\x0a\x01" + SIGNER.public_key).digest()
    assert note_key_id(name, SIGNER.public_key) == digest[:4]


# --- key files ---

Passphrase = Callable[[], bytes | None]


def never() -> bytes | None:
    raise AssertionError("the passphrase is asked for")


def write_pem(path: Path, pem: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(pem)
    path.chmod(mode)
    return path


PKCS_8, OPENSSH, OLD = (
    serialization.PrivateFormat.PKCS8,
    serialization.PrivateFormat.OpenSSH,
    serialization.PrivateFormat.TraditionalOpenSSL,
)


def private_pem(
    key: Any,
    encryption: serialization.KeySerializationEncryption,
    form: serialization.PrivateFormat = PKCS_8,
) -> bytes:
    pem: bytes = key.private_bytes(serialization.Encoding.PEM, form, encryption)
    return pem


PLAIN = serialization.NoEncryption()
LOCKED = serialization.BestAvailableEncryption(b"open sesame")
ED25519 = Ed25519PrivateKey.from_private_bytes(SEED)
EC = ec.generate_private_key(ec.SECP256R1())


def refusal(read: Callable[[], Any], path: Path) -> str:
    with pytest.raises(KeyFileRefused) as refused:
        read()
    assert refused.value.field == str(path)
    return refused.value.detail


def test_a_key_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    write_private_key(path, SEED, None)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == private_pem(ED25519, PLAIN)
    assert read_private_key(path, never).public_key == SIGNER.public_key


def test_a_key_is_closed_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private_key(tmp_path / "key.pem", SEED, None)
    finally:
        os.umask(before)
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


def test_a_key_is_encrypted_where_a_passphrase_is_given(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    write_private_key(path, SEED, b"open sesame")
    assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_private_key(path, lambda: b"open sesame").public_key == SIGNER.public_key
    for wrong in (b"open sesam", b"open sesame\n", b"x" * 2000):
        assert "does not open" in refusal(lambda wrong=wrong: read_private_key(path, lambda: wrong), path)  # type: ignore[misc]
    for none in (None, b""):
        assert "a passphrase is needed" in refusal(lambda none=none: read_private_key(path, lambda: none), path)  # type: ignore[misc]


def test_a_passphrase_too_long_for_openssl_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    assert "over 1023 bytes" in refusal(lambda: write_private_key(path, SEED, b"x" * 1024), path)
    assert not path.exists()
    write_private_key(path, SEED, b"x" * 1023)
    assert read_private_key(path, lambda: b"x" * 1023).public_key == SIGNER.public_key


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    write_private_key(path, SEED, None)
    before = path.read_bytes()
    assert refusal(lambda: write_private_key(path, bytes(32), None), path) == "already exists"
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o601, 0o602, 0o604, 0o610, 0o620, 0o640, 0o644, 0o660, 0o777], ids=oct)
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = write_pem(tmp_path / "key.pem", private_pem(ED25519, PLAIN), mode)
    detail = refusal(lambda: read_private_key(path, never), path)
    assert detail == f"has mode {mode:04o}; run: chmod 600 {path}"


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700], ids=oct)
def test_a_key_that_only_its_owner_may_touch_is_read(tmp_path: Path, mode: int) -> None:
    path = write_pem(tmp_path / "key.pem", private_pem(ED25519, PLAIN), mode)
    assert read_private_key(path, never).public_key == SIGNER.public_key


NOT_PKCS_8 = "is not a PKCS#8 PEM private key"


@pytest.mark.parametrize(
    ("pem", "detail"),
    [
        pytest.param(b"", NOT_PKCS_8, id="an empty file"),
        pytest.param(b"\x00\xff", NOT_PKCS_8, id="not text"),
        pytest.param(private_pem(ED25519, PLAIN)[:-30], NOT_PKCS_8, id="cut off"),
        pytest.param(encode_public_pem(SIGNER.public_key), NOT_PKCS_8, id="a public key"),
        pytest.param(private_pem(ED25519, PLAIN, OPENSSH), NOT_PKCS_8, id="OpenSSH's form"),
        pytest.param(private_pem(EC, LOCKED, OLD), NOT_PKCS_8, id="OpenSSL's old form, encrypted"),
        pytest.param(private_pem(EC, PLAIN), "is not an Ed25519 key", id="a key of another curve"),
        pytest.param(private_pem(x25519.X25519PrivateKey.generate(), PLAIN), "is not an Ed25519 key", id="X25519"),
    ],
)
def test_a_file_that_holds_no_private_key_of_ours_is_refused(tmp_path: Path, pem: bytes, detail: str) -> None:
    path = write_pem(tmp_path / "key.pem", pem)
    assert refusal(lambda: read_private_key(path, never), path) == detail


def test_a_file_that_is_not_there_or_not_a_file_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "none.pem"
    assert refusal(lambda: read_private_key(missing, never), missing) == "can not be read: No such file or directory"
    assert refusal(lambda: read_private_key(tmp_path, never), tmp_path) == "can not be read: Is a directory"
    device = Path(os.devnull)
    assert refusal(lambda: read_private_key(device, never), device) == "is not a file"
    assert refusal(lambda: read_public_key(missing), missing) == "can not be read: No such file or directory"


def test_a_public_key_is_written_and_read(tmp_path: Path) -> None:
    path = write_pem(tmp_path / "key.pem", encode_public_pem(SIGNER.public_key), 0o644)
    assert read_public_key(path) == SIGNER.public_key


def spki(key: bytes, oid: str = "032b6570") -> bytes:
    """A PEM public key by hand, for keys that no library would write."""
    der = base64.encodebytes(bytes.fromhex(f"302a300506{oid}032100") + key).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{der}-----END PUBLIC KEY-----\n".encode()


RSA_PEM = (
    rsa.generate_private_key(65537, 1024)
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)


@pytest.mark.parametrize(
    ("pem", "detail"),
    [
        pytest.param(b"", "is not a PEM public key", id="an empty file"),
        pytest.param(private_pem(ED25519, PLAIN), "is not a PEM public key", id="a private key"),
        pytest.param(spki(SIGNER.public_key, "032b6590"), "is not a PEM public key", id="an algorithm of no name"),
        pytest.param(spki(SIGNER.public_key, "032b656e"), "is not an Ed25519 key", id="X25519"),
        pytest.param(RSA_PEM, "is not an Ed25519 key", id="RSA"),
        pytest.param(
            spki(encode(ORDER_8)), "holds a key that is of low order: anyone could sign with it", id="low order"
        ),
        pytest.param(
            spki(encode_y(NOT_A_POINT)), "holds a key that is not a point of the curve", id="not a point of the curve"
        ),
    ],
)
def test_a_file_that_holds_no_public_key_of_ours_is_refused(tmp_path: Path, pem: bytes, detail: str) -> None:
    path = write_pem(tmp_path / "key.pem", pem)
    assert refusal(lambda: read_public_key(path), path) == detail


# --- the Issuer's folder of keys ---


def test_a_folder_gives_the_signer_of_a_known_key(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys", lambda: b"open sesame")
    made = folder.create("entry")
    path = tmp_path / "keys" / "entry" / f"{kid_of(made.public_key)}.pem"
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert folder.signer("entry", made.public_key).sign(b"x") == made.sign(b"x")
    assert refusal(lambda: folder.signer("root", made.public_key), tmp_path / "keys" / "root" / path.name)


def test_a_folder_of_plain_keys_asks_for_no_passphrase(tmp_path: Path) -> None:
    made = KeyFolder(tmp_path, lambda: None).create("root")
    assert KeyFolder(tmp_path, never).signer("root", made.public_key).public_key == made.public_key


def test_a_file_that_holds_another_key_than_its_name_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "entry" / f"{kid_of(SIGNER.public_key)}.pem"
    path.parent.mkdir()
    write_private_key(path, bytes(32), None)
    folder = KeyFolder(tmp_path, never)
    assert refusal(lambda: folder.signer("entry", SIGNER.public_key), path) == "holds another key than its name says"


def test_a_folder_tells_which_keys_it_holds(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path, lambda: None)
    made = [folder.create("root").public_key for _ in range(3)]
    assert [signer.public_key for signer in folder.held("root", (made[2], SIGNER.public_key, made[0]))] == [
        made[2],
        made[0],
    ]
    assert folder.held("root", ()) == folder.held("entry", tuple(made)) == []
