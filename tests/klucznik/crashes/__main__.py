"""`python -m tests.klucznik.crashes`: see `matrix`."""

import sys

from tests.klucznik.crashes.matrix import main

if __name__ == "__main__":
    sys.exit(main())
