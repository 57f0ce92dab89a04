"""The lectures: the chain that builds them (`build`), the checks of their exercises (`check`) and what they show with
(`show`)."""

import os


def loops(full, fast):
    """How often a lecture repeats something: `full`, or `fast` where BBBNP_FAST=1 is set, as tests do."""
    return fast if os.environ.get("BBBNP_FAST") == "1" else full
