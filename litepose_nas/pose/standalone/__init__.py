"""What an app copies: these files need nothing else of this project, and not each other."""

from pathlib import Path

STANDALONE = Path(__file__).parent
