"""What the ledger is asked to decide. A load is asked for by the very body that records it."""

from typing import NamedTuple, TypeAlias

from signed_ledger.records import Authorisation, AuthorisationRequest, EntryRef, Load, PresentmentRequest


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


Command: TypeAlias = Authorise | Present | Load
