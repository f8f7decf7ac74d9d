"""What must be known of the store before a group can be decided."""

from collections.abc import Iterable

from signed_ledger.ledger.submissions import Keep, Settling, Submission, Webhook
from signed_ledger.records import History, KeyChange, RootChange
from signed_ledger.rules import Asked
from signed_ledger.store import Wanted


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


def history_of(submission: Submission) -> History | None:
    """The history that a key change names, which must be this ledger's."""
    return submission.history if isinstance(submission, KeyChange | RootChange) else None
