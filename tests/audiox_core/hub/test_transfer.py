"""One file over HTTP, from a server of our own."""

import time
from urllib.error import HTTPError

import pytest

from audiox_core.hub import transfer
from audiox_core.hub.transfer import ConnectionLostError, chunks, patiently, retry_after, status_of

DATA = bytes(range(256)) * 400
PATH = "a/b/resolve/main/x"


@pytest.fixture
def hub(hub_module):
    hub = hub_module.Hub()
    hub.files["a/b/x"] = hub_module.Served(DATA)
    yield hub
    hub.close()


@pytest.fixture
def served(hub):
    return hub.files["a/b/x"]


def received(hub, start=0, **headers):
    return list(chunks(f"{hub.url}/{PATH}", headers, start))


@pytest.mark.parametrize("start", [0, 1, len(DATA) - 1])
def test_pieces_come_with_their_offsets(hub, start):
    at = start
    for offset, piece in received(hub, start):
        assert (offset, piece) == (at, DATA[at : at + len(piece)])
        at += len(piece)
    assert at == len(DATA)


def test_a_server_that_cannot_resume_begins_at_the_first_byte(hub, served):
    served.ranges = False
    assert received(hub, 9)[0][0] == 0


def test_a_start_behind_the_end_begins_at_the_first_byte(hub, served, monkeypatch):
    refused = []
    answer = hub.answer

    def out_of_range(to, *, body):
        if to.headers.get("Range"):
            refused.append(to.headers["Range"])
            return hub.refuse(to, 416)
        return answer(to, body=body)

    monkeypatch.setattr(hub, "answer", out_of_range)
    assert b"".join(piece for _, piece in received(hub, 999_999)) == DATA
    assert refused == ["bytes=999999-"]


def test_a_file_that_breaks_off_is_a_lost_connection(hub, served):
    served.cuts = [1000]
    with pytest.raises(ConnectionLostError, match="101,400 bytes too early"):
        received(hub)


def test_a_refusal_is_the_servers_answer(hub, served):
    served.status = 403
    with pytest.raises(HTTPError) as caught:
        received(hub)
    assert status_of(caught.value) == 403
    assert retry_after(caught.value) is None


def test_a_busy_server_is_asked_again(hub, served, monkeypatch):
    naps = []
    monkeypatch.setattr(transfer, "sleep", naps.append)
    served.busy = ["3"]
    assert b"".join(piece for _, piece in received(hub)) == DATA
    assert naps == [3]


def test_an_answer_in_time_is_returned_and_a_late_one_is_a_lost_connection(monkeypatch):
    assert patiently(lambda: 3) == 3
    monkeypatch.setattr(transfer, "WINDOW", 0.05)
    with pytest.raises(ConnectionLostError, match="no answer within"):
        patiently(lambda: time.sleep(1))


def test_only_the_first_server_gets_the_token(hub, hub_module):
    """The hub redirects to another server, which must see the range and not the token."""
    store = hub_module.Hub()
    store.files["s/t/x"] = hub_module.Served(DATA)
    hub.redirect = f"{store.url}/s/t/resolve/main/"
    pieces = received(hub, len(DATA) - 9, Authorization="Bearer x")
    store.close()
    assert pieces == [(len(DATA) - 9, DATA[-9:])]
    assert (hub.tokens, store.tokens) == (["Bearer x"], [None])
