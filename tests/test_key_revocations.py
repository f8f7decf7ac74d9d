"""The registry on a bad day: revocations, pre-committed keys, other root keys, and attestations; each refusal once."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signed_ledger.encoding import decode_body, encode_body
from signed_ledger.errors import Invalid, KeyChangeRefused
from signed_ledger.keyring import Keyring, approve
from signed_ledger.merkle import EMPTY_ROOT
from signed_ledger.records import Attestation, History, KeyChange, RegistryChange, RootChange
from signed_ledger.signing import SoftwareSigner, kid_of
from tests.test_keyring import (
    ACME,
    BY_ROOTS,
    CHECKPOINT,
    ENTRY,
    FIRST_CHECKPOINT,
    FIRST_ENTRY,
    NEW,
    ORIGIN,
    OTHER,
    ROOT,
    ROOTS,
    Signers,
    change,
    founded,
    key,
    with_acme,
)

SOME_ROOT = bytes(range(32))
NEW_ROOTS = [key(number) for number in (21, 22, 23)]
THIRD, FOURTH = key(31), key(32)
SEQ = 100


def kid(signer: SoftwareSigner) -> str:
    return kid_of(signer.public_key)


def with_approvals(body: KeyChange | RootChange, signers: Iterable[tuple[str, SoftwareSigner]]) -> RegistryChange:
    return replace(body, approvals=approve(body, ORIGIN, signers))


def taken(keyring: Keyring, body: RegistryChange, seq: int) -> Keyring:
    keyring.check(body, seq)
    keyring.apply(body, seq)
    return keyring


def refused(keyring: Keyring, body: RegistryChange, seq: int = SEQ) -> tuple[str | None, str]:
    with pytest.raises(KeyChangeRefused) as error:
        keyring.check(body, seq)
    return error.value.field, error.value.detail


def rotation(
    version: int, new: SoftwareSigner, old: SoftwareSigner | None, following: SoftwareSigner
) -> RegistryChange:
    body = replace(change("add", "entry", new, version=version), next_kid=kid(following))
    return with_approvals(body, [*BY_ROOTS, (ENTRY, new), *([(ENTRY, old)] if old else [])])


def revocation(version: int, of: SoftwareSigner, size: int, role: str = "entry", whose: str = ORIGIN) -> RegistryChange:
    history = History(size, SOME_ROOT if size else EMPTY_ROOT)
    body = KeyChange("revoke", role, kid(of), None, whose, version, history=history)
    return with_approvals(body, BY_ROOTS)


def new_root(version: int, signers: Signers, keys: Iterable[SoftwareSigner] = NEW_ROOTS) -> RegistryChange:
    public = tuple(signer.public_key for signer in keys)
    return with_approvals(RootChange(public, 2, version, History(5, SOME_ROOT)), signers)


BY_NEW: Signers = [(ROOT, NEW_ROOTS[0]), (ROOT, NEW_ROOTS[1])]


def rotated() -> Keyring:
    """The entry key was replaced at 10 by `NEW`, which pre-committed to `OTHER`."""
    return taken(founded(), rotation(1, NEW, FIRST_ENTRY, OTHER), 10)


def stolen() -> Keyring:
    """`NEW`, in use from 11 on, is revoked from 50 on by entry 60, and not replaced yet."""
    return taken(rotated(), revocation(2, NEW, 50), 60)


def replaced() -> Keyring:
    """And replaced by entry 61."""
    return taken(stolen(), rotation(3, OTHER, None, THIRD), 61)


# --- the next key ---


def test_only_the_key_that_was_pre_committed_replaces() -> None:
    field, detail = refused(rotated(), rotation(2, THIRD, NEW, FOURTH))
    assert field == "kid"
    assert kid(OTHER) in detail
    assert taken(rotated(), rotation(2, OTHER, NEW, THIRD), 20).next_kids == {"entry": kid(THIRD)}


def test_a_lost_next_key_is_revoked_and_then_any_new_one_replaces() -> None:
    keyring = taken(rotated(), revocation(2, OTHER, 20), 20)
    assert keyring.next_kids == {}
    assert refused(keyring, rotation(3, OTHER, NEW, THIRD))[0] == "kid"
    assert refused(keyring, revocation(3, OTHER, 20))[0] == "kid"
    assert taken(keyring, rotation(3, THIRD, NEW, FOURTH), 21).current("entry").kid == kid(THIRD)


@pytest.mark.parametrize("known", [FIRST_ENTRY, FIRST_CHECKPOINT, ROOTS[0], OTHER])
def test_what_is_known_already_is_no_next_key(known: SoftwareSigner) -> None:
    body = replace(change("add", "checkpoint", THIRD, version=2), next_kid=kid(known))
    signers = [*BY_ROOTS, (CHECKPOINT, THIRD), (CHECKPOINT, FIRST_CHECKPOINT)]
    assert refused(rotated(), with_approvals(body, signers))[0] == "next"


def test_a_pre_committed_key_has_that_role_and_no_other() -> None:
    assert refused(rotated(), with_approvals(change("add", "scheme", OTHER, "acme", 2), BY_ROOTS))[0] == "kid"
    assert refused(rotated(), new_root(2, BY_ROOTS + BY_NEW, [*NEW_ROOTS, OTHER]))[0] == "root_keys"


# --- revocation ---


def test_a_revoked_entry_key_is_trusted_before_the_size_and_where_the_root_vouches() -> None:
    keyring = replaced()
    assert [seq for seq in range(70) if not keyring.is_trusted(seq)] == list(range(50, 60))
    assert keyring.current("entry").kid == kid(OTHER)


def test_the_very_next_key_entry_replaces_a_revoked_key() -> None:
    keyring = stolen()
    assert keyring.awaited == "entry"
    others = [
        with_approvals(change("add", "scheme", ACME, "acme", 3), BY_ROOTS),
        new_root(3, BY_ROOTS + BY_NEW),
        revocation(3, FIRST_CHECKPOINT, 5, "checkpoint"),
    ]
    assert {refused(keyring, body)[0] for body in others} == {"op"}
    assert taken(keyring, revocation(3, OTHER, 50), 61).awaited == "entry"  # the next key was stolen with it
    assert taken(keyring, rotation(4, THIRD, None, FOURTH), 62).awaited is None


def test_a_revoked_key_has_no_say_in_its_replacement() -> None:
    assert refused(stolen(), rotation(3, OTHER, NEW, THIRD)) == (
        "approvals",
        f"the approval by {ENTRY} is not one that counts here",
    )


def test_a_size_in_the_future_is_refused() -> None:
    assert refused(rotated(), revocation(2, NEW, 61), 60) == ("at_size", "61 is more than the 60 entries before it")
    rotated().check(revocation(2, NEW, 60), 60)


def test_no_entries_have_the_empty_root() -> None:
    body = KeyChange("revoke", "entry", kid(NEW), None, ORIGIN, 2, history=History(0, SOME_ROOT))
    assert refused(rotated(), with_approvals(body, BY_ROOTS))[0] == "root"


def test_a_key_is_revoked_twice_only_to_name_an_earlier_size() -> None:
    assert refused(replaced(), revocation(4, NEW, 50))[0] == "kid"
    keyring = taken(replaced(), revocation(4, NEW, 40), 70)
    assert not keyring.is_trusted(40)


def test_a_key_that_nobody_knows_or_of_another_role_is_not_revoked() -> None:
    assert refused(rotated(), revocation(2, FOURTH, 5))[0] == "kid"
    assert refused(rotated(), revocation(2, OTHER, 5, "checkpoint"))[0] == "kid"
    assert refused(with_acme(), revocation(2, ACME, 1, "scheme", "zeta"))[0] == "kid"


def test_a_revocation_needs_the_root_threshold() -> None:
    body = revocation(2, NEW, 5)
    assert isinstance(body, KeyChange)
    body = replace(body, approvals="")
    assert refused(rotated(), with_approvals(body, BY_ROOTS[:1])) == ("approvals", "1 of 2 root keys approved it")


def test_a_revoked_party_key_ends_as_a_retired_one_does() -> None:
    keyring = taken(with_acme(), revocation(2, ACME, 3, "scheme", "acme"), 9)
    found = keyring.find(kid(ACME))
    assert found is not None
    assert (found.valid_to, found.revoked_at) == (10, 3)
    assert [keyring.is_trusted_of(found.kid, seq) for seq in (2, 3)] == [True, False]


def test_checkpoints_above_the_size_are_not_trusted() -> None:
    keyring = taken(founded(), revocation(1, FIRST_CHECKPOINT, 7, "checkpoint"), 9)
    assert [keyring.is_trusted_checkpoint(kid(FIRST_CHECKPOINT), size) for size in (7, 8)] == [True, False]


# --- attestation ---


def test_what_is_signed_again_is_trusted() -> None:
    keyring = taken(replaced(), Attestation(kid(NEW), 50, 54, SOME_ROOT), 62)
    assert [seq for seq in range(70) if not keyring.is_trusted(seq)] == list(range(55, 60))


def test_an_attestation_by_a_key_that_is_revoked_later_counts_no_more_until_it_is_signed_again_itself() -> None:
    keyring = taken(replaced(), Attestation(kid(NEW), 50, 59, SOME_ROOT), 62)
    keyring = taken(taken(keyring, revocation(4, OTHER, 62), 70), rotation(5, THIRD, None, FOURTH), 71)
    assert not keyring.is_trusted(50)
    assert taken(keyring, Attestation(kid(OTHER), 62, 62, SOME_ROOT), 72).is_trusted(50)


def test_thefts_without_end_cost_no_more_than_there_are_of_them() -> None:
    """Each key is stolen after it vouched twice for the one before: every way back through them leads nowhere."""
    keyring, number = replaced(), 50
    keys, seq = [NEW, OTHER], 62
    following = THIRD
    for _ in range(400):
        for _ in range(2):
            size = keyring.revocations.sizes[kid(keys[-2])]
            found = keyring.find(kid(keys[-2]))
            assert found is not None
            first, last = max(size, found.valid_from), (found.valid_to or 0) - 1
            taken(keyring, Attestation(kid(keys[-2]), first, last, SOME_ROOT), seq)
            seq += 1
        number += 1
        start = keyring.current("entry").valid_from
        taken(keyring, revocation(keyring.version + 1, keys[-1], start), seq)
        taken(keyring, rotation(keyring.version + 1, following, None, key(number)), seq + 1)
        keys, following, seq = [*keys, following], key(number), seq + 2
    assert not keyring.is_trusted(50)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param(Attestation(kid(OTHER), 62, 63, SOME_ROOT), "kid", id="of a key not revoked"),
        pytest.param(Attestation(kid(FOURTH), 50, 51, SOME_ROOT), "kid", id="of no key"),
        pytest.param(Attestation(kid(NEW), 49, 51, SOME_ROOT), "first", id="of what is trusted as it is"),
        pytest.param(Attestation(kid(NEW), 50, 62, SOME_ROOT), "last", id="of what its successor signed"),
    ],
)
def test_what_can_not_be_signed_again(body: Attestation, field: str) -> None:
    assert refused(replaced(), body)[0] == field


def test_a_revoked_key_does_not_vouch_for_itself() -> None:
    assert refused(stolen(), Attestation(kid(NEW), 50, 51, SOME_ROOT))[0] == "kid"


# --- root keys ---


def test_other_root_keys_are_approved_by_the_old_and_the_new_ones() -> None:
    keyring = taken(founded(), new_root(1, BY_ROOTS + BY_NEW), 9)
    assert keyring.root_keys == tuple(signer.public_key for signer in NEW_ROOTS)
    old = with_approvals(change("add", "scheme", ACME, "acme", 2), BY_ROOTS)
    assert refused(keyring, old)[0] == "approvals"
    keyring.check(with_approvals(change("add", "scheme", ACME, "acme", 2), BY_NEW), 10)


@pytest.mark.parametrize(
    ("signers", "detail"),
    [
        pytest.param(BY_ROOTS, "0 of 2 new root keys approved it", id="by the old set only"),
        pytest.param(BY_NEW, "0 of 2 root keys approved it", id="by the new set only"),
        pytest.param([*BY_ROOTS, BY_NEW[0]], "1 of 2 new root keys approved it", id="too few of the new"),
        pytest.param([BY_ROOTS[0], *BY_NEW], "1 of 2 root keys approved it", id="too few of the old"),
    ],
)
def test_a_root_change_that_too_few_approved(signers: Signers, detail: str) -> None:
    assert refused(founded(), new_root(1, signers)) == ("approvals", detail)


def test_a_key_may_be_in_both_sets_and_then_approves_once_for_both() -> None:
    keys = [ROOTS[0], ROOTS[2], NEW_ROOTS[0]]
    founded().check(new_root(1, BY_ROOTS, keys), 9)


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        pytest.param([*NEW_ROOTS, FIRST_ENTRY], "root_keys", id="an entry key"),
        pytest.param([*NEW_ROOTS, ACME], "root_keys", id="a Scheme's key"),
    ],
)
def test_a_root_key_has_no_other_role(keys: list[SoftwareSigner], field: str) -> None:
    assert refused(with_acme(), new_root(2, BY_ROOTS + BY_NEW, keys))[0] == field


def test_a_root_key_is_never_used_again() -> None:
    keyring = taken(founded(), new_root(1, BY_ROOTS + BY_NEW), 9)
    assert refused(keyring, new_root(2, [*BY_NEW, *BY_ROOTS], ROOTS))[0] == "root_keys"
    for role, whose in (("scheme", "zeta"), ("operator", "olga")):
        body = with_approvals(change("add", role, ROOTS[0], whose, 2), BY_NEW)
        assert refused(keyring, body)[0] == "kid"


@pytest.mark.parametrize("bad", [bytes(32), b"\xff" * 32], ids=["low order", "not canonical"])
def test_a_root_key_that_is_none_is_refused(bad: bytes) -> None:
    body = RootChange((bad,), 1, 1, History(0, EMPTY_ROOT))
    assert refused(founded(), with_approvals(body, BY_ROOTS))[0] == "public_key"


def test_a_root_change_is_of_the_next_version_and_of_entries_that_are_there() -> None:
    assert refused(founded(), new_root(2, BY_ROOTS + BY_NEW))[0] == "version"
    assert refused(founded(), new_root(1, BY_ROOTS + BY_NEW), 4)[0] == "size"


# --- what can not be said at all ---


@pytest.mark.parametrize(
    "members",
    [
        {"next_kid": "x"},
        {"next_kid": kid(NEW)},
        {"role": "scheme", "whose": "acme", "next_kid": kid(OTHER)},
        {"history": History(1, SOME_ROOT)},
        {"op": "revoke"},
        {"op": "revoke", "history": History(1, SOME_ROOT)},
        {"public_key": None},
    ],
    ids=str,
)
def test_a_key_entry_that_can_not_be(members: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        replace(change("add", "entry", NEW), **members)  # type: ignore[arg-type]


@pytest.mark.parametrize("body", [rotation(1, NEW, FIRST_ENTRY, OTHER), revocation(1, NEW, 3), new_root(1, BY_ROOTS)])
def test_bodies_are_read_as_they_were_written(body: RegistryChange) -> None:
    for one in (body, Attestation(kid(NEW), 3, 4, SOME_ROOT)):
        data = encode_body(one, bytes(16))
        assert decode_body(data).body == one
        assert encode_body(decode_body(data).body, bytes(16)) == data


# --- any sequence, against a model in a few lines ---


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(["rotate", "steal", "attest"]), st.integers(0, 6)), max_size=8))
def test_any_sequence_of_rotations_and_thefts(steps: list[tuple[str, int]]) -> None:
    keyring, seq, version, number = founded(), 0, 0, 40
    signed: list[int] = [0] * 400  # by seq the number of the key that signed it
    keys, following, current = {0: FIRST_ENTRY}, None, 0
    sizes: dict[int, int] = {}
    vouched, by_root = set(), {0}
    for what, back in steps:
        seq += 5
        if what == "attest":
            if sizes:
                stolen_key = max(sizes)
                last = max(at for at in range(seq) if signed[at] == stolen_key)
                if last >= sizes[stolen_key]:
                    taken(keyring, Attestation(kid(keys[stolen_key]), last, last, SOME_ROOT), seq)
                    vouched.add((last, seq))
            continue
        if what == "steal":
            size = max(seq - back, 0)
            taken(keyring, revocation(version + 1, keys[current], size), seq)
            by_root.add(seq)
            sizes[current] = size
            seq, version = seq + 1, version + 1
        number += 2
        new = following or key(number)
        next_key = key(number + 1)
        old = None if what == "steal" else keys[current]
        taken(keyring, rotation(version + 1, new, old, next_key), seq)
        by_root.add(seq)
        version, following, current = version + 1, next_key, number
        keys[current] = new
        for at in range(seq + 1, len(signed)):
            signed[at] = current

    def is_trusted(at: int) -> bool:
        size = sizes.get(signed[at])
        is_vouched = any(of == at and is_trusted(by) for of, by in vouched)
        return at in by_root or size is None or at < size or is_vouched

    assert [keyring.is_trusted(at) for at in range(seq + 3)] == [is_trusted(at) for at in range(seq + 3)]
    assert keyring.version == version
