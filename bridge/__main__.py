"""`python -m bridge`: the same as the command `reward-bridge`."""

from bridge.cli import main

if __name__ == "__main__":
    main(prog_name="reward-bridge")
