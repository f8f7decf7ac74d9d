"""Evidence of Standard Webhooks v1a in the ledger: verified again by writer and audit, and what it can not prove."""

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from signed_ledger.audit.summary import summary_of
from signed_ledger.errors import WebhookIdReused
from signed_ledger.ledger import Ledger, Webhook
from signed_ledger.records import CardTransaction, Evidence
from tests.cheating import Cheat, CheatingIssuer, Cheats, Faults, assert_found, authorised, encoded
from tests.support import Sample, assert_audits
from tests.tampering import Copy
from tests.world import StandardParty, World, authorisation, euros, opened, presentment

CHEATS = Cheats()


def signed(issuer: CheatingIssuer, asked: dict[str, object] | None = None) -> tuple[CardTransaction, Evidence]:
    """A decision on a request that visa signed by v1a."""
    return authorised(issuer, "1.00", party=visa(issuer), asked=asked)


def visa(issuer: CheatingIssuer) -> StandardParty:
    party = StandardParty("visa")
    party.signer, party.kid = issuer.sample.visa.signer, issuer.sample.visa.kid
    return party


def edited(issuer: CheatingIssuer, **request: Any) -> Faults:
    body, evidence = signed(issuer)
    return {(issuer.write(body, replace(evidence, request=replace(evidence.request, **request))), 6)}


def with_field(issuer: CheatingIssuer, name: str, value: str, **evidence: Any) -> Faults:
    body, good = signed(issuer)
    request = replace(good.request, fields={**good.request.fields, name: value})
    return {(issuer.write(body, replace(good, request=request, **evidence)), 6)}


@CHEATS.add
def another_body(issuer: CheatingIssuer) -> Faults:
    """The digest of v1a is its signature: that the amount is another is found besides."""
    return edited(issuer, body=encoded(authorisation("new", "c1", "2.00"))) | {(issuer.seq, 7)}


@CHEATS.add
def a_query(issuer: CheatingIssuer) -> Faults:
    return edited(issuer, query="?a=b")


