"""The key registry: who may approve what, what is refused and why, and which key was valid at which seq."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signed_ledger.encoding import Note, NoteSignature, decode_note, encode_note
from signed_ledger.errors import Invalid, KeyChangeRefused
from signed_ledger.keyring import Keyring, approval_text, approve, approving_name
from signed_ledger.records import Genesis, KeyChange, RegisteredKey
from signed_ledger.signing import SoftwareSigner, kid_of, note_key_id

ORIGIN = "issuer.example/ledger"
ROOT, ENTRY, CHECKPOINT = f"{ORIGIN}/root", f"{ORIGIN}/entry", f"{ORIGIN}/checkpoint"
Signers = list[tuple[str, SoftwareSigner]]


def key(number: int) -> SoftwareSigner:
    return SoftwareSigner(number.to_bytes(32, "big"))


ROOTS = [key(number) for number in (1, 2, 3)]
FIRST_ENTRY, FIRST_CHECKPOINT, ACME, NEW, OTHER = (key(number) for number in (11, 12, 13, 14, 15))
BY_ROOTS: Signers = [(ROOT, ROOTS[0]), (ROOT, ROOTS[2])]
BY_SERVICE: Signers = [(ENTRY, FIRST_ENTRY), (CHECKPOINT, FIRST_CHECKPOINT)]
UNAPPROVED = Genesis(
    ORIGIN, tuple(root.public_key for root in ROOTS), 2, FIRST_ENTRY.public_key, FIRST_CHECKPOINT.public_key
)


def approved_genesis(signers: Signers, genesis: Genesis = UNAPPROVED) -> Genesis:
    return replace(genesis, approvals=approve(genesis, genesis.origin, signers))


def founded() -> Keyring:
    return Keyring(approved_genesis(BY_ROOTS + BY_SERVICE))


def change(op: str, role: str, of: SoftwareSigner, whose: str = ORIGIN, version: int = 1) -> KeyChange:
    return KeyChange(op, role, kid_of(of.public_key), of.public_key, whose, version)


def approved(body: KeyChange, signers: Iterable[tuple[str, SoftwareSigner]] = BY_ROOTS) -> KeyChange:
    return replace(body, approvals=approve(body, ORIGIN, signers))


def refusal(keyring: Keyring, body: KeyChange) -> tuple[str | None, str]:
    before = list(keyring), keyring.version
    with pytest.raises(KeyChangeRefused) as refused:
        keyring.check(body, 10**6)
    assert (list(keyring), keyring.version) == before
    return refused.value.field, refused.value.detail


def with_acme() -> Keyring:
    """A registry where acme's key was added at seq 1."""
    keyring = founded()
    added = approved(change("add", "scheme", ACME, "acme"))
    keyring.check(added, 10**6)
    keyring.apply(added, 1)
    return keyring


# --- genesis ---


def test_genesis_registers_the_first_keys() -> None:
    keyring = founded()
    assert [(found.role, found.whose, found.public_key, found.valid_from, found.valid_to) for found in keyring] == [
        ("entry", ORIGIN, FIRST_ENTRY.public_key, 0, None),
        ("checkpoint", ORIGIN, FIRST_CHECKPOINT.public_key, 0, None),
    ]
    assert keyring.current("entry").public_key == keyring.entry_key_at(0) == FIRST_ENTRY.public_key
    assert keyring.current("checkpoint").public_key == FIRST_CHECKPOINT.public_key
    assert (keyring.origin, keyring.threshold, keyring.version) == (ORIGIN, 2, 0)
    assert keyring.find(kid_of(ROOTS[0].public_key)) is None


def test_genesis_is_approved_by_all_roots_too() -> None:
    Keyring(approved_genesis([(ROOT, root) for root in ROOTS] + BY_SERVICE))


