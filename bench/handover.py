"""Hand-over: from the accept's commit to the carrier's first byte, on an idle server."""

import asyncio
import http.client
import statistics
import time

import msgspec

from bench.figures import Figure, Options
from bench.rig import Installation, serving, work_folder
from bench.stub import StubCarrier

WHAT = (
    "one message at a time on an idle installation (API and dispatcher as two processes on one core): from the answer, which "
    "follows the commit, and from the call itself, to the first byte at the carrier"
)
CALLS = 200


def run(options: Options) -> list[Figure]:
    after_answer: dict[str, list[float]] = {"p50": [], "p99": []}
    after_call: dict[str, list[float]] = {"p50": [], "p99": []}
    with work_folder() as folder, StubCarrier() as stub:
        made = Installation(folder)
        asyncio.run(made.open_account(stub.url))
        with serving(made, "api", "dispatch"):
            for turn in range(options.rounds):
                from_answer, from_call = one_round(made, stub, turn)
                for kept, seen in ((after_answer, from_answer), (after_call, from_call)):
                    cuts = statistics.quantiles(seen, n=100)
                    kept["p50"].append(cuts[49])
                    kept["p99"].append(cuts[98])
    return [
        Figure(name="from the answer to the first byte, p50", unit="ms", values=after_answer["p50"], goal="≤ 5"),
        Figure(name="from the answer to the first byte, p99", unit="ms", values=after_answer["p99"], goal="≤ 20"),
        Figure(name="from the call to the first byte, p50", unit="ms", values=after_call["p50"]),
        Figure(name="from the call to the first byte, p99", unit="ms", values=after_call["p99"]),
    ]


def one_round(made: Installation, stub: StubCarrier, turn: int) -> tuple[list[float], list[float]]:
    """Milliseconds from answer and from call to the carrier's first byte, a value a message. Before the answer counts as 0."""
    connection = http.client.HTTPConnection("127.0.0.1", made.port, timeout=30)
    headers = {"Authorization": f"Bearer {made.token}", "Content-Type": "application/json"}
    from_answer, from_call = [], []
    for place in range(CALLS + 5):
        number = str(31_600_000_000 + turn * 1000 + place)
        body = msgspec.json.encode(
            {"recipient": number, "sender_id": "YourName", "type": "whatsapp", "message": "Hello"}
        )
        before = len(stub.arrived_ns)
        called_ns = time.monotonic_ns()
        connection.request("POST", "/api/v3/sms/send", body, headers)
        answer = connection.getresponse()
        answer.read()
        answered_ns = time.monotonic_ns()
        assert answer.status == 200
        deadline = time.monotonic() + 20
        while len(stub.arrived_ns) == before:
            assert time.monotonic() < deadline, "it never came"
            time.sleep(0.0002)
        arrived_ns = stub.arrived_ns[before]
        if place >= 5:
            from_answer.append(max(0, arrived_ns - answered_ns) / 1e6)
            from_call.append((arrived_ns - called_ns) / 1e6)
        time.sleep(0.01)
    connection.close()
    return from_answer, from_call
