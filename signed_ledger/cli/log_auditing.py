"""`audit`: the published log of a ledger, over HTTP."""

import argparse
import asyncio
import os
import sys
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Final

from signed_ledger.audit.command import NOT_ASKED, add_options, progress_on, remember_note, tell
from signed_ledger.audit.last_seen import LastSeen, read_last_seen
from signed_ledger.audit.published import TIMEOUT_SECONDS
from signed_ledger.audit.remote import AuditedLog, audit_published, judged
from signed_ledger.audit.running import Progress
from signed_ledger.cli.arguments import Commands, add_command
from signed_ledger.config import Settings
from signed_ledger.errors import Invalid
from signed_ledger.fetching import Fetcher
from signed_ledger.policy import read_policy
from signed_ledger.trust import Trust, read_trust

_MORE: Final = (
    "Reads the checkpoint, the tiles and the entries that the ledger's server publishes; needs no database. Entries, "
    "chain, signatures and keys are proven; amounts and decisions are not published: verify proves those."
)


def add_commands(commands: Commands) -> None:
    parser = add_command(
        commands,
        "audit",
        run_audit,
        "prove the published log of a ledger from its URL",
        more=_MORE,
        example="signed-ledger audit https://issuer.example --trust trust.json --last-seen seen.json",
        facts=True,
    )
    parser.add_argument("url", metavar="URL", help="where the ledger is served")
    add_options(
        parser,
        trust="trust.json, got by another road than the ledger",
        last_seen="the checkpoint seen last: only what is new since is fetched; made or replaced once all is verified",
    )


def run_audit(options: argparse.Namespace, settings: Settings) -> int:
    if options.jobs is not None and options.jobs < 1:
        raise Invalid("--jobs", "must be 1 or more")
    if not options.url.startswith(("https://", "http://")):
        raise Invalid("URL", "must begin with https:// or http://")
    try:
        trust = None if options.trust is None else read_trust(options.trust)
        policy = None if options.policy is None else read_policy(options.policy)
        seen = None if options.last_seen is None else read_last_seen(options.last_seen)
        with progress_on(sys.stderr) as progress:
            audited = asyncio.run(_audit(options, trust, seen, progress))
        report = judged(audited.report, policy, audited.note)
        report = replace(report, trust=None if options.trust is None else str(options.trust))
        if options.last_seen is not None and report.ok:
            told = remember_note(options.last_seen, audited.note, audited.mark)
            report = replace(report, last_seen=told)
    except (Invalid, OSError, BrokenProcessPool) as error:
        sys.stderr.write(f"could not be verified: {error}\n")
        return NOT_ASKED
    return tell(report, sys.stdout, as_json=options.json, show_all=options.all)


async def _audit(
    options: argparse.Namespace, trust: Trust | None, seen: LastSeen | None, progress: Progress
) -> AuditedLog:
    fetcher = Fetcher(TIMEOUT_SECONDS)
    try:
        return await audit_published(
            options.url,
            fetcher,
            seen,
            trust=trust,
            jobs=options.jobs or os.cpu_count() or 1,
            progress=progress,
            whole=options.whole,
        )
    finally:
        await fetcher.close()
