"""The book: balances and authorisations, and the one `apply` that changes them."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from signed_ledger.errors import Invalid
from signed_ledger.records import (
    CLEARED,
    DECLINED,
    PENDING,
    AccountId,
    Authorisation,
    AuthorisationKey,
    AuthorisationState,
    Body,
    JournalLine,
    Opening,
    Presentment,
    State,
    card,
)


@dataclass(slots=True)
class Book:
    """What decisions are made upon. It need hold only the accounts and authorisations that a decision names."""

    accounts: dict[AccountId, State] = field(default_factory=dict)
    authorisations: dict[AuthorisationKey, AuthorisationState] = field(default_factory=dict)


class Effect(NamedTuple):
    """What an entry left changed: at most one account and one authorisation."""

    state: State | None = None
    authorisation: AuthorisationState | None = None


def apply(book: Book, body: Body, seq: int) -> Effect:
    """Take the entry at `seq` in and give what it changed: the one way of the writer, the rebuild and the audit.

    What `decide` gave never raises. What no `decide` would have given raises `Invalid`: to an auditor, a finding.
    """
    effect = _effect(book, body, seq)
    if effect.state is not None:
        book.accounts[effect.state.account] = effect.state
    if effect.authorisation is not None:
        book.authorisations[effect.authorisation.key] = effect.authorisation
    return effect


def _effect(book: Book, body: Body, seq: int) -> Effect:
    if isinstance(body, JournalLine):
        return Effect(_moved(book, body.account, posted=body.amount.minor))
    if isinstance(body, Authorisation):
        return _authorised(book, body, seq)
    if isinstance(body, Presentment):
        return _cleared(book, body)
    if isinstance(body, Opening):
        if body.account in book.accounts:
            raise Invalid("account", f"{body.account.owner} in {body.account.currency} is open already")
        return Effect(State(body.account, 0, 0))
    return Effect()


def _authorised(book: Book, body: Authorisation, seq: int) -> Effect:
    key = AuthorisationKey(body.scheme, body.transaction_id)
    if key in book.authorisations:
        raise Invalid("transaction_id", f"{body.transaction_id} of {body.scheme} is authorised twice")
    after = authorisation_opened(body, seq)
    if after.status == DECLINED:
        return Effect(None, after)
    return Effect(_moved(book, AccountId(card(body.card_id), after.currency), held=after.held), after)


def authorisation_opened(body: Authorisation, seq: int) -> AuthorisationState:
    """Where an authorisation stands by its own entry."""
    key = AuthorisationKey(body.scheme, body.transaction_id)
    status = PENDING if body.decision == "approved" else DECLINED
    return AuthorisationState(key, seq, status, body.card_id, body.billing.currency, body.hold_change.minor)


def authorisation_cleared(before: AuthorisationState) -> AuthorisationState:
    """Where an authorisation stands after its presentment: the hold is used up or released."""
    return replace(before, status=CLEARED, held=0)


def _cleared(book: Book, body: Presentment) -> Effect:
    key = AuthorisationKey(body.scheme, body.transaction_id)
    before = book.authorisations.get(key)
    if before is None or before.status != PENDING or before.held != -body.hold_change.minor:
        raise Invalid("hold_change", "releases a hold that is not there")
    account = AccountId(card(before.card_id), before.currency)
    return Effect(_moved(book, account, held=body.hold_change.minor), authorisation_cleared(before))


def _moved(book: Book, account: AccountId, *, posted: int = 0, held: int = 0) -> State:
    """What an account would stand at after the change; raises `Invalid` where it can not be that."""
    before = book.accounts.get(account)
    if before is None:
        raise Invalid("account", f"{account.owner} has no account in {account.currency}")
    return State(account, before.posted + posted, before.held + held)
