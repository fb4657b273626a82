"""`python -m lowrank_sr` is `lowrank-sr`."""

import sys

from lowrank_sr.cli import main

sys.exit(main())
