"""`python -m signed_ledger`."""

import sys

from signed_ledger.cli import main

sys.exit(main())
