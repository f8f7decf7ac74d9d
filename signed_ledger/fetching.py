"""The one HTTP client: what others serve is fetched within a time and a size, and no redirect is followed."""

from typing import Final, NamedTuple

from signed_ledger import __version__
from signed_ledger.errors import SignedLedgerError

USER_AGENT: Final = f"signed-ledger/{__version__}"
_HEADERS_BYTES_MAX: Final = 8_190


class Unreachable(SignedLedgerError):
    """There was no whole answer: no connection, not in time, not HTTP, or longer than allowed."""


class Reply(NamedTuple):
    """An answer of any status. The names of header fields are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Fetcher:
    """Connections that are kept and used again. An answer that is not whole within `timeout_s` is `Unreachable`.

    To be made inside a running event loop, and closed there.
    """

    def __init__(self, timeout_s: float) -> None:
        import aiohttp  # here, since it is a third of a command's start, and few commands fetch

        self._timeout_s = timeout_s
        self._failed = (aiohttp.ClientError, OSError, ValueError)  # ValueError: a URL that is none
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # a small body could become a large one
            max_line_size=_HEADERS_BYTES_MAX,
            max_field_size=_HEADERS_BYTES_MAX,
        )

    async def get(self, url: str, *, bytes_max: int) -> Reply:
        """Fetch `url`; the body may have `bytes_max`. Raises `Unreachable`."""
        return await self._ask("GET", url, bytes_max)

    async def post(self, url: str, body: bytes, *, content_type: str, bytes_max: int) -> Reply:
        """Send `body` to `url`; the answer's may have `bytes_max`. Raises `Unreachable`."""
        return await self._ask("POST", url, bytes_max, data=body, headers={"Content-Type": content_type})

    async def close(self) -> None:
        await self._session.close()

    async def _ask(
        self, method: str, url: str, bytes_max: int, *, data: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        try:
            async with self._session.request(method, url, data=data, headers=headers, allow_redirects=False) as answer:
                body = bytearray()
                while len(body) <= bytes_max and (chunk := await answer.content.readany()):
                    body += chunk
                if len(body) > bytes_max:
                    raise Unreachable(f"{url}: the answer is longer than {bytes_max} bytes")
                named = {name.lower(): value for name, value in answer.headers.items()}
                return Reply(answer.status, named, bytes(body))
        except TimeoutError:
            raise Unreachable(f"{url}: no whole answer within {self._timeout_s:g} s") from None
        except self._failed as error:
            raise Unreachable(f"{url}: {error or type(error).__name__}") from None
