"""Every record there can be, for Hypothesis: the constructors accept all of these, and the decoders must."""

from typing import Any

from hypothesis import strategies as st

from signed_ledger.countries import ALPHA_2
from signed_ledger.money import BALANCE_MINOR_MAX, CURRENCY_NUMBERS, MINOR_DIGITS, WIRE_MINOR_MAX, Fee, Money
from signed_ledger.records import (
    MESSAGES,
    AccountId,
    Attestation,
    Body,
    CardChange,
    CardState,
    CardTransaction,
    EntryRef,
    Erasure,
    FeeRate,
    Genesis,
    History,
    Iso8583,
    JournalLine,
    KeyChange,
    Load,
    Message,
    Opening,
    Request,
    RootChange,
    Scope,
    SettledSum,
    Settlement,
    Terms,
    Tolerance,
    Totals,
    Window,
)
from signed_ledger.records.erasures import runs_of
from signed_ledger.records.messages import AUTHORISATION_KINDS, FLAGS
from signed_ledger.records.names import CARD_OPS, KEY_OPS, ORIGIN, PARTY_ROLES, SERVICE_ROLES
from signed_ledger.records.terms import DAYS_MAX, MILLIONTHS_MAX

SAFE_MAX = 2**53 - 1
naturals = st.integers(0, SAFE_MAX)
keys = st.binary(min_size=32, max_size=32)
salts = st.binary(min_size=16, max_size=16)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.text("AZaz09._-", min_size=1, max_size=64)
webhook_ids = st.text("AZaz09_-", min_size=1, max_size=128)
merchants = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=100)
origins = st.from_regex(ORIGIN, fullmatch=True).filter(lambda origin: len(origin) <= 200)
owners = st.one_of(st.just("issuer"), st.builds("{}:{}".format, st.sampled_from(["card", "scheme", "external"]), names))
currencies = st.sampled_from(["EUR", "JPY", "KWD", "CLF", *MINOR_DIGITS])
times = st.integers(0, 253_402_300_799_999_999)


def moneys(low: int = 0, high: int = WIRE_MINOR_MAX) -> st.SearchStrategy[Money]:
    return st.builds(Money, st.integers(low, high), currencies)


def amounts(currency: str, low: int, high: int) -> st.SearchStrategy[Money]:
    return st.builds(Money, st.integers(low, high), st.just(currency))


@st.composite
def geneses(draw: st.DrawFn) -> Genesis:
    *roots, entry, checkpoint = draw(st.lists(keys, min_size=3, max_size=6, unique=True))
    threshold = draw(st.integers(1, len(roots)))
    return Genesis(draw(origins), tuple(roots), threshold, entry, checkpoint, draw(texts))


histories = st.builds(History, naturals, keys)


@st.composite
def root_changes(draw: st.DrawFn) -> RootChange:
    root_keys = tuple(draw(st.lists(keys, min_size=1, max_size=5, unique=True)))
    threshold = draw(st.integers(1, len(root_keys)))
    return RootChange(root_keys, threshold, draw(naturals), draw(histories), draw(texts))


@st.composite
def key_changes(draw: st.DrawFn) -> KeyChange:
    role = draw(st.sampled_from(SERVICE_ROLES + PARTY_ROLES))
    whose = draw(names if role in PARTY_ROLES else origins)
    kid = draw(keys).hex()
    op = draw(st.sampled_from(KEY_OPS))
    is_revoked = op == "revoke"
    following = draw(st.none() | keys.map(bytes.hex)) if op == "add" and role in SERVICE_ROLES else None
    return KeyChange(
        *(op, role, kid, None if is_revoked else draw(keys), whose, draw(naturals), draw(texts)),
        next_kid=None if following == kid else following,
        history=draw(histories) if is_revoked else None,
    )


@st.composite
def attestations(draw: st.DrawFn) -> Attestation:
    first, last = sorted((draw(naturals), draw(naturals)))
    return Attestation(draw(keys).hex(), first, last, draw(keys))


