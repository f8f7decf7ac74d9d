"""The command line: the one place where the parts are wired. Floor 6."""

from signed_ledger.cli.command_line import main

__all__ = ["main"]
