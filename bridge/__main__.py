"""`python -m bridge`: the same as `reward-bridge`."""

from bridge.cli import main

if __name__ == "__main__":
    main()
