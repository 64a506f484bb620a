"""The scenes of the demo, and what has to come of each."""

from collections import Counter
from dataclasses import dataclass

from bridge.model import EventStatus


@dataclass(frozen=True, slots=True)
class Message:
    """One message as Iterable got it."""

    who: str
    campaign: int
    #: Codes, or points.
    shows: str


@dataclass(frozen=True, slots=True)
class Scene:
    """One sample webhook, and what has to come of it."""

    title: str
    sample: str
    becomes: EventStatus
    message: Message | None = None


_STORED = EventStatus.STORED
SCENES = (
    Scene(
        "a discount code",
        "01_project_voucher_published_discount.json",
        _STORED,
        Message("crm-10482", 16504306, "WLCM-7Qx2Lp"),
    ),
    Scene(
        "the same webhook again",
        "01_project_voucher_published_discount.json",
        EventStatus.DUPLICATE,
    ),
    Scene(
        "a referral reward: not the referral code that earned it",
        "14_distribution_customer_rewarded_referral_coupon.json",
        _STORED,
        Message("crm-10482", 16504306, "THX-9vB30k"),
    ),
    Scene(
        "a loyalty reward: not the card that paid for it",
        "11_distribution_reward_redemption_completed_coupon.json",
        _STORED,
        Message("crm-20917", 16504306, "tKSTdVk2"),
    ),
    Scene(
        "loyalty points",
        "08_project_customer_rewarded_loyalty_points.json",
        _STORED,
        Message("crm-10482", 16504307, "900 points"),
    ),
    Scene(
        "two vouchers of one publication in one message",
        "13_project_publication_succeeded_multi.json",
        _STORED,
        Message("crm-10482", 16504308, "AUT-2mFp8, AUT-w7Hq1"),
    ),
    Scene(
        "Iterable's own body, sent raw",
        "05_distribution_raw_on_iterable_trigger.json",
        _STORED,
        Message("crm-10482", 16504306, "BACK-4hTq81Zm"),
    ),
    Scene(
        "no webhook at all",
        "api_publication_single.json",
        EventStatus.PARKED,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One scene and what came of it."""

    scene: Scene
    became: str
    reason: str | None
    #: The deliveries it made.
    deliveries: tuple[str, ...] = ()
    #: Where they ended, all told.
    ended: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the demo showed."""

    played: tuple[Played, ...]
    #: In the order of arrival.
    arrived: tuple[Message, ...]

    @property
    def faults(self) -> list[str]:
        """List what is not as it should be; nothing, if all is well."""
        found = [
            f"{one.scene.title}: became {one.became}, not {one.scene.becomes}"
            for one in self.played
            if one.became != one.scene.becomes
        ]
        messages = (one.scene.message for one in self.played)
        wanted = Counter(one for one in messages if one is not None)
        got = Counter(self.arrived)
        found += [f"did not arrive: {one}" for one in wanted - got]
        return found + [f"should not have arrived: {one}" for one in got - wanted]
