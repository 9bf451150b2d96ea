"""``python -m streams.cli``: the command of this very interpreter, where the console script may not be on the path."""

from streams.cli.main import main

main()
