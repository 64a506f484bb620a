"""What a connection is told where no request can come of its bytes."""


class Refusal(Exception):  # noqa: N818 - an answer, not a mistake of ours
    """The connection gets this answer and ends.

    Attributes:
        status: HTTP status.
        detail: One sentence, without anything the client sent.
    """

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        self.detail = detail
        super().__init__(detail)
