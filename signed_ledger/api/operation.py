"""What an operation is: one method of one path, as the one table of what is served has it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from signed_ledger.errors import Refusal

Codes = tuple[type[Refusal], ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the `path`, the `query` or a `header`."""

    where: str
    name: str
    shape: dict[str, Any]
    about: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is not a problem. `shape` names a schema; `media` is its type, where it is not JSON."""

    status: int
    about: str
    shape: str | None = None
    media: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path. `tag` and `name` say who handles it; `codes` stand in the order of the checks.

    `body` names the schema of what is sent, and `example` is one.
    """

    tag: str
    name: str
    method: str
    path: str
    summary: str
    about: str
    replies: tuple[Reply, ...]
    codes: Codes = ()
    parameters: tuple[Parameter, ...] = ()
    body: str | None = None
    example: Mapping[str, Any] | None = None
    aliases: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """What is routed to it. A tile's name has slashes in it, which OpenAPI has no way to say."""
        return (self.path.replace("{tile}", "{tile:.+}"), *self.aliases)
