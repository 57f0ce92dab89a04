"""``python -m bbbnp.course build [--check] [NN ...]``: see `bbbnp.course.build`."""

import sys

from bbbnp.course.build import main

sys.exit(main())
