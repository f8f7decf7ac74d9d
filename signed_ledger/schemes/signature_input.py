"""The signatures of a request that are for this ledger: which they are, and whether each covers enough.

They are the members of Signature-Input with our tag (RFC 9421 section 4.1), each with its member of Signature. Left to
the caller: the key, the time, and the values that are signed.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from signed_ledger.errors import Invalid, SignatureInvalid, SignatureMissing, TooLarge
from signed_ledger.records import HttpRequest
from signed_ledger.schemes.common import as_refusal
from signed_ledger.schemes.structured import (
    InnerList,
    parse_byte_sequences,
    parse_inner_lists,
    read_bytes,
    read_items,
    read_params,
)

TAG: Final = "signed-ledger"
SIGNED_FIELDS_BYTES_MAX: Final = 4096
"""The covered values, Signature-Input and Signature together: with the body, the evidence must fit one part."""
COMPONENTS_MAX: Final = 64
"""Each covered component stands in the evidence three times over: in the fields, the base and Signature-Input."""

_OUR_TAG: Final = re.compile(rf'; *+tag="{re.escape(TAG)}"')
_PARAM_NAMES: Final = frozenset({"created", "expires", "nonce", "alg", "keyid", "tag"})
_FIELD_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, slots=True)
class Coverage:
    """The components that a signature must cover at least, in the order of docs/API.md."""

    components: tuple[str, ...]


READING: Final = Coverage(("@method", "@authority", "@path", "@query"))
WEBHOOK: Final = Coverage((*READING.components, "content-type", "content-digest", "webhook-id"))


class OurSignature(NamedTuple):
    """One signature with our tag, well-formed; times in seconds. `params` is the text of its @signature-params."""

    components: tuple[str, ...]
    params: str
    created: int
    expires: int | None
    keyid: str
    signature: bytes = b""


class Inputs(NamedTuple):
    """What Signature-Input says: the labels of all members, and by label those with our tag, without a signature."""

    labels: frozenset[str]
    ours: dict[str, OurSignature]


def has_our_tag(request: HttpRequest) -> bool:
    """Whether Signature-Input looks as if it had a member with our tag; `find_ours` reads it."""
    return _OUR_TAG.search(request.fields.get("signature-input", "")) is not None


def find_ours(request: HttpRequest, coverage: Coverage) -> list[OurSignature]:
    """Read every signature with our tag, in the order of Signature-Input; at least one.

    Raises `SignatureMissing` if there is none, `TooLarge`, and `SignatureInvalid` if the fields are malformed, if any
    of ours breaks the profile of docs/API.md, or if one covers less than `coverage`.
    """
    inputs_text = _read_field(request, "signature-input")
    signatures_text = _read_field(request, "signature")
    check_size(len(inputs_text) + len(signatures_text))
    try:
        inputs = _read_inputs(inputs_text, coverage)
        signatures = parse_byte_sequences(signatures_text, "signature")
        if inputs.labels != signatures.keys():
            raise Invalid("signature", "must have the same labels as Signature-Input")
        return [
            ours._replace(signature=read_bytes(signatures[label], "signature")) for label, ours in inputs.ours.items()
        ]
    except Invalid as wrong:
        raise as_refusal(wrong) from wrong


@lru_cache(maxsize=256)
def _read_inputs(text: str, coverage: Coverage) -> Inputs:
    """Kept: the requests that one key signs in one second mostly have the same text, and reading it takes a while."""
    members = parse_inner_lists(text, "signature-input")
    ours = {label: member for label, member in members.items() if _OUR_TAG.search(member.params)}
    if not ours:
        raise SignatureMissing(f'Signature-Input has no member with tag="{TAG}".', field="signature-input")
    return Inputs(frozenset(members), {label: _read_ours(member, coverage) for label, member in ours.items()})


def check_size(size: int) -> None:
    """Raise `TooLarge` for more bytes of signed fields than evidence can hold."""
    if size > SIGNED_FIELDS_BYTES_MAX:
        raise TooLarge(
            f"What the signature covers, Signature-Input and Signature have {size} bytes, more than the "
            f"{SIGNED_FIELDS_BYTES_MAX} allowed: cover fewer or shorter fields.",
            field="signature-input",
        )


def _read_field(request: HttpRequest, name: str) -> str:
    value = request.fields.get(name)
    if not value:
        raise SignatureMissing(f"The request has no {name.title()} header: sign it by RFC 9421.", field=name)
    return value


def _read_ours(member: InnerList, coverage: Coverage) -> OurSignature:
    if not member.is_plain:
        raise Invalid(
            "signature-input",
            f'must have the member with tag="{TAG}" in its canonical form (RFC 9421 section 2.3), '
            "its components without parameters, its own parameters only strings and integers",
        )
    params = read_params(member, "signature-input")
    unknown = params.keys() - _PARAM_NAMES
    if unknown:
        raise Invalid("signature-input", f'must not have the parameter "{min(unknown)}"')
    created, expires = _read_integer(params, "created"), _read_integer(params, "expires")
    keyid, alg = _read_string(params, "keyid"), _read_string(params, "alg")
    _read_string(params, "nonce")
    if created is None or keyid is None:
        raise Invalid("signature-input", f'must have the parameter "{"created" if created is None else "keyid"}"')
    if alg not in (None, "ed25519"):
        raise Invalid("signature-input", 'must have alg="ed25519", or no alg')
    components = tuple(read_items(member))
    _check_components(components, coverage)
    return OurSignature(components, member.text, created, expires, keyid)


def _read_integer(params: dict[str, str | int], name: str) -> int | None:
    value = params.get(name)
    if isinstance(value, str):
        raise Invalid("signature-input", f'must have an integer as "{name}"')
    return value


def _read_string(params: dict[str, str | int], name: str) -> str | None:
    value = params.get(name)
    if isinstance(value, int):
        raise Invalid("signature-input", f'must have a string as "{name}"')
    return value


def _check_components(components: tuple[str, ...], coverage: Coverage) -> None:
    names = set(components)
    if len(components) > COMPONENTS_MAX or len(names) != len(components):
        raise Invalid("signature-input", f"must name at most {COMPONENTS_MAX} components, each once")
    if not names.issuperset(coverage.components):
        missing = next(name for name in coverage.components if name not in names)
        raise SignatureInvalid(f'The signature must also cover "{missing}".', field=missing)
    for name in names.difference(coverage.components, READING.components):
        if not _FIELD_NAME.fullmatch(name):
            raise Invalid(
                "signature-input",
                f"must name as components only {', '.join(READING.components)} and header fields in lower case",
            )
