"""Steps 6 and 7: the Scheme's signed request that a transaction rests on, and that the body says what it says."""

from signed_ledger.audit.opened import Check, Opened
from signed_ledger.audit.registry import Registry
from signed_ledger.audit.steps import Step, Tally
from signed_ledger.encoding import decode_request
from signed_ledger.errors import Invalid, Refusal
from signed_ledger.records import CardTransaction, RegisteredKey
from signed_ledger.schemes import check_said_by, check_says, reverify


def check_evidence(opened: Opened, registry: Registry, tally: Tally) -> None:
    """Check all of a transaction's evidence but the Ed25519 signature, which goes to `opened.checks`."""
    entry, body, evidence = opened.entry, opened.body, opened.evidence
    if entry is None or body is None:
        return
    if not isinstance(body, CardTransaction) or body.webhook_id is None:
        if entry.evidence is not None:
            tally.fault(opened.seq, Step.SCHEME, f"has evidence, though no Scheme asks for a {body.KIND} entry like it")
        return
    tally.checked[Step.SCHEME] += 1
    if entry.evidence is None:
        tally.fault(opened.seq, Step.SCHEME, f"this {body.type} rests on no evidence: no Scheme signed for it")
    elif evidence is not None and (key := _valid_key(opened, evidence.kid, registry)) is not None:
        _check_signed(opened, key, tally)
        _check_agrees(opened, body, key, tally)


def _valid_key(opened: Opened, kid: str, registry: Registry) -> RegisteredKey | None:
    assert registry.keyring is not None
    key = registry.keyring.find(kid)
    if key is not None and key.is_valid_at(opened.seq):
        return key
    why = "nobody registered it" if key is None else f"it was from {key.valid_from} to before {key.valid_to}"
    reason = f"the Scheme's key {kid[:16]} is not valid here: {why}"
    registry.fault_of_key(opened.seq, Step.SCHEME, kid, reason)
    return None


def _check_signed(opened: Opened, key: RegisteredKey, tally: Tally) -> None:
    """Rebuild what was signed from the request and hold it against what is recorded."""
    assert opened.evidence is not None
    taken: list[Check] = []

    def take_down(public_key: bytes, message: bytes, signature: bytes) -> bool:
        taken.append(Check(Step.SCHEME, (public_key, message, signature)))
        return True

    try:
        reverify(opened.evidence, key, verify_signature=take_down)
    except (Invalid, Refusal) as error:
        tally.fault(opened.seq, Step.SCHEME, f"the Scheme's request does not verify: {error}")
        opened.evidence = None
    else:
        opened.checks += taken


def _check_agrees(opened: Opened, body: CardTransaction, key: RegisteredKey, tally: Tally) -> None:
    if opened.evidence is None:
        return
    tally.checked[Step.AGREEMENT] += 1
    try:
        check_said_by(body, opened.evidence, key)
        request = decode_request(body.type, opened.evidence.request.body)
        check_says(body, request)
    except (Invalid, Refusal) as error:
        tally.fault(opened.seq, Step.AGREEMENT, f"body and signed request differ: {error}")
    else:
        opened.request = request
