"""python -m MedSegTrainLib.watched VERB ...: a verb of the command line, which ends when its input does.

Slicer starts its Python by a launcher. Killing that one leaves the Python itself at work, which a training that is only
tried would be for minutes, on a GPU that somebody else wants; but it closes its input.
"""

import sys

from .cli import main
from .data.parent import end_with_input

if __name__ == "__main__":
    end_with_input()
    sys.exit(main())
