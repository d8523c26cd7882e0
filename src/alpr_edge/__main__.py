"""`python -m alpr_edge`."""

import sys

from alpr_edge.cli import main

sys.exit(main())