@pytest.mark.parametrize(
    ("signers", "detail"),
    [
        pytest.param([BY_ROOTS[0], *BY_SERVICE], "1 of 2 root keys approved it", id="one root of two"),
        pytest.param(BY_SERVICE, "0 of 2 root keys approved it", id="no root"),
        pytest.param([*BY_ROOTS, BY_SERVICE[1]], f"{ENTRY} did not approve it", id="not the entry key"),
        pytest.param([*BY_ROOTS, BY_SERVICE[0]], f"{CHECKPOINT} did not approve it", id="not the checkpoint key"),
        pytest.param(
            [*BY_ROOTS, *BY_SERVICE, (ROOT, OTHER)],
            f"the approval by {ROOT} is not one that counts here",
            id="a stranger",
        ),
        pytest.param(
            [*BY_ROOTS, *BY_SERVICE, BY_ROOTS[0]],
            f"the approval by {ROOT} is not one that counts here",
            id="a root twice",
        ),
        pytest.param(
            [*BY_ROOTS, (CHECKPOINT, FIRST_ENTRY), (ENTRY, FIRST_CHECKPOINT)],
            f"the approval by {CHECKPOINT} is not one that counts here",
            id="each in the other's place",
        ),
    ],
)
def test_genesis_is_approved_by_its_roots_and_keys(signers: Signers, detail: str) -> None:
    with pytest.raises(KeyChangeRefused) as refused:
        Keyring(approved_genesis(signers))
    assert (refused.value.field, refused.value.detail) == ("approvals", detail)


def test_genesis_with_a_low_order_root_is_refused() -> None:
    genesis = replace(UNAPPROVED, root_keys=(*UNAPPROVED.root_keys, bytes(32)))
    with pytest.raises(KeyChangeRefused) as refused:
        Keyring(approved_genesis(BY_ROOTS + BY_SERVICE, genesis))
    assert refused.value.field == "public_key"


@pytest.mark.parametrize(
    "genesis",
    [replace(UNAPPROVED, entry_key=bytes(32)), replace(UNAPPROVED, checkpoint_key=bytes(32))],
    ids=["entry", "checkpoint"],
)
def test_genesis_with_a_low_order_key_is_refused(genesis: Genesis) -> None:
    with pytest.raises(KeyChangeRefused):
        Keyring(approved_genesis(BY_ROOTS + BY_SERVICE, genesis))


@pytest.mark.parametrize("threshold", [1, 2, 3])
def test_genesis_of_another_threshold_is_another_genesis(threshold: int) -> None:
    approvals = approve(UNAPPROVED, ORIGIN, BY_ROOTS + BY_SERVICE)
    genesis = replace(UNAPPROVED, threshold=threshold, approvals=approvals)
    if threshold == 2:
        Keyring(genesis)
        return
    with pytest.raises(KeyChangeRefused, match="over something else"):
        Keyring(genesis)


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({"root_keys": (ROOTS[0].public_key, ROOTS[0].public_key)}, id="a root twice"),
        pytest.param({"entry_key": ROOTS[0].public_key}, id="a root as entry key"),
        pytest.param({"checkpoint_key": FIRST_ENTRY.public_key}, id="the entry key as checkpoint key"),
    ],
)
def test_each_key_of_genesis_has_one_role(keys: dict[str, bytes]) -> None:
    with pytest.raises(Invalid, match="one role"):
        replace(UNAPPROVED, **keys)  # type: ignore[arg-type]


# --- what every change must be ---


@pytest.mark.parametrize("op", ["add", "retire"])
@pytest.mark.parametrize("version", [0, 1, 3])
def test_a_version_is_one_more_than_the_last(op: str, version: int) -> None:
    body = approved(change(op, "scheme", ACME if op == "retire" else NEW, "acme", version))
    assert refusal(with_acme(), body) == ("version", f"version {version} where 2 is next")


