"""What the ledger is asked to decide."""

from typing import NamedTuple, TypeAlias

from signed_ledger.money import Money
from signed_ledger.records import Authorisation, AuthorisationRequest, EntryRef, PresentmentRequest


class Authorise(NamedTuple):
    """A Scheme asks whether a card may spend."""

    scheme: str
    webhook_id: str
    request: AuthorisationRequest


class Authorised(NamedTuple):
    """An authorisation as its entry says, read back from the store and verified."""

    ref: EntryRef
    body: Authorisation


class Present(NamedTuple):
    """A Scheme says that the money moved. `authorised` is `None` where no authorisation has the transaction id."""

    scheme: str
    webhook_id: str
    request: PresentmentRequest
    authorised: Authorised | None


class LoadCard(NamedTuple):
    """The Issuer puts money on a card."""

    transaction_id: str
    card_id: str
    billing: Money


Command: TypeAlias = Authorise | Present | LoadCard
