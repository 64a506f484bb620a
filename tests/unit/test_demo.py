from dataclasses import replace

from bridge.demo import Message, Played, Report
from bridge.demo.scenes import SCENES
from bridge.model import EventStatus


def perfect() -> Report:
    """Make the report of a demo in which everything went well."""
    played = tuple(
        Played(scene=scene, became=scene.becomes, reason=None) for scene in SCENES
    )
    messages = (scene.message for scene in SCENES)
    return Report(played=played, arrived=tuple(one for one in messages if one))


def test_a_perfect_demo_has_no_faults() -> None:
    assert perfect().faults == []


def test_a_message_that_did_not_arrive_is_a_fault() -> None:
    report = perfect()
    faults = replace(report, arrived=report.arrived[1:]).faults
    assert len(faults) == 1
    assert faults[0].startswith("did not arrive")


def test_a_message_that_arrived_twice_is_a_fault() -> None:
    report = perfect()
    faults = replace(report, arrived=(*report.arrived, report.arrived[0])).faults
    assert len(faults) == 1
    assert faults[0].startswith("should not have arrived")


def test_a_wrong_code_is_two_faults() -> None:
    report = perfect()
    wrong = Message("crm-10482", 16504306, "REF-an4a2")
    faults = replace(report, arrived=(wrong, *report.arrived[1:])).faults
    assert len(faults) == 2


def test_a_webhook_that_became_something_else_is_a_fault() -> None:
    report = perfect()
    first = replace(report.played[0], became=EventStatus.PARKED)
    faults = replace(report, played=(first, *report.played[1:])).faults
    assert faults == ["a discount code: became parked, not stored"]