@pytest.mark.parametrize("op", ["add", "retire"])
def test_a_kid_is_its_public_keys(op: str) -> None:
    body = approved(replace(change(op, "scheme", ACME, "acme", 2), public_key=NEW.public_key))
    assert refusal(with_acme(), body) == ("kid", "the kid is not the public key's")


CHANGES = {
    "a Scheme's key": (change("add", "scheme", NEW, "zeta", 2), []),
    "an operator's key": (change("add", "operator", NEW, "olga", 2), []),
    "an auditor's key": (change("add", "auditor", NEW, "anna", 2), []),
    "an entry key": (change("add", "entry", NEW, version=2), [(ENTRY, NEW), (ENTRY, FIRST_ENTRY)]),
    "a checkpoint key": (
        change("add", "checkpoint", NEW, version=2),
        [(CHECKPOINT, NEW), (CHECKPOINT, FIRST_CHECKPOINT)],
    ),
    "a key that ends": (change("retire", "scheme", ACME, "acme", 2), []),
}
every_change = pytest.mark.parametrize(("body", "must"), CHANGES.values(), ids=CHANGES)


@every_change
def test_a_change_that_all_approved_is_admitted(body: KeyChange, must: Signers) -> None:
    with_acme().check(approved(body, BY_ROOTS + must), 10**6)
    with_acme().check(approved(body, [*reversed(must), (ROOT, ROOTS[1]), *BY_ROOTS]), 10**6)


@every_change
def test_below_the_threshold_a_change_is_refused(body: KeyChange, must: Signers) -> None:
    field, detail = refusal(with_acme(), approved(body, BY_ROOTS[:1] + must))
    assert (field, detail) == ("approvals", "1 of 2 root keys approved it")


@every_change
@pytest.mark.parametrize(
    "more",
    [
        pytest.param([BY_ROOTS[0]], id="a root twice"),
        pytest.param([(ROOT, OTHER)], id="a stranger as root"),
        pytest.param([(ENTRY, ROOTS[1])], id="a root under another name"),
        pytest.param([(f"{ORIGIN}/scheme/acme", ACME)], id="the Scheme itself"),
        pytest.param([(f"{ORIGIN}/scheme/zeta", OTHER)], id="a stranger as the Scheme"),
        pytest.param([("issuer.example/other/root", ROOTS[1])], id="a root of another ledger"),
    ],
)
def test_a_line_that_does_not_count_spoils_the_approvals(body: KeyChange, must: Signers, more: Signers) -> None:
    field, detail = refusal(with_acme(), approved(body, BY_ROOTS + must + more))
    assert (field, detail) == ("approvals", f"the approval by {more[0][0]} is not one that counts here")


@every_change
def test_approvals_are_over_this_change_only(body: KeyChange, must: Signers) -> None:
    others = [
        approved(replace(body, version=3), BY_ROOTS + must).approvals,
        approved(replace(body, kid="0" * 64), BY_ROOTS + must).approvals,
        approved(replace(body, op="retire" if body.op == "add" else "add"), BY_ROOTS + must).approvals,
        approved(replace(body, whose="someone"), BY_ROOTS + must).approvals,
        approve(body, "issuer.example/other", [(name, signer) for name, signer in BY_ROOTS + must]),
    ]
    for approvals in others:
        body_with_others = replace(body, approvals=approvals)
        assert refusal(with_acme(), body_with_others) == ("approvals", "the approvals are over something else")


@every_change
def test_an_approval_that_does_not_verify_spoils_the_approvals(body: KeyChange, must: Signers) -> None:
    note = decode_note(approved(body, BY_ROOTS + must).approvals.encode())
    for index, line in enumerate(note.signatures):
        broken = line._replace(signature=line.signature[:32] + bytes(32))
        lines = (*note.signatures[:index], broken, *note.signatures[index + 1 :])
        field, detail = refusal(with_acme(), replace(body, approvals=encode_note(Note(note.text, lines)).decode()))
        assert (field, detail) == ("approvals", f"the approval by {line.name} is not one that counts here")


