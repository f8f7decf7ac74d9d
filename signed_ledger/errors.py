"""Every error of this project, in three kinds that are never mixed.

`Invalid`  outside data that is not what it must be; it names the field. Who reads it decides what follows:
           a caller's body becomes a refusal, a stored byte an integrity violation, an audited one a finding.
`Refusal`  is told to one caller: code, status and whether a retry helps (API.md's table, in its order).
`Fault`    the state is unknown: the writer stops, the process exits, start-up reads the truth.
"""

from typing import ClassVar, Final


class SignedLedgerError(Exception):
    """The root of the tree."""


class Invalid(SignedLedgerError, ValueError):
    """Outside data that breaks a rule of its format. `field` names where."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


class Fault(SignedLedgerError):
    """The ledger cannot go on: nothing more is written, waiters are told 500, the process exits."""


class Busy(SignedLedgerError):
    """Another writer held the ledger for too long; nothing was decided or written."""


class Refusal(SignedLedgerError):
    """A request that is answered with a problem document and changes nothing."""

    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]
    retryable: ClassVar[bool] = False
    response_code: ClassVar[str] = "05"
    """What ISO 8583 calls it (DE 39): docs/API.md has the table."""

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


class TooLarge(Refusal):
    code, status, title = "too_large", 413, "The request is larger than the limit"


class UnsupportedMediaType(Refusal):
    code, status, title = "unsupported_media_type", 415, "The body is not application/json"


class MethodNotAllowed(Refusal):
    code, status, title = "method_not_allowed", 405, "The path does not take this method"


class NotFound(Refusal):
    code, status, title = "not_found", 404, "There is no such path"


class RequestTimeout(Refusal):
    code, status, title = "request_timeout", 408, "The body did not arrive in time"
    retryable = True


class SignatureMissing(Refusal):
    code, status, title = "signature_missing", 401, "The request carries no signature for this ledger"
    response_code = "63"


class SignatureInvalid(Refusal):
    code, status, title = "signature_invalid", 401, "The signature is malformed, incomplete or does not verify"
    response_code = "63"


class KeyUnknown(Refusal):
    code, status, title = "key_unknown", 401, "No key of this kid is registered for this use"
    response_code = "63"


class KeyRevoked(Refusal):
    code, status, title = "key_revoked", 401, "The key is no longer valid"
    response_code = "63"


class SignatureExpired(Refusal):
    code, status, title = "signature_expired", 401, "The signature is not fresh"
    response_code = "63"


class AuthorityUnknown(Refusal):
    code, status, title = "authority_unknown", 401, "The signature is for another host"
    response_code = "63"


class RoleNotAllowed(Refusal):
    code, status, title = "role_not_allowed", 403, "The key's role does not allow this"
    response_code = "57"


class Malformed(Refusal):
    code, status, title = "malformed", 400, "The request is not what the API says"


class WebhookIdReused(Refusal):
    code, status, title = "webhook_id_reused", 409, "This webhook id came before with another body"
    response_code = "94"


class TransactionExists(Refusal):
    code, status, title = "transaction_exists", 409, "This transaction was already authorised"
    response_code = "94"


class AuthorisationNotFound(Refusal):
    """Retryable: a presentment may overtake its authorisation on the way."""

    code, status, title = "authorisation_not_found", 404, "No authorisation has this transaction id"
    response_code = "84"
    retryable = True


class StateConflict(Refusal):
    code, status, title = "state_conflict", 409, "The transaction no longer admits this"
    response_code = "84"


class CardNotFound(Refusal):
    """To readers, and to what names no authorisation: one for an unknown card is a recorded decline, not a refusal."""

    code, status, title = "card_not_found", 404, "The card has no account here"
    response_code = "14"


class TransactionNotFound(Refusal):
    code, status, title = "transaction_not_found", 404, "No transaction has this id"


class EntryNotFound(Refusal):
    code, status, title = "entry_not_found", 404, "The ledger has no entry of this seq"


class KeyChangeRefused(Refusal):
    """A key entry that the registry does not admit: told to the operator who asked for it."""

    code, status, title = "key_change_refused", 409, "The key registry does not admit this change"


class IntegrityViolation(Refusal):
    code, status, title = "integrity_violation", 500, "What is stored does not verify; no money was moved"
    response_code = "96"


class InternalError(Refusal):
    code, status, title = "internal_error", 500, "The service failed; whether this was recorded is unknown"
    response_code = "96"
    retryable = True


QUEUE_FULL: Final = "The queue is full; nothing was decided."


class Overloaded(Refusal):
    code, status, title = "overloaded", 503, "The service can not take this now; nothing was decided"
    response_code = "91"
    retryable = True
