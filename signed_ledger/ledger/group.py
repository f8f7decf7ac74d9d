"""One group: what waits is decided, applied, chained and signed, in order, in memory. No I/O but a new key's file."""

from collections.abc import Callable, Iterable

import structlog

from signed_ledger.errors import IntegrityViolation, Invalid, KeyRevoked, Refusal, WebhookIdReused
from signed_ledger.keyring import Keyring
from signed_ledger.ledger.following import Head
from signed_ledger.ledger.submissions import Answer, Look, Submission, Webhook
from signed_ledger.ledger.verified import verified_account, verified_authorisation, verified_transaction
from signed_ledger.merkle import leaf_hash
from signed_ledger.records import (
    AccountId,
    AuthorisationKey,
    Body,
    Evidence,
    KeyChange,
    Load,
    State,
    Transaction,
)
from signed_ledger.rules import (
    Authorise,
    Authorised,
    Book,
    Command,
    Present,
    accounts_for,
    apply,
    decide,
)
from signed_ledger.sealing import Place, Sealed, seal
from signed_ledger.signing import Signer
from signed_ledger.store import Found, Row, StoredEntry, derived_rows, ledger_rows

log = structlog.get_logger("signed_ledger.ledger")


class Deferred(Exception):
    """A presentment of an authorisation in this very group: it waits until that one can be read back from the store."""


