"""`python -m medpriv_lib` is the `medpriv` command."""

import sys

from medpriv_lib.cli import main

sys.exit(main())