mccs = st.from_regex(r"[0-9]{4}", fullmatch=True)
fields: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("transaction_id", "card_id", "presentment_id", "refund_id"), names),
    "merchant_name": merchants,
    "merchant_country": st.sampled_from(sorted(ALPHA_2)),
    "merchant_mcc": mccs,
    **dict.fromkeys(("billing", "transaction", "settlement"), moneys()),
    "authorisation_kind": st.sampled_from(AUTHORISATION_KINDS),
    **dict.fromkeys(("final", "force_post"), st.booleans()),
}
refs = st.builds(EntryRef, naturals, keys)
totals = st.builds(
    Totals,
    **dict.fromkeys(
        ("authorised", "incremented", "reversed", "expired", "cleared", "refunded"), st.integers(0, BALANCE_MINOR_MAX)
    ),
    clearings=naturals,
    final=st.booleans(),
)
flags = st.sets(st.sampled_from(FLAGS)).map(lambda some: tuple(flag for flag in FLAGS if flag in some))


@st.composite
def elements(draw: st.DrawFn, given: dict[str, Any]) -> Iso8583 | None:
    """Data elements whose currencies are those of the amounts beside them; `None` where none was drawn."""
    texts = (st.text("AZaz09 ", min_size=12, max_size=12), st.text("AZaz09 ", min_size=6, max_size=6))
    values: list[str | None] = [draw(st.none() | text) for text in texts]
    for name in ("transaction", "settlement", "billing"):
        money = given.get(name)
        number = st.from_regex(r"[0-9]{3}", fullmatch=True)
        values.append(draw(st.none() | (number if money is None else st.just(CURRENCY_NUMBERS[money.currency]))))
    return Iso8583(*values) if any(value is not None for value in values) else None


@st.composite
def requests(draw: st.DrawFn, message: Message) -> Request:
    """What a Scheme may send of a type: all that is required, and some of the rest."""
    given = {name: draw(fields[name]) for name in message.required}
    given |= {name: draw(fields[name]) for name in message.optional if name in fields and draw(st.booleans())}
    if "interchange" in message.optional and draw(st.booleans()):
        given["interchange"] = draw(fees(given["settlement"].currency))
    if "iso8583" in message.optional:
        given["iso8583"] = draw(elements(given))
    return Request(message.type, **given)


def fees(currency: str) -> st.SearchStrategy[Fee]:
    """Fees that a Scheme may send."""
    return st.builds(Fee, st.integers(0, (WIRE_MINOR_MAX + 1) * 10**6 - 1), st.just(currency))


@st.composite
def card_transactions(draw: st.DrawFn, message: Message) -> CardTransaction:
    request = draw(requests(message))
    filled: dict[str, Any] = {name: getattr(request, name) or draw(fields[name]) for name in ("card_id", "billing")}
    if "final" in message.optional:
        filled["final"] = draw(st.booleans())
    builds_on = draw(st.none() | refs)
    if message.type == "refund":
        own = draw(names)
        filled |= {"transaction_id": own} if builds_on else {"transaction_id": None, "refund_id": own}
    given = {name: getattr(request, name) for name in Request.__slots__} | filled
    given["iso8583"] = draw(elements(given)) if "iso8583" in message.optional else None
    reasons = ["ok", *message.declined_for]
    reason = draw(st.sampled_from(reasons))
    return CardTransaction(
        scheme=draw(names),
        webhook_id=draw(webhook_ids) if message.is_sent else None,
        request=Request(**given),
        decision=message.approving if reason == "ok" else "declined",
        reason=reason,
        hold_change=draw(amounts(given["billing"].currency, -BALANCE_MINOR_MAX, BALANCE_MINOR_MAX)),
        builds_on=builds_on,
        totals=draw(st.none() | totals),
        expires=draw(st.none() | times),
        window_days=draw(st.none() | naturals),
        flags=draw(flags),
    )


@st.composite
def first_authorisations(draw: st.DrawFn) -> CardTransaction:
    """As release 0.1 wrote them."""
    given = {name: draw(fields[name]) for name in MESSAGES["authorisation"].required}
    reason = draw(st.sampled_from(("ok", "insufficient_funds", "card_not_found")))
    return CardTransaction(
        scheme=draw(names),
        webhook_id=draw(webhook_ids),
        request=Request("authorisation", **given),
        decision="approved" if reason == "ok" else "declined",
        reason=reason,
        hold_change=given["billing"] if reason == "ok" else Money(0, given["billing"].currency),
        form=1,
    )


