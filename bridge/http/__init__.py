"""One bounded HTTP call: a deadline for all of it, a size limit, no redirects.

It tells a call that certainly was not sent from one whose outcome is unknown, and
knows nothing of what is sent or what an answer means.
"""

from bridge.http.begun import Begun, Progress
from bridge.http.call import Http, Reply, prepare, with_body

__all__ = ["Begun", "Http", "Progress", "Reply", "prepare", "with_body"]
