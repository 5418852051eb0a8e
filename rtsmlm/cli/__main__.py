"""`python -m rtsmlm.cli`, the same as the command `rtsmlm`."""

from rtsmlm.cli import main

if __name__ == "__main__":
    main()
