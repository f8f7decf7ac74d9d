"""What the terms say of one transaction. Shares are rounded down, in millionths of a minor unit where it is a fee."""

from signed_ledger.money import Fee, Money
from signed_ledger.records import Request, Terms
from signed_ledger.rules.commands import Asked


def window_days(terms: Terms, scheme: str, about: Request) -> int:
    """For how many days the hold of an authorisation lasts."""
    for window in terms.windows:
        if window.scope.applies(scheme, about.authorisation_kind, about.merchant_mcc):
            return window.days
    return terms.window_days


def tolerated(terms: Terms, scheme: str, about: Request, authorised: Money) -> int:
    """By how many minor units clearings may exceed what was authorised."""
    for rule in terms.tolerances:
        if rule.scope.applies(scheme, about.authorisation_kind, about.merchant_mcc):
            share = authorised.minor * rule.millionths // 1_000_000
            least = rule.at_least
            return max(share, least.minor) if least and least.currency == authorised.currency else share
    return 0


def interchange_of(terms: Terms, command: Asked, about: Request) -> Fee | None:
    """The interchange of a clearing or refund: what the Scheme says or, exactly, what the rates give; else `None`."""
    settled = command.request.settlement
    assert settled is not None
    if command.request.interchange is not None:
        return command.request.interchange
    for rate in terms.fees:
        if rate.scope.applies(command.scheme, about.authorisation_kind, about.merchant_mcc):
            fixed = rate.fixed.minor if rate.fixed and rate.fixed.currency == settled.currency else 0
            return Fee(settled.minor * rate.millionths + Fee.of(fixed, settled.currency).micros, settled.currency)
    return None
