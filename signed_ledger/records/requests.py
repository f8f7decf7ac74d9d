"""What a Scheme asks, decoded."""

from dataclasses import dataclass

from signed_ledger.countries import ALPHA_2
from signed_ledger.errors import Invalid
from signed_ledger.money import Money
from signed_ledger.records.names import CONTROL, MCC, NAME, check_asked, check_matches


@dataclass(frozen=True, slots=True)
class AuthorisationRequest:
    """May this card spend this? `merchant_country` as sent, alpha-2 or alpha-3."""

    transaction_id: str
    card_id: str
    merchant_name: str
    merchant_country: str
    merchant_mcc: str
    billing: Money
    transaction: Money

    def __post_init__(self) -> None:
        check_matches(NAME, self.transaction_id, "transaction_id", "1 to 64 of A-Za-z0-9._-")
        check_matches(NAME, self.card_id, "card_id", "1 to 64 of A-Za-z0-9._-")
        check_merchant(self.merchant_name, self.merchant_country, self.merchant_mcc)
        check_asked(self.billing, "billing")
        check_asked(self.transaction, "transaction")


@dataclass(frozen=True, slots=True)
class PresentmentRequest:
    """Move the money. What is `None` was not given; `billing` then is the open hold."""

    transaction_id: str
    settlement: Money
    card_id: str | None = None
    merchant_name: str | None = None
    merchant_country: str | None = None
    merchant_mcc: str | None = None
    billing: Money | None = None
    transaction: Money | None = None
    presentment_id: str | None = None

    def __post_init__(self) -> None:
        check_matches(NAME, self.transaction_id, "transaction_id", "1 to 64 of A-Za-z0-9._-")
        if self.card_id is not None:
            check_matches(NAME, self.card_id, "card_id", "1 to 64 of A-Za-z0-9._-")
        if self.presentment_id is not None:
            check_matches(NAME, self.presentment_id, "presentment_id", "1 to 64 of A-Za-z0-9._-")
        check_merchant(self.merchant_name, self.merchant_country, self.merchant_mcc)
        check_asked(self.settlement, "settlement")
        check_asked(self.billing, "billing")
        check_asked(self.transaction, "transaction")


def check_merchant(name: str | None, country: str | None, mcc: str | None) -> None:
    """Refuse what can not be a merchant's name, ISO 3166-1 country or ISO 18245 category; `None` is not given."""
    if name is not None and (not isinstance(name, str) or not 1 <= len(name) <= 100 or CONTROL.search(name)):
        raise Invalid("merchant_name", "must be 1 to 100 characters, none of them control characters")
    if country is not None and (not isinstance(country, str) or country not in ALPHA_2):
        raise Invalid("merchant_country", "must be a country of ISO 3166-1, alpha-2 or alpha-3")
    if mcc is not None:
        check_matches(MCC, mcc, "merchant_mcc", "4 digits")