@CHEATS.add
def another_id(issuer: CheatingIssuer) -> Faults:
    stamp = str(issuer.sample.world.clock() // 1_000_000)
    faults = with_field(issuer, "webhook-id", "wh-newer", signature_base=f"wh-newer.{stamp}")
    return faults | {(issuer.seq, 7)}


@CHEATS.add
def another_id_in_the_field_only(issuer: CheatingIssuer) -> Faults:
    return with_field(issuer, "webhook-id", "wh-newer")


@CHEATS.add
def another_timestamp(issuer: CheatingIssuer) -> Faults:
    stamp = str(issuer.sample.world.clock() // 1_000_000 + 1)
    return with_field(issuer, "webhook-timestamp", stamp, signature_base=f"wh-new.{stamp}")


@CHEATS.add
def another_signature(issuer: CheatingIssuer) -> Faults:
    other = issuer.sample.jcb.signer.sign(b"something else")
    field = f"v1a,{base64.b64encode(other).decode()}"
    return with_field(issuer, "webhook-signature", field, signature=other)


@CHEATS.add
def a_signature_that_is_not_in_the_field(issuer: CheatingIssuer) -> Faults:
    body, evidence = signed(issuer)
    return {(issuer.write(body, replace(evidence, signature=bytes(64))), 6)}


@CHEATS.add
def a_field_that_is_not_signed(issuer: CheatingIssuer) -> Faults:
    return with_field(issuer, "content-type", "application/json")


@CHEATS.add
def another_public_key(issuer: CheatingIssuer) -> Faults:
    body, evidence = signed(issuer)
    return {(issuer.write(body, replace(evidence, public_key=issuer.sample.jcb.signer.public_key)), 6)}


@CHEATS.add
def the_key_of_another_scheme(issuer: CheatingIssuer) -> Faults:
    body, evidence = signed(issuer)
    jcb = issuer.sample.jcb
    seq = issuer.write(body, replace(evidence, kid=jcb.kid, public_key=jcb.signer.public_key))
    return {(seq, 6), (seq, 7)}


@CHEATS.add
def received_too_late(issuer: CheatingIssuer) -> Faults:
    body, evidence = signed(issuer)
    return {(issuer.write(body, replace(evidence, received=evidence.received + 301_000_000)), 6)}


@CHEATS.add
def the_other_profile(issuer: CheatingIssuer) -> Faults:
    body, evidence = signed(issuer)
    return {(issuer.write(body, replace(evidence, profile="rfc9421")), 6)}


@CHEATS.add
def another_path(issuer: CheatingIssuer) -> Faults:
    """It is not signed; but it must be the one of what was decided."""
    body, evidence = signed(issuer)
    return {(issuer.write(body, replace(evidence, request=replace(evidence.request, path="/reversal"))), 7)}


@CHEATS.add
def another_method(issuer: CheatingIssuer) -> Faults:
    body, evidence = signed(issuer)
    return {(issuer.write(body, replace(evidence, request=replace(evidence.request, method="PUT"))), 7)}


@CHEATS.add
def another_amount_than_was_signed(issuer: CheatingIssuer) -> Faults:
    return {(issuer.write(*signed(issuer, authorisation("new", "c1", "1.01"))), 7)}


@CHEATS.add
def nothing_at_all(issuer: CheatingIssuer) -> Faults:
    """The control: as it was signed, it stands."""
    asked = authorisation("new", "c1", "1.00")
    issuer.honest("authorisation", asked, party=visa(issuer))
    return set()


@pytest.mark.parametrize("attempt", CHEATS, ids=lambda attempt: attempt.__name__.replace("_", " "))
def test_edited_evidence_of_v1a_is_found_in_the_right_step(sample: Sample, copy: Copy, attempt: Cheat) -> None:
    assert_found(sample, copy, attempt)


# --- honest ledgers --------------------------------------------------------------------------------------------------


async def _begun(world: World, ledger: Ledger) -> StandardParty:
    party = await world.register(ledger, "scheme", "visa", StandardParty)
    assert isinstance(party, StandardParty)
    await world.load(ledger, "c1", 100_00)
    return party


def _asked(world: World, party: StandardParty, name: str = "wh-1") -> Webhook:
    return world.webhook(party, "authorisation", authorisation("tx-1", "c1", "10.00"), name)


async def test_a_life_signed_by_v1a_audits_and_the_audit_says_what_was_not_signed(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with opened(world) as ledger:
        party = await _begun(world, ledger)
        await ledger.submit(_asked(world, party))
    async with opened(world) as ledger:  # another process: the authorisation is read back and verified again
        await ledger.submit(world.webhook(party, "presentment", presentment("tx-1", "9.00")))
    report = assert_audits(world.path)
    said = [line for line in report.not_known if "Standard Webhooks v1a" in line]
    assert said == [
        "2 requests are signed by Standard Webhooks v1a, over id, timestamp and body only: "
        "to which host and path they went is the Issuer's word."
    ]
    assert "signed for: issuer.example" not in summary_of(report)


async def test_the_same_event_signed_again_later_is_a_retry_and_of_another_type_is_not(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with opened(world) as ledger:
        party = await _begun(world, ledger)
        first = await ledger.submit(_asked(world, party))
        world.clock.now += 600_000_000
        again = await ledger.submit(_asked(world, party))
        assert (again.seq, again.replayed) == (first.seq, True)
        body = {"transaction_id": "tx-1", **euros("billing", "1.00")}
        await ledger.submit(world.webhook(party, "reversal", body, "wh-2"))
        with pytest.raises(WebhookIdReused):
            await ledger.submit(world.webhook(party, "increment", body, "wh-2"))
    assert_audits(world.path)


async def test_a_scheme_may_change_its_profile_in_the_midst_of_a_transaction(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with opened(world) as ledger:
        party = await world.register(ledger, "scheme", "visa")
        await world.load(ledger, "c1", 100_00)
        await ledger.submit(world.webhook(party, "authorisation", authorisation("tx-1", "c1", "10.00")))
        standard = StandardParty("visa")
        standard.signer, standard.kid = party.signer, party.kid
        await ledger.submit(world.webhook(standard, "presentment", presentment("tx-1", "10.00")))
    assert_audits(world.path)
