"""Messages in bulk: through the API, and straight into the history."""

import urllib.request

import apsw
import msgspec

from bench.rig import Installation

AT_ONCE = 1_000
HISTORY = """
    INSERT INTO message (account_id, id, seq, direction, channel, connection_id, sender, person, kind, text, sms_type, details,
        state, state_rank, segments, cost, carrier_message_id, carrier_message_key, created_at_ms, updated_at_ms)
    WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
    SELECT ?3, unhex(printf('%012x7000a%015x', 1600000000000 + i, i)), i + 1, 'outgoing', 'whatsapp', ?4, 'YourName',
        CAST(31600000000 + (i * 7919) % 90000000 AS TEXT), 'text', 'Your verification code is 482913. It is valid for 5 minutes.',
        'whatsapp', '{"token_id":1}', 'delivered', 40, 1, '1', 'wamid.' || i, (i * 2654435761) % 9007199254740881,
        1600000000000 + i, 1600000000000 + i FROM n
"""


def queue_messages(made: Installation, count: int, *, first: int = 31_700_000_000) -> None:
    """Send to so many recipients, a thousand a call."""
    for low in range(0, count, AT_ONCE):
        recipients = [str(first + n) for n in range(low, min(low + AT_ONCE, count))]
        body = {"recipient": recipients, "sender_id": "YourName", "type": "whatsapp", "message": "Your code is 482913."}
        request = urllib.request.Request(
            f"{made.url}/api/v3/sms/send",
            msgspec.json.encode(body),
            {"Authorization": f"Bearer {made.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200


def write_history(made: Installation, count: int) -> None:
    """So many delivered messages of long ago, numbered from 1; for an installation that has none yet."""
    connection = apsw.Connection(str(made.settings.sqlite_path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.execute("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000")
    for low in range(0, count, 50_000):
        connection.execute(HISTORY, (low, min(low + 50_000, count), made.account_id, made.connection_id))
    connection.execute(
        "INSERT INTO message_count (account_id, last_seq) VALUES (?1, ?2) "
        "ON CONFLICT (account_id) DO UPDATE SET last_seq = excluded.last_seq",
        (made.account_id, count),
    )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()


def uid_at(place: int) -> str:
    """The uid of the message with the number `place` + 1 of a written history."""
    return f"{1_600_000_000_000 + place:012x}7000a{place:015x}"
