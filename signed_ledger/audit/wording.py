"""How the audit words what it found."""

from signed_ledger.money import format_minor
from signed_ledger.records import Body, CardChange, State, Transaction


def shown_state(state: State) -> str:
    currency = state.account.currency
    posted, held = format_minor(state.posted, currency), format_minor(state.held, currency)
    return f"{state.account.owner} {currency} at posted {posted}, held {held}"


def difference(recorded: Transaction | CardChange, given: Body) -> str:
    names = [name for name in recorded.__slots__ if getattr(recorded, name) != getattr(given, name, None)]
    told = [f"{name} is {getattr(recorded, name)}, the rules give {getattr(given, name, None)}" for name in names]
    return "not the decision that the rules give: " + "; ".join(told)
