"""`python -m litepose_nas` is the command litepose-nas, for where no script is on the path."""

from litepose_nas.cli import main

if __name__ == "__main__":  # processes of the demo import this module as well
    main()
