"""An Issuer who holds the entry key can not sign for the Scheme, for the root, or for the time gone by."""

import hashlib
import json
import os
from dataclasses import replace

import pytest

from signed_ledger.encoding import encode_base64, encode_body, encode_entry_note, encode_entry_text, entry_key_name
from signed_ledger.keyring import approve
from signed_ledger.merkle import leaf_hash
from signed_ledger.records import Body, Entry, EntryRef, KeyChange, Load, PartDigest, Parts
from signed_ledger.sealing import Sealed
from signed_ledger.signing import SoftwareSigner, kid_of, note_key_id
from tests.cheating import Cheat, CheatingIssuer, Cheats, Faults, assert_found, authorised, encoded, eur, post
from tests.support import Sample
from tests.tampering import Copy
from tests.world import ORIGIN, Party, authorisation

CHEATS = Cheats()


# --- evidence ------------------------------------------------------------------------------------------------------


@CHEATS.add
def authorisation_without_evidence(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(authorised(issuer, "1.00")[0]), 6)}


@CHEATS.add
def load_with_evidence(issuer: CheatingIssuer) -> Faults:
    load = Load("load-new", "c1", eur(10_00))
    seq = issuer.write(load, authorised(issuer, "1.00")[1])
    post(issuer, load)
    return {(seq, 6)}


@CHEATS.add
def edited_evidence(issuer: CheatingIssuer) -> Faults:
    body, evidence = authorised(issuer, "1.00")
    request = replace(evidence.request, body=evidence.request.body.replace(b"1.00", b"2.00"))
    return {(issuer.write(body, replace(evidence, request=request)), 6)}


@CHEATS.add
def evidence_edited_with_its_digest(issuer: CheatingIssuer) -> Faults:
    body, evidence = authorised(issuer, "1.00")
    raw = evidence.request.body.replace(b"1.00", b"2.00")
    digest = f"sha-256=:{encode_base64(hashlib.sha256(raw).digest())}:"
    old = evidence.request.fields["content-digest"]
    request = replace(evidence.request, body=raw, fields={**evidence.request.fields, "content-digest": digest})
    edited = replace(evidence, request=request, signature_base=evidence.signature_base.replace(old, digest))
    seq = issuer.write(body, edited)
    return {(seq, 6), (seq, 7)}


@CHEATS.add
def evidence_that_says_when_it_came(issuer: CheatingIssuer) -> Faults:
    body, evidence = authorised(issuer, "1.00")
    return {(issuer.write(body, replace(evidence, received=evidence.received + 301_000_000)), 6)}


@CHEATS.add
def evidence_under_a_key_of_its_own_making(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(*authorised(issuer, "1.00", party=Party("visa"))), 6)}


@CHEATS.add
def evidence_with_its_own_key_under_the_schemes_name(issuer: CheatingIssuer) -> Faults:
    body, evidence = authorised(issuer, "1.00", party=Party("visa"))
    return {(issuer.write(body, replace(evidence, kid=issuer.sample.visa.kid)), 6)}


@CHEATS.add
def evidence_under_a_retired_scheme_key(issuer: CheatingIssuer) -> Faults:
    body, evidence = authorised(issuer, "1.00", party=issuer.sample.amex)
    seq = issuer.write(replace(body, scheme="amex"), evidence)
    return {(seq, 6), (seq, 11)}  # nor is the card amex's


@CHEATS.add
def evidence_of_another_scheme(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(*authorised(issuer, "1.00", party=issuer.sample.jcb)), 7)}


@CHEATS.add
def evidence_of_another_transaction(issuer: CheatingIssuer) -> Faults:
    asked = authorisation("other", "c1", "1.00")
    return {(issuer.write(*authorised(issuer, "1.00", asked=asked)), 7)}


@CHEATS.add
def body_of_another_amount(issuer: CheatingIssuer) -> Faults:
    asked = authorisation("new", "c1", "1.01")
    return {(issuer.write(*authorised(issuer, "1.00", asked=asked)), 7)}


@CHEATS.add
def evidence_of_another_kind_of_webhook(issuer: CheatingIssuer) -> Faults:
    body, _ = authorised(issuer, "1.00")
    raw = encoded(authorisation("new", "c1", "1.00"))
    return {(issuer.write(body, issuer.evidence("presentment", raw, "wh-new")), 7)}


@CHEATS.add
def evidence_of_another_webhook_id(issuer: CheatingIssuer) -> Faults:
    body, _ = authorised(issuer, "1.00")
    raw = encoded(authorisation("new", "c1", "1.00"))
    return {(issuer.write(body, issuer.evidence("authorisation", raw, "wh-newer")), 7)}


@CHEATS.add
def request_that_is_none(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(*authorised(issuer, "1.00", asked={"transaction_id": "new"})), 7)}


# --- keys ----------------------------------------------------------------------------------------------------------


def key_change(issuer: CheatingIssuer, signer: SoftwareSigner, version: int, *approvers: str) -> KeyChange:
    change = KeyChange("add", "entry", kid_of(signer.public_key), signer.public_key, ORIGIN, version)
    world = issuer.sample.world
    by_name = {"root": (f"{ORIGIN}/root", world.root), "new": (f"{ORIGIN}/entry", signer)}
    signers = [by_name.get(name, (f"{ORIGIN}/entry", issuer.signer)) for name in approvers]
    return replace(change, approvals=approve(change, ORIGIN, signers))


