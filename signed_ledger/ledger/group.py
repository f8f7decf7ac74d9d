"""One group: what waits is decided, applied, chained and signed, in order, in memory. No I/O but a new key's file."""

from collections.abc import Callable

import structlog

from signed_ledger.errors import (
    IntegrityViolation,
    Invalid,
    KeyChangeRefused,
    KeyRevoked,
    Overloaded,
    Refusal,
    StateConflict,
    WebhookIdReused,
)
from signed_ledger.ledger.erasing import planned
from signed_ledger.ledger.following import Head
from signed_ledger.ledger.known import Known
from signed_ledger.ledger.learning import Learned, settlement_of
from signed_ledger.ledger.submissions import Answer, Attest, ChangeRegistry, Keep, Look, Settling, Submission, Webhook
from signed_ledger.ledger.verified import verified_transaction
from signed_ledger.ledger.wanting import history_of
from signed_ledger.merkle import leaf_hash
from signed_ledger.records import (
    MESSAGES,
    AccountId,
    Attestation,
    Body,
    Erasure,
    Evidence,
    JournalLine,
    Opening,
    RegistryChange,
    Terms,
    card,
)
from signed_ledger.rules import Asked, Command, Erase, Slot, accounts_for, apply, cards_for, decide
from signed_ledger.sealing import Place, Sealed, seal
from signed_ledger.signing import Signer
from signed_ledger.store import Found, FoundErasing, Row, Wanted
from signed_ledger.tables import derived_rows, ledger_rows, tile_rows

log = structlog.get_logger("signed_ledger.ledger")


class Deferred(Exception):
    """About a transaction that began in this very group: it waits until that entry can be read back from the store."""