@every_change
def test_an_approval_of_one_key_is_not_anothers(body: KeyChange, must: Signers) -> None:
    """A root's signature under another root's key id."""
    text = approval_text(body, ORIGIN)
    one, two = BY_ROOTS[0][1], BY_ROOTS[1][1]
    copied = NoteSignature(ROOT, note_key_id(ROOT, two.public_key), one.sign(text.encode()))
    good = NoteSignature(ROOT, note_key_id(ROOT, one.public_key), one.sign(text.encode()))
    note = encode_note(Note(text, (good, copied))).decode()
    assert refusal(with_acme(), replace(body, approvals=note))[0] == "approvals"


@every_change
@pytest.mark.parametrize("approvals", ["", "\n", "x", "x\n\n", "\ufeff", "a\n\n\u2014 b c\n"])
def test_approvals_are_a_signed_note(body: KeyChange, must: Signers, approvals: str) -> None:
    field, detail = refusal(with_acme(), replace(body, approvals=approvals))
    assert field == "approvals"
    assert detail.startswith("the approvals are not a signed note: ")


# --- add ---


@pytest.mark.parametrize(("role", "name"), [("scheme", "zeta"), ("operator", "olga"), ("auditor", "anna")])
def test_a_party_may_show_possession(role: str, name: str) -> None:
    body = change("add", role, NEW, name, 2)
    with_acme().check(approved(body, [*BY_ROOTS, (f"{ORIGIN}/{role}/{name}", NEW)]), 10**6)
    assert approving_name(ORIGIN, role, name) == f"{ORIGIN}/{role}/{name}"


@pytest.mark.parametrize("role", ["entry", "checkpoint", "scheme", "operator", "auditor"])
@pytest.mark.parametrize(
    "public_key",
    [bytes(32), (1).to_bytes(32, "little"), b"\xff" * 32, (2).to_bytes(32, "little")],
    ids=["0", "1", "-", "2"],
)
def test_what_is_no_fit_key_is_refused(role: str, public_key: bytes) -> None:
    whose = ORIGIN if role in ("entry", "checkpoint") else "zeta"
    body = KeyChange("add", role, kid_of(public_key), public_key, whose, 2)
    assert refusal(with_acme(), approved(body))[0] == "public_key"


@pytest.mark.parametrize("role", ["entry", "checkpoint", "scheme", "operator", "auditor"])
@pytest.mark.parametrize(
    "used",
    [
        pytest.param(ROOTS[1], id="a root key"),
        pytest.param(FIRST_ENTRY, id="the entry key"),
        pytest.param(FIRST_CHECKPOINT, id="the checkpoint key"),
        pytest.param(ACME, id="a Scheme's key"),
    ],
)
def test_a_key_has_one_role_and_one_owner(role: str, used: SoftwareSigner) -> None:
    whose = ORIGIN if role in ("entry", "checkpoint") else "zeta"
    name = approving_name(ORIGIN, role, whose)
    body = approved(change("add", role, used, whose, 2), [*BY_ROOTS, (name, used)])
    field, detail = refusal(with_acme(), body)
    assert (field, detail) == ("kid", "this key is registered already; a key has one role and is never used again")


def test_a_key_that_was_retired_or_replaced_is_never_used_again() -> None:
    keyring = with_acme()
    retired = approved(change("retire", "scheme", ACME, "acme", 2))
    keyring.check(retired, 10**6)
    keyring.apply(retired, 2)
    rotated = approved(change("add", "entry", NEW, version=3), [*BY_ROOTS, (ENTRY, NEW), (ENTRY, FIRST_ENTRY)])
    keyring.check(rotated, 10**6)
    keyring.apply(rotated, 3)
    again = approved(change("add", "scheme", ACME, "acme", 4))
    assert refusal(keyring, again)[0] == "kid"
    back = approved(change("add", "entry", FIRST_ENTRY, version=4), [*BY_ROOTS, (ENTRY, FIRST_ENTRY), (ENTRY, NEW)])
    assert refusal(keyring, back)[0] == "kid"


