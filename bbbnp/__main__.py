"""``python -m bbbnp`` is the command line."""

import sys

from bbbnp.cli import main

sys.exit(main())
