"""What Voucherify says it has published: its list, read page by page.

It asks and never writes. What a publication means for the ledger is not decided here.

References:
    Voucherify's API reference, "List Publications", "Get Voucher" and "Rate limits".
"""

from bridge.publications.api import MAX_REPLY_BYTES, Api
from bridge.publications.listing import Listing
from bridge.publications.reading import Publication, moment

__all__ = ["MAX_REPLY_BYTES", "Api", "Listing", "Publication", "moment"]
