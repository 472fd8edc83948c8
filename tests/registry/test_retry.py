import pytest

from build_lib.errors import BuildError
from build_lib.graph import Cancel
from build_lib.registry.retry import Kind, call, classify, wait_seconds

# messages as engines and registries wrote them
MESSAGES = [
    (Kind.UNREACHABLE, 'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host'),
    (Kind.UNREACHABLE, 'Get "https://harbor.example/v2/": dial tcp 192.0.2.1:443: connect: connection refused'),
    (Kind.UNREACHABLE, "http: server gave HTTP response to HTTPS client"),
    (Kind.UNREACHABLE, "tls: failed to verify certificate: x509: certificate signed by unknown authority"),
    (Kind.FINAL, "manifest for redis:nope not found: manifest unknown: manifest unknown"),
    (Kind.FINAL, "pull access denied for nope, repository does not exist or may require 'docker login'"),
    (Kind.FINAL, "unauthorized: authentication required"),
    (Kind.FINAL, "no matching manifest for linux/arm64/v8 in the manifest list entries"),
    (Kind.FINAL, "something that nobody has seen before"),
    (Kind.PASSING, 'failed to authorize: failed to fetch oauth token: Post "https://auth.docker.io/token": EOF'),
    (Kind.PASSING, "toomanyrequests: You have reached your pull rate limit"),
    (Kind.PASSING, "received unexpected HTTP status: 503 Service Unavailable"),
    (Kind.PASSING, "read tcp 192.0.2.1:443: read: connection reset by peer"),
    (Kind.PASSING, "net/http: request canceled while waiting for connection (Client.Timeout exceeded)"),
    (Kind.PASSING, "net/http: TLS handshake timeout"),
    (Kind.PASSING, "unexpected EOF"),
]


@pytest.mark.parametrize(("kind", "message"), MESSAGES)
def test_real_messages_are_told_apart(kind: Kind, message: str) -> None:
    assert classify(BuildError(message)) is kind


class Failing:
    """Fails with each message in turn, then works."""

    def __init__(self, *messages: str) -> None:
        self.messages = list(messages)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.messages:
            raise BuildError(self.messages.pop(0))
        return "done"


def test_what_may_pass_is_tried_again() -> None:
    action = Failing("unexpected EOF", "503 Service Unavailable")
    assert call(action, tries=4, cancel=Cancel()) == "done"
    assert action.calls == 3


def test_what_never_works_is_tried_once() -> None:
    action = Failing("manifest unknown", "manifest unknown")
    with pytest.raises(BuildError, match="manifest unknown"):
        call(action, tries=4, cancel=Cancel())
    assert action.calls == 1


def test_the_tries_have_an_end() -> None:
    action = Failing("EOF", "EOF", "EOF")
    with pytest.raises(BuildError, match="EOF"):
        call(action, tries=2, cancel=Cancel())
    assert action.calls == 2


def test_a_cancelled_run_does_not_wait() -> None:
    cancel = Cancel()
    cancel.request()
    action = Failing("EOF")
    with pytest.raises(BuildError):
        call(action, tries=9, cancel=cancel)
    assert action.calls == 1


def test_waits_grow_and_stay_bounded() -> None:
    assert all(0.25 <= wait_seconds(1) <= 0.5 for _ in range(100))
    assert all(15 <= wait_seconds(20) <= 30 for _ in range(100))
