"""What the simulator is made of, without the server: WhatsApp, the business, its customers."""

import time

from local.simulator.business import Business, Pace
from local.simulator.business_app import BusinessApp
from local.simulator.customers import Customers
from local.simulator.delivery import Deliveries, RetryPolicy
from local.simulator.media import MediaStore, Stored
from local.simulator.payloads import Metadata
from local.simulator.phones import Phones
from local.simulator.switches import Switches
from local.simulator.templates import Templates
from local.simulator.timers import Clockwork, Timers
from local.simulator.uploads import UPLOAD_DAYS

__all__ = ["World"]


class World:
    """One WhatsApp, one business, any number of customers.

    Args:
        webhook_url: where the business listens; may be set later (``simulator.webhook_url``).
        token: the Bearer token that the Graph API asks for.
        phone_number_id: the business's; others are unknown to the Graph API.
        business_account_id: goes into every payload.
        app_secret: signs every payload.
        display_phone_number: the business's number, digits only.
        host: where to serve; nothing but this machine should reach it.
        port: 0 takes a free one.
        pace: how quickly statuses follow.
        retry: how webhooks are retried.
        workers: how many webhook POSTs run at once.
        timers: the clock; ``ManualTimers`` lets a test turn it by hand.
    """

    def __init__(
        self,
        *,
        webhook_url: str | None,
        token: str,
        phone_number_id: str,
        business_account_id: str,
        app_secret: str,
        display_phone_number: str = "551130030000",
        host: str = "127.0.0.1",
        port: int = 0,
        pace: Pace | None = None,
        retry: RetryPolicy | None = None,
        workers: int = 8,
        timers: Clockwork | None = None,
    ):
        self.token = token
        self.host = host
        self.port = port
        self.metadata = Metadata(business_account_id, phone_number_id, display_phone_number)
        self.timers: Clockwork = timers or Timers(workers)
        self.switches = Switches()
        self.phones = Phones()
        self.media = MediaStore()
        self.templates = Templates()
        self.deliveries = Deliveries(
            webhook_url=webhook_url,
            app_secret=app_secret,
            metadata=self.metadata,
            switches=self.switches,
            timers=self.timers,
            policy=retry or RetryPolicy(),
            on_acknowledged=lambda updates: self.customers.acknowledged(updates),
        )
        self.business = Business(
            self.phones, self.switches, self.timers, pace or Pace(), self.deliveries.send,
            display_phone_number, self.media,
        )  # fmt: skip
        self.business_app = BusinessApp(
            self.phones, self.business, self.media, self.switches, self.timers, self.metadata,
            self.deliveries.send,
        )  # fmt: skip
        self.customers = Customers(
            self.phones, self.business, self.media, self.switches, self.timers, self.metadata,
            self.deliveries.send, self.deliveries.send_together,
        )  # fmt: skip

    def given_media(self, media_id: str) -> Stored | None:
        """A file by its id, while WhatsApp has it."""
        stored = self.media.get(media_id)
        if stored is None or stored.given_at is None:
            return stored
        age = self.timers.now() - stored.given_at
        return stored if age < UPLOAD_DAYS * 86_400 else None

    @property
    def url(self) -> str:
        """Where it serves, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    @property
    def webhook_url(self) -> str | None:
        """Where the webhooks go."""
        return self.deliveries.webhook_url

    @webhook_url.setter
    def webhook_url(self, url: str | None) -> None:
        self.deliveries.webhook_url = url

    def wait_idle(self, timeout: float = 10.0) -> bool:
        """Wait until every webhook is acknowledged and nothing more is to come.

        Returns:
            False when that did not happen within so many seconds.
        """
        end = time.monotonic() + timeout
        while not self.deliveries.as_json()["idle"]:
            if time.monotonic() > end:
                return False
            self.timers.wait(0.01)
        return True

    def reset(self) -> None:
        """No customers, no faults, nothing on its way, the sample templates."""
        self.timers.clear()
        self.deliveries.reset()
        self.switches.reset()
        self.phones.clear()
        self.templates.reset()
