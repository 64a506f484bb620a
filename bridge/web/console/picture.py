"""The last day as a picture: bars of an hour each, parts by what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge.model import DeliveryStatus
from bridge.store import Hour

WIDTH, HEIGHT = 720, 160
_GAP = 6
_LEAST = 2
#: From the ground up; every state is in one of them.
PARTS: tuple[tuple[str, str, tuple[DeliveryStatus, ...]], ...] = (
    (
        "good",
        "accepted or confirmed",
        (DeliveryStatus.ACCEPTED, DeliveryStatus.CONFIRMED),
    ),
    ("waiting", "still waiting", ()),
    ("unsure", "held", (DeliveryStatus.HELD,)),
    ("bad", "dead or undelivered", (DeliveryStatus.DEAD, DeliveryStatus.UNDELIVERED)),
    (
        "quiet",
        "suppressed or dropped",
        (DeliveryStatus.SUPPRESSED, DeliveryStatus.DROPPED),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a bar, in the units of the picture."""

    tone: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One hour."""

    start: datetime
    x: float
    width: float
    total: int
    #: By the names of `PARTS`.
    counts: Sequence[tuple[str, str, int]]
    pieces: Sequence[Piece]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """All bars; every number in it is also in a table beside it."""

    bars: Sequence[Bar]
    #: What the highest line stands for.
    top: int
    total: int
    #: Part, name, and how many in the whole day.
    sums: Sequence[tuple[str, str, int]]


def picture(hours: Sequence[Hour]) -> Picture:
    """Draw hours, the oldest at the left."""
    counts = [_counts(hour) for hour in hours]
    totals = [sum(n for *_, n in one) for one in counts]
    top = _round_up(max(totals, default=0))
    step = WIDTH / max(1, len(hours))
    bars = [
        Bar(
            start=hour.start,
            x=round(index * step + _GAP / 2, 1),
            width=round(step - _GAP, 1),
            total=total,
            counts=parts,
            pieces=_pieces(parts, index * step + _GAP / 2, step - _GAP, top),
        )
        for index, (hour, parts, total) in enumerate(
            zip(hours, counts, totals, strict=True)
        )
    ]
    sums = [
        (tone, name, sum(one[place][2] for one in counts))
        for place, (tone, name, _) in enumerate(PARTS)
    ]
    return Picture(bars=bars, top=top, total=sum(totals), sums=sums)


def _counts(hour: Hour) -> list[tuple[str, str, int]]:
    found = []
    for tone, name, states in PARTS:
        count = sum(n for (_, status), n in hour.settled.items() if status in states)
        found.append((tone, name, count if states else max(0, hour.moving)))
    return found


def _pieces(
    parts: Sequence[tuple[str, str, int]], x: float, width: float, top: int
) -> list[Piece]:
    y, pieces = float(HEIGHT), []
    for tone, _, count in parts:
        if not count:
            continue
        # What is there is seen, however little it is beside the rest.
        height = max(_LEAST, count / top * (HEIGHT - _LEAST * len(parts)))
        y -= height
        pieces.append(
            Piece(
                tone=tone,
                x=round(x, 1),
                y=round(y, 1),
                width=round(width, 1),
                height=round(height, 1),
            )
        )
    return pieces


def _round_up(number: int) -> int:
    """Find the next number that is easy to read: 1, 2 or 5 with noughts."""
    size = 1
    while True:
        for step in (1, 2, 5):
            if number <= step * size:
                return step * size
        size *= 10
