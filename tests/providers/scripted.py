"""A server that gives one answer to everything: for what a vendor's fake would not say."""

from rushes.testing.server import Answer, Exchange, FakeServer, Received


class Scripted(FakeServer):
    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer

    def serve(self, received: Received, exchange: Exchange) -> None:
        self.requests.append(received)
        exchange.send(self.answer)
