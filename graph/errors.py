"""The base of every error that is the user's to mend."""

from __future__ import annotations


class UserError(Exception):
    """Something outside the program is wrong: a file, an option, a broker.

    The message is one line that says what was wrong, where, and what to do; the commands print it and exit with 2.
    """
