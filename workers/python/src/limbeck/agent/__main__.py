"""`python -m limbeck.agent`."""

import sys

from limbeck.agent.main import main

sys.exit(main(sys.argv[1:]))
