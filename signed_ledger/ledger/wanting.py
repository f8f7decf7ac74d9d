"""What may be in a group together, and what must be known of the store before it can be decided."""

from collections.abc import Iterable

from signed_ledger.ledger.submissions import ChangeRegistry, Keep, Settling, Submission, Webhook
from signed_ledger.records import History, KeyChange, RootChange
from signed_ledger.rules import Asked, Erase
from signed_ledger.store import Wanted

NOBODY, KEY_CHANGES, ANYBODY = "nobody", "key changes", "anybody"


def wanted_by(submissions: Iterable[Submission]) -> Wanted:
    """What the store is asked for first: what submissions name outright."""
    wanted = Wanted()
    for submission in submissions:
        if isinstance(submission, Webhook):
            wanted.webhooks.append(submission.id)
        command = submission.asked if isinstance(submission, Webhook) else submission
        if isinstance(command, Asked):
            wanted.authorisations.append(command.key)
            if command.posting_key is not None:
                wanted.postings.append(command.posting_key)
        elif isinstance(command, Keep):
            wanted.kept.append(command.seq)
        elif isinstance(command, Settling):
            wanted.settlements.append((command.command.scheme, command.known))
    return wanted


def names_of(wanted: Wanted) -> list[object]:
    """What is wanted that a group may change. A webhook that is in flight is not asked for again."""
    return [*wanted.authorisations, *wanted.postings, *wanted.accounts, *wanted.cards]


def history_of(submission: Submission) -> History | None:
    """The history that a key change names, which must be this ledger's."""
    return submission.history if isinstance(submission, KeyChange | RootChange) else None


def company_of(submission: Submission) -> str:
    """With what else it may share a group."""
    if isinstance(submission, Webhook):
        return ANYBODY
    if isinstance(submission, Settling | Erase):
        return NOBODY
    return KEY_CHANGES if isinstance(submission, ChangeRegistry) else ANYBODY
