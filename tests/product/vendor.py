"""Voucherify's part for `reconcile`, and the channel that alerts go to."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.product.program import webhook
from tests.product.recorder import Answer, Call, Recorder

APP_ID, APP_TOKEN = "app-id-1", "app-token-1"


class Voucherify(Recorder):
    """A project that lists its publications and shows its vouchers.

    Attributes:
        publications: As the list has them; answered newest first.
    """

    def __init__(self) -> None:
        self.publications: list[dict[str, Any]] = []
        self._vouchers: dict[str, dict[str, Any]] = {}
        super().__init__()

    @property
    def env(self) -> dict[str, str]:
        """The variables that let the bridge read this project."""
        return {
            "VOUCHERIFY_APP_ID": APP_ID,
            "VOUCHERIFY_APP_TOKEN": APP_TOKEN,
            "VOUCHERIFY_BASE_URL": self.url,
        }

    def publish(
        self,
        person: str,
        *,
        minutes: float = 5,
        campaign: str = "Load",
        is_listed: bool = True,
        failure: str | None = None,
    ) -> dict[str, Any]:
        """Publish a code to a person; return the webhook that tells of it.

        Args:
            person: Their source id.
            minutes: How long ago.
            campaign: Name of the campaign.
            is_listed: The list has it.
            failure: Why there was no code to give.
        """
        earned = webhook(person, campaign=campaign)
        data = earned["data"]
        moment = datetime.now(UTC) - timedelta(minutes=minutes)
        data["publication"]["created_at"] = f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
        voucher = data["voucher"]
        self._vouchers[voucher["id"]] = voucher
        if is_listed:
            shown = {name: voucher[name] for name in ("code", "campaign", "discount")}
            one = {**data["publication"], "tracking_id": person, "voucher": shown}
            if failure is not None:
                lost = {"result": "FAILURE", "failure_code": failure, "vouchers_id": []}
                one = {**one, **lost, "voucher": None}
            self.publications.append(one)
        return earned

    def default(self, call: Call) -> Answer:
        keys = call.headers.get("x-app-id"), call.headers.get("x-app-token")
        if keys != (APP_ID, APP_TOKEN):
            return Answer(status=401, body={"code": 401, "key": "unauthorized"})
        if call.path == "/v1/publications":
            return self._list(int(call.query["page"]), int(call.query["limit"]))
        voucher = self._vouchers.get(call.path.removeprefix("/v1/vouchers/"))
        if voucher is None:
            return Answer(status=404, body={"code": 404, "key": "not_found"})
        return Answer(body=voucher)

    def _list(self, number: int, size: int) -> Answer:
        newest = sorted(
            self.publications, key=lambda one: str(one["created_at"]), reverse=True
        )
        document = {
            "object": "list",
            "data_ref": "publications",
            "publications": newest[(number - 1) * size : number * size],
            "total": len(newest),
        }
        return Answer(body=document)


class Channel(Recorder):
    """An incoming webhook as Slack has them."""

    @property
    def address(self) -> str:
        """The secret URL that alerts are posted to."""
        return f"{self.url}/services/T1/s3cret"

    def texts(self) -> list[str]:
        """List the messages that were taken, in order."""
        taken = [one for one in self.calls() if one.answer.status == 200]
        return [str(one.body["text"]) for one in taken]


def lines(*documents: dict[str, Any]) -> str:
    """Write webhooks as JSON Lines, for the standard input of a command."""
    return "".join(f"{json.dumps(one)}\n" for one in documents)
