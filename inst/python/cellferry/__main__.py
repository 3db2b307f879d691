"""``python -m cellferry`` is the command ``cellferry``."""

from .cli import main

if __name__ == "__main__":
    main()