class Group:
    """The working set of one commit: filled by `learn`, then asked to `settle` each submission in turn."""

    def __init__(
        self,
        *,
        head: Head,
        known: Known,
        now: int,
        load_signer: Callable[[bytes], Signer],
        random_bytes: Callable[[int], bytes],
        roots: dict[int, bytes],
    ) -> None:
        """`roots` has, by size, the tree hashes of the histories that key changes name."""
        self.head = head
        self.rows: list[tuple[str, Row]] = []
        self.erasures: list[Erasure] = []
        self.erasing: FoundErasing | None = None  # what is of the card that is to be erased
        self.terms_seq = known.terms_seq
        self._roots = roots
        self._learned = Learned(known)
        self.book = self._learned.book
        self.tree = known.tree.copy()
        self._prev = leaf_hash(head.note)
        self._keyring = known.keyring
        self._awaits_entry_key = known.keyring.awaited == "entry"  # key changes are in groups of their own
        self._now = now
        self._load_signer = load_signer
        self._random_bytes = random_bytes

    @property
    def violations(self) -> int:
        """How many stored things did not verify."""
        return self._learned.violations

    def trust(self, submissions: list[Submission]) -> None:
        """Take in what was vouched for, under this very registry."""
        for submission in submissions:
            if isinstance(submission, Webhook) and submission.vouched is not None:
                registry, digests = submission.vouched
                if registry == self._keyring.history[-1]:
                    self._learned.vouched.update(digests)

    def learn(self, found: Found) -> None:
        """Take in what the store has; what does not verify decides nothing."""
        self._learned.take(found)

    def unknown(self, submissions: list[Submission]) -> Wanted | None:
        """What these need besides, and neither an earlier group nor the store's answer to this one told of."""
        for submission in submissions:
            if isinstance(submission, Settling):
                self.book.add_unsettled(submission.command.scheme, submission.sums)
        commands = [command for submission in submissions if (command := self._command(submission)) is not None]
        return self._learned.unknown(
            [account for command in commands for account in accounts_for(self.book, command)],
            [card_id for command in commands for card_id in cards_for(self.book, command)],
        )

    # --- deciding --------------------------------------------------------------------------------------------------

    def settle(self, submission: Submission) -> Answer | None:
        """Decide, apply and seal; the answer counts once the group is on disk. Raises `Refusal` or `Deferred`."""
        if not isinstance(submission, Webhook):  # most are
            if isinstance(submission, Look):
                return None
            if isinstance(submission, Keep):
                self._keep(submission)
                return None
            if isinstance(submission, ChangeRegistry):
                return self._change_registry(submission)
        if self._awaits_entry_key:
            raise Overloaded("The entry key is revoked and not yet replaced; nothing was decided.")
        if isinstance(submission, Webhook):
            self._check_key(submission)
            if submission.id in self._learned.webhooks:
                return self._replay(submission)
        elif isinstance(submission, Erase):
            return self._erase(submission)
        elif isinstance(submission, Settling):
            self._check_since(submission)
        command = self._command(submission)
        assert command is not None
        if isinstance(command, Asked) and self._is_fresh(command):
            raise Deferred
        self._check_trusted(command)
        if isinstance(command, Asked):
            self._check_held(command)
        evidence = submission.evidence if isinstance(submission, Webhook) else None
        return self._record(decide(self.book, command, Slot(self._next_seq, self._time)), evidence)

    @property
    def _next_seq(self) -> int:
        return self.head.seq + 1

    @property
    def _time(self) -> int:
        """Entries' time never goes back."""
        return max(self._now, self.head.time)

    def _command(self, submission: Submission) -> Command | None:
        """The command that a submission is, once the store was asked for what it names outright."""
        if isinstance(submission, Webhook):
            command: Command = submission.asked
        elif isinstance(submission, Look | Keep | ChangeRegistry | Erase):
            return None
        else:
            command = submission.command if isinstance(submission, Settling) else submission
        if isinstance(command, Asked):
            return command._replace(authorised=self._learned.authorised.get(command.key))
        return command

    def _check_key(self, webhook: Webhook) -> None:
        """The key was valid when the request came in; it must be still where its evidence will stand."""
        key = self._keyring.find(webhook.evidence.kid)
        owner = ("scheme", webhook.scheme)
        if key is None or (key.role, key.whose) != owner or not key.is_valid_at(self._next_seq):
            raise KeyRevoked(
                "The key that signed this is no longer valid: sign with its successor.", field="signature-input"
            )

    def _replay(self, webhook: Webhook) -> Answer:
        """The first answer again, from the store and verified like all that is told; or `WebhookIdReused`."""
        stored = self._learned.webhooks[webhook.id]
        try:
            first = verified_transaction(stored, self._keyring)
            if (first.body.scheme, first.body.webhook_id) != webhook.id:
                raise Invalid("webhooks", f"names entry {stored.seq}, which answered another webhook")
        except (Invalid, Refusal) as error:
            self._learned.alarm(stored.seq, error)
            raise _violation() from error
        assert first.evidence is not None
        if not webhook.is_same_as(first.body.type, first.evidence):
            raise reused(webhook)
        assert stored.note is not None
        assert stored.parts.body is not None
        return Answer(stored.seq, first.body, stored.note, stored.parts.body, replayed=True)

    def _is_fresh(self, command: Asked) -> bool:
        if MESSAGES[command.request.type].must_begin:
            return False  # refused whatever that entry says
        return command.key in self.book.authorisations and command.key not in self._learned.authorised

    def _check_trusted(self, command: Command) -> None:
        if not isinstance(command, Terms) and not self._keyring.is_trusted(self.terms_seq):
            self._learned.alarm(self.terms_seq, error := Invalid("terms", "are by a revoked key, and not signed again"))
            raise _violation() from error
        if not self._learned.untrusted:
            return
        names: list[object] = [*accounts_for(self.book, command), *cards_for(self.book, command)]
        if isinstance(command, Asked):
            names += [command.key, command.posting_key]
        for name in names:
            if name in self._learned.untrusted:
                raise _violation() from self._learned.untrusted[name]

    def _check_held(self, command: Asked) -> None:
        """What an open transaction holds, its card's account must hold: a row that is gone would tell of less."""
        state = self.book.authorisations.get(command.key)
        if state is None or state.totals is None:
            return
        account = self.book.accounts.get(AccountId(card(state.card_id), state.currency))
        if account is None or account.held < state.held:
            error = Invalid("account_states", f"has less for {state.card_id} than {command.key.transaction_id} holds")
            self._learned.alarm(state.seq, error)
            raise _violation() from error

    def _check_since(self, settling: Settling) -> None:
        name = settlement_of(settling.command.scheme)
        if name in self._learned.untrusted:
            raise _violation() from self._learned.untrusted[name]
        if self._learned.settled_at.get(settling.command.scheme, -1) != settling.since:
            raise StateConflict("Another settlement came between: nothing was settled, run it again.", field="date")
        if settling.version not in (None, self._keyring.version):
            raise StateConflict("A key changed meanwhile: nothing was settled, run it again.", field="keys")

    def _change_registry(self, asked: ChangeRegistry) -> Answer:
        change: RegistryChange = Attestation(*asked, self.tree.root()) if isinstance(asked, Attest) else asked
        self._keyring.check(change, self._next_seq)
        history = None if isinstance(change, Attestation) else history_of(change)
        if history is not None and self._roots.get(history.size) != history.root:
            raise KeyChangeRefused(f"the tree of {history.size} entries has another root here", field="root")
        answer = self._record([change], None)
        self._keyring.apply(change, answer.seq)
        return answer

    def _keep(self, keep: Keep) -> None:
        """Nothing is entered: rows of what was published join those of the group."""
        for table, row in keep.rows:
            name = (keep.seq, "" if table == "checkpoints" else row[1])
            if name not in self._learned.kept:
                self._learned.kept.add(name)
                self.rows.append((table, row))

    def _erase(self, command: Erase) -> Answer:
        assert self.erasing is not None
        try:
            self.erasures = planned(self.erasing, self._keyring, command).erasures
        except IntegrityViolation as violation:
            self._learned.alarm(self.head.seq, violation)
            raise
        return self._record([*self.erasures], None)._replace(erasures=tuple(self.erasures))

    # --- from here on it must succeed ------------------------------------------------------------------------------

    def _record(self, bodies: list[Body], evidence: Evidence | None) -> Answer:
        """Apply, chain and sign; gives the answer that the one among `bodies` is which the others come along with."""
        answer = None
        for body in bodies:
            answers = not isinstance(body, Opening | JournalLine)
            sealed = self._append(body, evidence if answers else None)
            if answers:
                assert sealed.parts.body is not None
                answer = Answer(sealed.ref.seq, body, sealed.note, sealed.parts.body)  # type: ignore[arg-type]
        assert answer is not None
        return answer

    def _append(self, body: Body, evidence: Evidence | None) -> Sealed:
        effect = apply(self.book, body, self._next_seq)
        seq = self._next_seq
        place = Place(self._keyring.origin, seq, self._prev, self._time)
        sealed = seal(
            place,
            body,
            state=effect.state,
            evidence=evidence,
            signer=self._load_signer(self._keyring.entry_key_at(seq)),
            random_bytes=self._random_bytes,
        )
        self.rows += ledger_rows(seq, sealed.note, sealed.parts)
        self.rows += derived_rows(seq, body, effect)
        self.rows += tile_rows(seq, self.tree.append(sealed.ref.leaf))
        self._prev = sealed.ref.leaf
        if isinstance(body, Terms):
            self.terms_seq = seq
        self.head = Head(seq, sealed.note, place.time)
        return sealed


def reused(webhook: Webhook) -> WebhookIdReused:
    return WebhookIdReused(f"Webhook id {webhook.webhook_id} came before with another body.", field="webhook-id")


def _violation() -> IntegrityViolation:
    return IntegrityViolation("What is stored about this does not verify. No money was moved; the operator is alarmed.")
