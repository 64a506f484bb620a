"""Where a browser is sent back to: a page of the console, whatever was asked for."""

from flask import url_for


def own_page(asked: str) -> str:
    """Take an address that came with a request if it is one of ours.

    Returns:
        The address, else that of the overview.
    """
    home = url_for("overview.show")
    # Browsers take `\` for `/` and leave line ends out; a header cannot hold these.
    is_ours = asked.startswith(home) and "\\" not in asked and asked.isprintable()
    return asked if is_ours else home
