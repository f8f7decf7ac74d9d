"""Step 10 of webhooks, and the forms of entries: what may be there once, and what may not come back."""

from collections import defaultdict

from signed_ledger.records import CardTransaction


class Events:
    """Every webhook so far, and the oldest and newest form that a transaction had."""

    def __init__(self) -> None:
        self.webhooks: dict[str, dict[str, int]] = defaultdict(dict)  # by Scheme and id the seq of the first
        self.form = 1
        self.oldest_form = 2

    def recorded_before(self, seq: int, body: CardTransaction) -> int | None:
        """The seq of another entry that answered the same webhook."""
        assert body.webhook_id is not None
        first = self.webhooks[body.scheme].setdefault(body.webhook_id, seq)
        return None if first == seq else first

    def is_outdated(self, body: CardTransaction) -> bool:
        """The first form says less; once an entry has said more, none may say less again."""
        is_outdated = body.form < self.form
        self.form, self.oldest_form = max(self.form, body.form), min(self.oldest_form, body.form)
        return is_outdated
