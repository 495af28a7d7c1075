"""Somebody's server that wants to be told: it keeps what it got, and answers as it likes."""

import threading
import time

from openai import OpenAI
from openai.types.webhooks import UnwrapWebhookEvent

from rushes.testing.server import Answer, Exchange, FakeServer, Received


class Receiver(FakeServer):
    """Answers with `answers` one after another, then with 200; each after `delay_s`. While `mute` it says nothing."""

    def __init__(self, *answers: Answer | int) -> None:
        super().__init__()
        self.answers = [Answer(each) if isinstance(each, int) else each for each in answers]
        self.mute = False
        self.delay_s = 0.0
        self.most_at_once = 0
        self._now = 0
        self._turn = threading.Lock()

    @property
    def hook(self) -> str:
        return f"{self.url}/hook"

    @property
    def ids(self) -> list[str]:
        """The `webhook-id` of each message, as they came."""
        return [request.headers["webhook-id"] for request in self.requests]

    def serve(self, received: Received, exchange: Exchange) -> None:
        with self._turn:
            self.requests.append(received)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            answer = self.answers.pop(0) if self.answers else Answer(200, b"thanks")
        try:
            time.sleep(self.delay_s)
            if self.mute:
                exchange.hang()
            else:
                exchange.send(answer)
        finally:
            with self._turn:
                self._now -= 1


def unwrapped(received: Received, secret: str) -> UnwrapWebhookEvent:
    """A message as a user of the OpenAI SDK reads it. Raises if its signature is wrong."""
    client = OpenAI(api_key="none", webhook_secret=secret)
    return client.webhooks.unwrap(received.body, dict(received.headers))
