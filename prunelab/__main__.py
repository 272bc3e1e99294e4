"""`python -m prunelab`: the same as the command `prunelab`."""

import sys

from prunelab.cli import main

sys.exit(main())