@st.composite
def first_presentments(draw: st.DrawFn) -> CardTransaction:
    """As release 0.1 wrote them."""
    given = {name: draw(fields[name]) for name in ("transaction_id", "card_id", "billing", "settlement")}
    given |= {name: draw(st.none() | fields[name]) for name in ("transaction", "presentment_id")}
    return CardTransaction(
        scheme=draw(names),
        webhook_id=draw(webhook_ids),
        request=Request("presentment", **given, final=True),
        decision="posted",
        reason="ok",
        hold_change=draw(amounts(given["billing"].currency, -BALANCE_MINOR_MAX, 0)),
        builds_on=draw(refs),
        form=1,
    )


# --- the Issuer's own ---


@st.composite
def settled_sums(draw: st.DrawFn, currency: str) -> SettledSum:
    gross, refunds = draw(st.integers(0, BALANCE_MINOR_MAX)), draw(st.integers(0, BALANCE_MINOR_MAX))
    owed = gross - refunds
    fees = draw(st.integers(max(-BALANCE_MINOR_MAX, -BALANCE_MINOR_MAX - owed), min(1, 1 - owed) + 10**15))
    net = owed + fees
    if abs(net) > BALANCE_MINOR_MAX:
        fees, net = -owed, 0
    return SettledSum(
        gross=Money(gross, currency),
        refunds=Money(refunds, currency),
        fees=Money(fees, currency),
        net=Money(net, currency),
        result=draw(amounts(currency, -BALANCE_MINOR_MAX, BALANCE_MINOR_MAX)),
        interchange=Fee(draw(st.integers(-(10**21), 10**21)), currency),
        count=draw(naturals),
        first_seq=draw(naturals),
        last_seq=draw(naturals),
    )


@st.composite
def settlements(draw: st.DrawFn) -> Settlement:
    some = draw(st.sets(currencies, max_size=4))
    return Settlement(
        scheme=draw(names),
        date=draw(st.dates()).isoformat(),
        day_ends=draw(times),
        is_complete=draw(st.booleans()),
        sums=tuple(draw(settled_sums(currency)) for currency in sorted(some)),
    )


categories = st.integers(0, 9999)
scopes = st.builds(
    Scope,
    st.none() | names,
    st.lists(st.sampled_from(AUTHORISATION_KINDS), max_size=3).map(tuple),
    st.lists(st.tuples(categories, categories).map(sorted).map(tuple), max_size=3).map(tuple),
)
days = st.integers(1, DAYS_MAX)
shares = st.integers(0, MILLIONTHS_MAX)
positive = st.none() | moneys()
terms = st.builds(
    Terms,
    days,
    st.lists(st.builds(Window, scopes, days), max_size=3).map(tuple),
    st.lists(st.builds(Tolerance, scopes, shares, positive), max_size=3).map(tuple),
    st.lists(st.builds(FeeRate, scopes, shares, positive), max_size=3).map(tuple),
)
reasons = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200)
card_changes = st.builds(
    CardChange, st.just("bind"), st.builds(CardState, names, names, st.booleans()), reasons
) | st.builds(
    CardChange,
    st.sampled_from([op for op in CARD_OPS if op != "bind"]),
    st.builds(CardState, names, st.none() | names, st.booleans()),
    reasons,
)


@st.composite
def journal_lines(draw: st.DrawFn) -> JournalLine:
    lines = draw(st.integers(1, SAFE_MAX))
    amount = draw(moneys(-BALANCE_MINOR_MAX, BALANCE_MINOR_MAX))
    return JournalLine(draw(naturals), draw(st.integers(1, lines)), lines, draw(owners), amount)


askers = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=200)
runs = st.sets(naturals, min_size=1).map(sorted).map(runs_of)
accounts = st.builds(AccountId, owners, currencies)
loads = st.builds(Load, names, names, moneys(1))
by_class: dict[str, st.SearchStrategy[Body]] = {
    "genesis": geneses(),
    "key": key_changes(),
    "root": root_changes(),
    "attest": attestations(),
    "account": st.builds(Opening, accounts),
    "card": card_changes,
    "terms": terms,
    "load": loads,
    "settlement": settlements(),
    "journal": journal_lines(),
    "erasure": st.builds(Erasure, asked_by=askers, why=askers, body=runs, state=runs, evidence=runs | st.just(())),
    **{name: card_transactions(message) for name, message in MESSAGES.items()},
    "an authorisation of the first form": first_authorisations(),
    "a presentment of the first form": first_presentments(),
}
bodies: st.SearchStrategy[Body] = st.one_of(*by_class.values())