@CHEATS.add
def entry_key_without_the_root(issuer: CheatingIssuer) -> Faults:
    signer = SoftwareSigner(os.urandom(32))
    seq = issuer.write(key_change(issuer, signer, 7, "new", "old"))
    issuer.signer = signer
    return {(seq, 2), (issuer.write(*authorised(issuer, "1.00")), 4)}


@CHEATS.add
def key_version_left_out(issuer: CheatingIssuer) -> Faults:
    signer = SoftwareSigner(os.urandom(32))
    return {(issuer.write(key_change(issuer, signer, 8, "root", "new", "old")), 2)}


@CHEATS.add
def scheme_key_of_low_order(issuer: CheatingIssuer) -> Faults:
    """Anyone could sign with it; not even the root's approval admits it."""
    public_key = bytes([1]) + bytes(31)
    change = KeyChange("add", "scheme", kid_of(public_key), public_key, "weak", 8)
    approvals = approve(change, ORIGIN, [(f"{ORIGIN}/root", issuer.sample.world.root)])
    return {(issuer.write(replace(change, approvals=approvals)), 2)}


@CHEATS.add
def key_registered_twice(issuer: CheatingIssuer) -> Faults:
    public_key = issuer.sample.jcb.signer.public_key
    change = KeyChange("add", "scheme", kid_of(public_key), public_key, "visa", 8)
    approvals = approve(change, ORIGIN, [(f"{ORIGIN}/root", issuer.sample.world.root)])
    return {(issuer.write(replace(change, approvals=approvals)), 2)}


@CHEATS.add
def signature_by_the_key_before(issuer: CheatingIssuer) -> Faults:
    issuer.signer = issuer.sample.world.entry
    return {(issuer.write(*authorised(issuer, "1.00")), 4)}


@CHEATS.add
def signature_by_the_old_key_after_a_rotation(issuer: CheatingIssuer) -> Faults:
    signer = SoftwareSigner(os.urandom(32))
    issuer.write(key_change(issuer, signer, 7, "root", "new", "old"))
    return {(issuer.write(*authorised(issuer, "1.00")), 4)}


# --- form ----------------------------------------------------------------------------------------------------------


@CHEATS.add
def time_set_back(issuer: CheatingIssuer) -> Faults:
    issuer.time -= 1
    return {(issuer.write(*authorised(issuer, "1.00")), 3)}


@CHEATS.add
def chain_that_forks(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(*authorised(issuer, "1.00"), place={"prev": bytes(32)}), 3)}


@CHEATS.add
def entry_of_another_ledger(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(*authorised(issuer, "1.00"), place={"origin": "issuer.example/other"}), 3)}


@CHEATS.add
def entry_that_says_another_seq(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(*authorised(issuer, "1.00"), place={"seq": issuer.next_seq + 1}), 3)}


def raw_body(issuer: CheatingIssuer, kind: str, body: bytes) -> int:
    digest = PartDigest(hashlib.sha256(body).digest(), len(body))
    text = encode_entry_text(Entry(ORIGIN, kind, issuer.next_seq, leaf_hash(issuer.note), issuer.time, digest))
    key_id = note_key_id(entry_key_name(ORIGIN), issuer.signer.public_key)
    note = encode_entry_note(text, ORIGIN, key_id, issuer.signer.sign(text))
    issuer.store(Sealed(EntryRef(issuer.next_seq, leaf_hash(note)), issuer.time, note, Parts(body)))
    return issuer.seq


def declined(issuer: CheatingIssuer) -> Body:
    body, _ = authorised(issuer, "1000.00", ("declined", "insufficient_funds"))
    return body


@CHEATS.add
def body_that_is_not_canonical(issuer: CheatingIssuer) -> Faults:
    return {(raw_body(issuer, "transaction", encode_body(declined(issuer), bytes(16)).replace(b":", b": ", 1)), 5)}


@CHEATS.add
def body_without_salt(issuer: CheatingIssuer) -> Faults:
    members = json.loads(encode_body(declined(issuer), bytes(16)))
    del members["salt"]
    raw = json.dumps(members, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    return {(raw_body(issuer, "transaction", raw), 5)}


@CHEATS.add
def body_of_another_kind_than_its_entry(issuer: CheatingIssuer) -> Faults:
    return {(raw_body(issuer, "journal", encode_body(declined(issuer), bytes(16))), 5), (issuer.seq, 8)}


@CHEATS.add
def second_genesis(issuer: CheatingIssuer) -> Faults:
    (first,) = issuer.connection.execute("SELECT body FROM parts WHERE seq = 0").fetchone()
    return {(raw_body(issuer, "genesis", first), 3), (issuer.seq, 11)}


@pytest.mark.parametrize("attempt", CHEATS, ids=lambda attempt: attempt.__name__.replace("_", " "))
def test_a_cheating_issuer_is_found_in_the_right_step(sample: Sample, copy: Copy, attempt: Cheat) -> None:
    assert_found(sample, copy, attempt)
