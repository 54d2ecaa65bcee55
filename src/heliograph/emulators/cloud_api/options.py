"""What can be switched when the emulator starts: one frozen struct, a sentence and a unit for each field."""

from msgspec import Struct

from heliograph.emulators.cloud_api import defaults

OPEN, REFUSE, FAIL = "open", "refuse", "fail"


class Options(Struct, frozen=True, kw_only=True):
    host: str = defaults.HOST
    port: int = defaults.PORT  # 0: any that is free
    data: str | None = (
        None  # the file that keeps what was accepted; beside it FILE.state.json and the folder FILE.media
    )

    # Who may call
    tokens: tuple[str, ...] = (defaults.TOKEN,)
    app_secret: str = defaults.APP_SECRET  # signs callbacks, proves tokens
    require_proof: bool = False  # refuse calls without appsecret_proof

    # Callbacks
    callback_url: str | None = None  # the app's own address; subscriptions of an account or a number win over it
    verify_token: str = ""  # what the app's own address is verified with
    parallel: int = 8  # callbacks in flight at a time
    batch: int = 1000  # updates in one callback, at most: more than one only when they pile up or are gathered
    gather_s: float = 0.0  # how long an update waits for others to share its callback
    most_owed: int = 300_000  # updates that wait to be called back; beyond, sends are refused with 130429
    retry_first_s: float = 0.2  # the gap after the first callback that was not answered with 200; then doubled
    retry_longest_s: float = 10.0
    retry_for_s: float = 7 * 24 * 3600.0  # then an update is given up
    callback_timeout_s: float = 10.0
    duplicates: int = 0  # how many more times every callback is posted
    shuffle: bool = False  # post what is due at one time in any order
    early: bool = False  # post the first status of a message before the answer to its send

    # Times
    sent_after_s: float = defaults.SENT_AFTER_S
    delivered_after_s: float = defaults.DELIVERED_AFTER_S
    read_after_s: float = defaults.READ_AFTER_S
    late_after_s: float = defaults.LATE_AFTER_S  # of the recipients whose status comes late
    hang_s: float = defaults.HANG_S  # how long a send that is never answered is held open
    review_after_s: float = defaults.REVIEW_AFTER_S  # a template that was created waits so long for its approval
    media_url_life_s: float = defaults.MEDIA_URL_LIFE_S

    # Statuses
    read: bool = False  # everybody reads, not only the recipients that are known for it
    skip_delivered: bool = False  # who reads does so without a `delivered` before it
    reference_on_failed: bool = True  # biz_opaque_callback_data on `failed`: nothing is promised
    contacts_on_failed: bool = False  # Meta leaves `contacts` out of `failed`; some clients cannot bear that
    conversation: bool = False  # the conversation object of v23.0 and older
    other_wa_id: bool = False  # wa_id differs from the number that was asked for, where a country knows that

    # Limits
    throughput_per_s: int | None = None  # per number; left out: what the number's level says
    pace_limit: bool = True  # 130429
    pair_limit: bool = True  # 131056
    window: str = OPEN  # open: everybody wrote a moment ago; refuse, fail: 131047 at once, or as a failed status
    fetch_links: bool = False  # fetch linked media as Meta does, and fail with 131053 when that cannot be done

    memory: int = 100_000  # messages that are remembered without a data file; the count stays exact


def address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