def test_a_party_may_have_several_keys() -> None:
    keyring = with_acme()
    second = approved(change("add", "scheme", NEW, "acme", 2))
    keyring.check(second, 10**6)
    keyring.apply(second, 5)
    assert [(found.public_key, found.valid_from, found.valid_to) for found in keyring if found.whose == "acme"] == [
        (ACME.public_key, 2, None),
        (NEW.public_key, 6, None),
    ]


# --- rotation ---

ROTATIONS = {
    "entry": (ENTRY, FIRST_ENTRY, FIRST_CHECKPOINT),
    "checkpoint": (CHECKPOINT, FIRST_CHECKPOINT, FIRST_ENTRY),
}
every_rotation = pytest.mark.parametrize(
    ("role", "name", "old", "other"), [(role, *keys) for role, keys in ROTATIONS.items()], ids=ROTATIONS
)


@every_rotation
def test_a_rotation_is_approved_by_root_new_and_old(
    role: str, name: str, old: SoftwareSigner, other: SoftwareSigner
) -> None:
    body = change("add", role, NEW, version=2)
    missing = ("approvals", f"{name} did not approve it")
    assert refusal(with_acme(), approved(body, [*BY_ROOTS, (name, NEW)])) == missing
    assert refusal(with_acme(), approved(body, [*BY_ROOTS, (name, old)])) == missing
    assert refusal(with_acme(), approved(body, BY_ROOTS)) == missing
    spoiled = ("approvals", f"the approval by {name} is not one that counts here")
    assert refusal(with_acme(), approved(body, [*BY_ROOTS, (name, NEW), (name, other)])) == spoiled
    assert refusal(with_acme(), approved(body, [(name, NEW), (name, old)]))[1] == "0 of 2 root keys approved it"


@every_rotation
def test_a_rotation_is_in_the_ledgers_own_name(
    role: str, name: str, old: SoftwareSigner, other: SoftwareSigner
) -> None:
    body = approved(change("add", role, NEW, "issuer.example/other", 2), [*BY_ROOTS, (name, NEW), (name, old)])
    field, detail = refusal(with_acme(), body)
    assert (field, detail.partition(f" {role} ")[2]) == ("whose", "key is the ledger's own: whose must be its origin")


@every_rotation
def test_a_rotation_ends_the_old_key_where_the_new_one_begins(
    role: str, name: str, old: SoftwareSigner, other: SoftwareSigner
) -> None:
    keyring = with_acme()
    body = approved(change("add", role, NEW, version=2), [*BY_ROOTS, (name, NEW), (name, old)])
    keyring.check(body, 10**6)
    keyring.apply(body, 9)
    before, after = keyring.find(kid_of(old.public_key)), keyring.find(body.kid)
    assert before is not None
    assert after is not None
    assert (before.valid_from, before.valid_to) == (0, 10)
    assert after == RegisteredKey(body.kid, role, ORIGIN, NEW.public_key, 10)
    assert [key.is_valid_at(9) for key in (before, after)] == [True, False]
    assert [key.is_valid_at(10) for key in (before, after)] == [False, True]
    assert keyring.current(role) == after
    third = approved(change("add", role, OTHER, version=3), [*BY_ROOTS, (name, OTHER), (name, old)])
    assert refusal(keyring, third)[0] == "approvals"  # the replaced key has no say any more