class Group:
    """The working set of one commit: filled by `learn`, then asked to `settle` each submission in turn."""

    def __init__(
        self,
        *,
        head: Head,
        keyring: Keyring,
        known_accounts: dict[AccountId, State],
        now: int,
        load_signer: Callable[[bytes], Signer],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.head = head
        self.rows: list[tuple[str, Row]] = []
        self.violations = 0
        self.book = Book()
        self._known_accounts = known_accounts
        self._asked: set[AccountId] = set()
        self._keyring = keyring
        self._now = now
        self._load_signer = load_signer
        self._random_bytes = random_bytes
        self._webhooks: dict[tuple[str, str], StoredEntry] = {}
        self._authorised: dict[AuthorisationKey, Authorised] = {}
        self._untrusted: dict[AuthorisationKey | AccountId, Exception] = {}

    # --- what is known ---------------------------------------------------------------------------------------------

    def learn(self, found: Found, asked: Iterable[AccountId]) -> None:
        """Take in what the store has, each row verified against its entry; what is not so decides nothing."""
        self._asked.update(asked)
        self._webhooks.update(found.webhooks)
        for key, row in found.authorisations.items():
            try:
                self.book.authorisations[key], self._authorised[key] = verified_authorisation(row, self._keyring)
            except (Invalid, Refusal) as error:
                self._distrust(key, error, row.own.seq)
        for account, balance in found.accounts.items():
            try:
                self.book.accounts[account] = verified_account(account, balance, self._keyring)
            except Invalid as error:
                self._distrust(account, error, balance.entry.seq)

    def unknown_accounts(self, submissions: Iterable[Submission]) -> list[AccountId]:
        """The accounts that these need and that neither an earlier group nor the store's answer to this one told of."""
        named = [account for submission in submissions for account in self._accounts_of(submission)]
        for account in named:
            if account in self._known_accounts:
                self.book.accounts.setdefault(account, self._known_accounts[account])
        return [account for account in dict.fromkeys(named) if self._is_unknown(account)]

    def _accounts_of(self, submission: Submission) -> list[AccountId]:
        command = self._command(submission)
        return [] if command is None else accounts_for(self.book, command)

    def _is_unknown(self, account: AccountId) -> bool:
        return account not in self.book.accounts and account not in self._asked

    def _distrust(self, name: AuthorisationKey | AccountId, error: Exception, seq: int) -> None:
        self._untrusted[name] = error
        self._alarm(seq, error)

    def _alarm(self, seq: int, error: Exception) -> None:
        self.violations += 1
        log.error("integrity_violation", seq=seq, reason=str(error))

    # --- deciding --------------------------------------------------------------------------------------------------

    def settle(self, submission: Submission) -> Answer | None:
        """Decide, apply and seal; the answer counts once the group is on disk. Raises `Refusal` or `Deferred`."""
        if isinstance(submission, Look):
            return None
        if isinstance(submission, KeyChange):
            return self._change_key(submission)
        if isinstance(submission, Webhook):
            self._check_key(submission)
            if submission.id in self._webhooks:
                return self._replay(submission)
            if isinstance(command := self._command(submission), Present) and self._is_fresh(submission):
                raise Deferred
        command = self._command(submission)
        assert command is not None
        self._check_trusted(submission, command)
        evidence = submission.evidence if isinstance(submission, Webhook) else None
        return self._record(decide(self.book, command, self._next_seq), evidence)

    @property
    def _next_seq(self) -> int:
        return self.head.seq + 1

    def _command(self, submission: Submission) -> Command | None:
        if isinstance(submission, Load):
            return submission
        if not isinstance(submission, Webhook):
            return None
        scheme, webhook_id, request, _ = submission
        if submission.type == "authorisation":
            return Authorise(scheme, webhook_id, request)  # type: ignore[arg-type]
        return Present(scheme, webhook_id, request, self._authorised.get(submission.authorisation_key))  # type: ignore[arg-type]

    def _check_key(self, webhook: Webhook) -> None:
        """The key was valid when the request came in; it must be still where its evidence will stand."""
        key = self._keyring.find(webhook.evidence.kid)
        if key is None or not key.is_valid_at(self._next_seq):
            raise KeyRevoked(
                "The key that signed this is no longer valid: sign with its successor.", field="signature-input"
            )

    def _replay(self, webhook: Webhook) -> Answer:
        """The first answer again, from the store and verified like all that is told; or `WebhookIdReused`."""
        stored = self._webhooks[webhook.id]
        try:
            first = verified_transaction(stored, self._keyring)
            if (first.body.scheme, first.body.webhook_id) != webhook.id:
                raise Invalid("webhooks", f"names entry {stored.seq}, which answered another webhook")
        except (Invalid, Refusal) as error:
            self._alarm(stored.seq, error)
            raise _violation() from error
        if not webhook.is_same_as(first.body.TYPE, first.evidence):
            raise reused(webhook)
        assert stored.note is not None
        assert stored.parts.body is not None
        return Answer(stored.seq, first.body, stored.note, stored.parts.body, replayed=True)

    def _is_fresh(self, webhook: Webhook) -> bool:
        key = webhook.authorisation_key
        return key in self.book.authorisations and key not in self._authorised

    def _check_trusted(self, submission: Submission, command: Command) -> None:
        names: list[AuthorisationKey | AccountId] = [*accounts_for(self.book, command)]
        if isinstance(submission, Webhook):
            names.append(submission.authorisation_key)
        for name in names:
            if name in self._untrusted:
                raise _violation() from self._untrusted[name]

    def _change_key(self, change: KeyChange) -> Answer:
        self._keyring.check(change)
        answer = self._record([change], None)
        self._keyring.apply(change, answer.seq)
        return answer

    # --- from here on it must succeed ------------------------------------------------------------------------------

    def _record(self, bodies: list[Body], evidence: Evidence | None) -> Answer:
        """Apply, chain and sign; gives the answer that the transaction (or key change) among `bodies` is."""
        answer = None
        for body in bodies:
            decides = isinstance(body, Transaction | KeyChange)
            sealed = self._append(body, evidence if decides else None)
            if decides:
                assert sealed.parts.body is not None
                answer = Answer(sealed.ref.seq, body, sealed.note, sealed.parts.body)  # type: ignore[arg-type]
        assert answer is not None
        return answer

    def _append(self, body: Body, evidence: Evidence | None) -> Sealed:
        effect = apply(self.book, body, self._next_seq)
        seq, prev = self._next_seq, leaf_hash(self.head.note)
        place = Place(self._keyring.origin, seq, prev, max(self._now, self.head.time))
        sealed = seal(
            place,
            body,
            state=effect.state,
            evidence=evidence,
            signer=self._load_signer(self._keyring.entry_key_at(seq)),
            random_bytes=self._random_bytes,
        )
        self.rows += ledger_rows(seq, sealed.note, sealed.parts)
        self.rows += derived_rows(seq, body, effect.state, effect.authorisation)
        self.head = Head(seq, sealed.note, place.time)
        return sealed


def reused(webhook: Webhook) -> WebhookIdReused:
    return WebhookIdReused(f"Webhook id {webhook.webhook_id} came before with another body.", field="webhook-id")


def _violation() -> IntegrityViolation:
    return IntegrityViolation("What is stored about this does not verify. No money was moved; the operator is alarmed.")