@settings(max_examples=60, deadline=None)
@given(gaps=st.lists(st.integers(1, 5), max_size=12), shift=st.integers(0, 3))
def test_one_entry_key_is_valid_at_any_seq(gaps: list[int], shift: int) -> None:
    keyring, seq, current = founded(), 0, FIRST_ENTRY
    expected: list[bytes] = [current.public_key]  # by seq
    for version, gap in enumerate(gaps, 1):
        new = key(100 + version)
        seq += gap
        expected += [current.public_key] * (seq - len(expected) + 1)
        body = approved(change("add", "entry", new, version=version), [*BY_ROOTS, (ENTRY, new), (ENTRY, current)])
        keyring.check(body, 10**6)
        keyring.apply(body, seq)
        current = new
    expected += [current.public_key] * (shift + 1)
    assert [keyring.entry_key_at(at) for at in range(len(expected))] == expected
    for at, public_key in enumerate(expected):
        assert [key.public_key for key in keyring if key.role == "entry" and key.is_valid_at(at)] == [public_key]


# --- retire ---


def test_a_retired_key_is_valid_up_to_its_entry() -> None:
    keyring = with_acme()
    body = approved(change("retire", "scheme", ACME, "acme", 2))
    keyring.check(body, 10**6)
    keyring.apply(body, 20)
    found = keyring.find(body.kid)
    assert found is not None
    assert [found.is_valid_at(seq) for seq in (0, 1, 2, 20, 21, 10**9)] == [False, False, True, True, False, False]
    again = approved(replace(body, version=3, approvals=""))
    assert refusal(keyring, again) == ("kid", "this key is not valid any more since seq 21")


@pytest.mark.parametrize(
    ("body", "field", "detail"),
    [
        pytest.param(
            change("retire", "scheme", NEW, "acme", 2),
            "kid",
            "no such key of this role and name is registered",
            id="a key that nobody registered",
        ),
        pytest.param(
            change("retire", "scheme", ACME, "zeta", 2),
            "kid",
            "no such key of this role and name is registered",
            id="somebody else's key",
        ),
        pytest.param(
            change("retire", "operator", ACME, "acme", 2),
            "kid",
            "no such key of this role and name is registered",
            id="a key of another role",
        ),
        pytest.param(
            change("retire", "scheme", ROOTS[0], "acme", 2),
            "kid",
            "no such key of this role and name is registered",
            id="a root key",
        ),
        pytest.param(
            change("retire", "entry", FIRST_ENTRY, version=2),
            "role",
            "entry key ends when another replaces it: rotate it",
            id="the entry key",
        ),
        pytest.param(
            change("retire", "checkpoint", FIRST_CHECKPOINT, version=2),
            "role",
            "checkpoint key ends when another replaces it: rotate it",
            id="the checkpoint key",
        ),
    ],
)
def test_what_can_not_be_retired_is_refused(body: KeyChange, field: str, detail: str) -> None:
    refused_field, refused_detail = refusal(with_acme(), approved(body))
    assert refused_field == field
    assert refused_detail.endswith(detail)


def test_a_retired_key_does_not_approve_its_own_end() -> None:
    body = approved(change("retire", "scheme", ACME, "acme", 2), [*BY_ROOTS, (f"{ORIGIN}/scheme/acme", ACME)])
    assert refusal(with_acme(), body)[0] == "approvals"


# --- what no key entry can say ---


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"op": "revoke"}, "op"),
        ({"op": "Revoke"}, "op"),
        ({"op": "Add"}, "op"),
        ({"role": "root"}, "role"),
        ({"kid": "A" * 64}, "kid"),
        ({"kid": "a" * 65}, "kid"),
        ({"public_key": bytes(31)}, "public_key"),
        ({"whose": ""}, "whose"),
        ({"whose": "a/b"}, "whose"),
        ({"whose": "x" * 65}, "whose"),
        ({"role": "entry", "whose": "https://issuer.example"}, "whose"),
        ({"version": -1}, "version"),
        ({"version": True}, "version"),
    ],
    ids=repr,
)
def test_a_key_entry_that_can_not_be(members: dict[str, object], field: str) -> None:
    good = change("add", "scheme", NEW, "zeta")
    with pytest.raises(Invalid) as refused:
        replace(good, **members)  # type: ignore[arg-type]
    assert refused.value.field == field
