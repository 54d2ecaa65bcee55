"""The table of errors: each row of whatsapp-cloud-api.md §14.3 as an answer and as a report."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from heliograph.channels.contract import Scope, SendOutcome, Verdict
from heliograph.channels.whatsapp import codes
from heliograph.channels.whatsapp.codes import (
    CODES,
    describe_code,
    details_of,
    list_codes,
    outcome_of_error,
    outcome_of_failed_status,
    outcome_without_code,
)

FAIL, RETRY, SLOW, PAIR, LATER, HOLD, UNKNOWN = (
    Verdict.FAIL,
    Verdict.RETRY,
    Verdict.SLOW,
    Verdict.PAIR,
    Verdict.LATER,
    Verdict.HOLD,
    Verdict.UNKNOWN,
)
MESSAGE, TEMPLATE, NUMBER, ACCOUNT, APP = (
    Scope.MESSAGE,
    Scope.TEMPLATE,
    Scope.NUMBER,
    Scope.BUSINESS_ACCOUNT,
    Scope.APP,
)

# code, HTTP status, verdict, scope, our word
ROWS: list[tuple[int, int, Verdict, Scope, str]] = [
    (0, 401, HOLD, APP, "token_invalid"),
    (1, 400, RETRY, MESSAGE, "carrier_error"),
    (1, 500, UNKNOWN, MESSAGE, "no_answer"),
    (2, 400, RETRY, MESSAGE, "carrier_unavailable"),
    (2, 503, UNKNOWN, MESSAGE, "no_answer"),
    (3, 500, HOLD, APP, "permission_missing"),
    (4, 400, SLOW, APP, "throttled"),
    (4, 429, SLOW, APP, "throttled"),
    (10, 403, HOLD, APP, "permission_missing"),
    (33, 400, HOLD, NUMBER, "number_gone"),
    (100, 400, FAIL, MESSAGE, "invalid_parameter"),
    (104, 400, HOLD, APP, "token_invalid"),
    (2500, 400, HOLD, APP, "token_invalid"),
    (190, 401, HOLD, APP, "token_invalid"),
    (200, 403, HOLD, APP, "permission_missing"),
    (299, 403, HOLD, APP, "permission_missing"),
    (368, 403, HOLD, ACCOUNT, "policy_block"),
    (80007, 400, SLOW, ACCOUNT, "throttled"),
    (130403, 400, FAIL, MESSAGE, "recipient_blocked"),
    (130429, 400, SLOW, NUMBER, "throttled"),
    (130429, 429, SLOW, NUMBER, "throttled"),
    (130472, 400, FAIL, MESSAGE, "held_back_by_experiment"),
    (130497, 403, FAIL, MESSAGE, "country_restricted"),
    (131000, 400, RETRY, MESSAGE, "carrier_error"),
    (131000, 500, UNKNOWN, MESSAGE, "no_answer"),
    (131005, 403, HOLD, NUMBER, "permission_missing"),
    (131008, 400, FAIL, MESSAGE, "parameter_missing"),
    (131009, 400, FAIL, MESSAGE, "invalid_parameter"),
    (131016, 400, RETRY, MESSAGE, "carrier_unavailable"),
    (131016, 500, UNKNOWN, MESSAGE, "no_answer"),
    (131020, 400, FAIL, MESSAGE, "group_error"),
    (131021, 400, FAIL, MESSAGE, "recipient_is_sender"),
    (131026, 400, FAIL, MESSAGE, "not_on_whatsapp"),
    (131030, 400, FAIL, MESSAGE, "not_in_test_list"),
    (131031, 403, HOLD, ACCOUNT, "account_locked"),
    (131035, 400, FAIL, MESSAGE, "no_storage"),
    (131037, 400, HOLD, NUMBER, "name_not_approved"),
    (131041, 400, FAIL, MESSAGE, "group_error"),
    (131042, 400, HOLD, ACCOUNT, "payment_issue"),
    (131044, 400, HOLD, ACCOUNT, "payment_issue"),
    (131045, 500, HOLD, NUMBER, "not_registered"),
    (131047, 400, FAIL, MESSAGE, "window_closed"),
    (131048, 400, HOLD, NUMBER, "spam_limit"),
    (131049, 400, FAIL, MESSAGE, "marketing_cap"),
    (131050, 400, FAIL, MESSAGE, "opted_out"),
    (131051, 400, FAIL, MESSAGE, "unsupported_type"),
    (131052, 400, FAIL, MESSAGE, "media_gone"),
    (131053, 400, RETRY, MESSAGE, "media_unreachable"),
    (131055, 400, FAIL, MESSAGE, "not_allowed"),
    (131056, 400, PAIR, MESSAGE, "pair_limit"),
    (131057, 500, LATER, NUMBER, "maintenance"),
    (131059, 400, FAIL, MESSAGE, "group_error"),
    (131062, 400, FAIL, MESSAGE, "needs_a_number"),
    (131063, 400, FAIL, TEMPLATE, "marketing_switched_off"),
    (131064, 400, HOLD, ACCOUNT, "classification_limit"),
    (131205, 400, FAIL, MESSAGE, "group_error"),
    (132000, 400, FAIL, MESSAGE, "template_parameters"),
    (132001, 404, FAIL, TEMPLATE, "template_missing"),
    (132005, 400, FAIL, MESSAGE, "template_too_long"),
    (132007, 400, FAIL, TEMPLATE, "template_policy"),
    (132008, 400, FAIL, MESSAGE, "template_parameters"),
    (132012, 400, FAIL, MESSAGE, "template_parameters"),
    (132015, 400, FAIL, TEMPLATE, "template_paused"),
    (132016, 400, FAIL, TEMPLATE, "template_disabled"),
    (132018, 400, FAIL, MESSAGE, "template_parameters"),
    (132068, 400, FAIL, TEMPLATE, "flow_blocked"),
    (132069, 400, LATER, MESSAGE, "flow_throttled"),
    (133000, 500, HOLD, NUMBER, "not_registered"),
    (133004, 400, RETRY, MESSAGE, "carrier_unavailable"),
    (133004, 503, UNKNOWN, MESSAGE, "no_answer"),
    (133005, 400, FAIL, MESSAGE, "wrong_pin"),
    (133006, 400, FAIL, MESSAGE, "not_verified"),
    (133008, 400, FAIL, MESSAGE, "wrong_pin"),
    (133009, 400, FAIL, MESSAGE, "wrong_pin"),
    (133010, 400, HOLD, NUMBER, "not_registered"),
    (133015, 400, LATER, NUMBER, "number_just_deleted"),
    (133016, 400, HOLD, NUMBER, "register_limit"),
    (134011, 500, FAIL, MESSAGE, "payment_terms"),
    (134100, 400, FAIL, MESSAGE, "marketing_only"),
    (134101, 400, LATER, MESSAGE, "template_syncing"),
    (134102, 500, FAIL, TEMPLATE, "template_unavailable"),
    (135000, 400, FAIL, MESSAGE, "invalid_parameter"),
    (136024, 400, FAIL, MESSAGE, "already_verified"),
    (137000, 400, FAIL, MESSAGE, "identity_changed"),
    (139200, 400, FAIL, MESSAGE, "direct_send_blocked"),
    (147003, 400, FAIL, MESSAGE, "username_refused"),
    (2388019, 400, FAIL, MESSAGE, "template_limit"),
    (2388023, 400, FAIL, MESSAGE, "template_name_banned"),
    (2388024, 400, FAIL, MESSAGE, "template_exists"),
    (2388039, 400, FAIL, MESSAGE, "template_locked"),
    (2388040, 400, FAIL, MESSAGE, "template_too_long"),
    (2388043, 400, FAIL, MESSAGE, "template_example"),
    (2388047, 400, FAIL, MESSAGE, "template_header"),
    (2388072, 400, FAIL, MESSAGE, "template_body"),
    (2388073, 400, FAIL, MESSAGE, "template_footer"),
    (2388293, 400, FAIL, MESSAGE, "template_variables"),
    (2388299, 400, FAIL, MESSAGE, "template_variables"),
    (2593002, 400, FAIL, MESSAGE, "template_unknown"),
    (2494100, 400, LATER, NUMBER, "maintenance"),
]
BESIDE_THE_REFERENCE = {2200}  # of a call that is not a send


@pytest.mark.parametrize(("code", "status", "verdict", "scope", "word"), ROWS)
def test_answer(code: int, status: int, verdict: Verdict, scope: Scope, word: str) -> None:
    """Each code's answer means what the table of the reference says; the carrier's own code is kept."""
    outcome = outcome_of_error(code, http_status=status)
    assert (outcome.verdict, outcome.scope, outcome.code) == (verdict, scope, word)
    assert (outcome.carrier_code, outcome.http_status) == (str(code), status)
    assert outcome.sentence
    assert outcome.advice


def test_every_code_is_in_the_cases() -> None:
    """A code that is added to the table is added to the cases."""
    assert set(CODES) - {row[0] for row in ROWS} == BESIDE_THE_REFERENCE


@pytest.mark.parametrize("code", sorted({row[0] for row in ROWS}))
def test_report(code: int) -> None:
    """In a `failed` report a code ends the message or, with the reach that it has in an answer, stops more than that."""
    outcome = outcome_of_failed_status([{"code": code, "title": "T"}])
    answered = outcome_of_error(code)
    holds = answered.verdict is HOLD
    assert (outcome.verdict, outcome.scope) == (HOLD if holds else FAIL, answered.scope)
    assert (outcome.http_status, outcome.retry_after_s) == (None, answered.retry_after_s if holds else None)
    assert outcome.carrier_code == str(code)
    assert outcome.sentence.endswith("(The carrier says: T)")
    assert "Nothing; it is tried again" not in outcome.advice


@pytest.mark.parametrize("row", CODES.values(), ids=lambda row: row.word)
def test_sentences(row: codes.CarrierCode) -> None:
    """Words are stable names; sentences and advice are whole sentences for a person."""
    assert re.fullmatch(r"[a-z][a-z_]+", row.word)
    for sentence in (row.sentence, row.advice):
        assert sentence[0].isupper()
        assert sentence.endswith(".")


def test_what_passes_by_itself_stops_no_template() -> None:
    """The scope TEMPLATE lasts until somebody mends the template, so only refusals for good have it."""
    assert {row.verdict for row in CODES.values() if row.scope is TEMPLATE} == {FAIL}


@pytest.mark.parametrize(
    ("code", "seconds"),
    [(131057, 60), (133015, 300), (134101, 600), (132069, 3600), (131048, 4 * 3600), (133016, 72 * 3600)],
)
def test_waits(code: int, seconds: int) -> None:
    """What passes has a time after which it is tried again."""
    assert outcome_of_error(code).retry_after_s == seconds


def test_the_carriers_wish() -> None:
    """Retry-After counts where waiting is the remedy, never shortens the table, and ends no hold."""
    assert outcome_of_error(130429, retry_after_s=7.0).retry_after_s == 7.0
    assert outcome_of_error(131057, retry_after_s=7.0).retry_after_s == 60.0
    assert outcome_of_error(131057, retry_after_s=90.0).retry_after_s == 90.0
    assert outcome_of_error(190, retry_after_s=7.0).retry_after_s is None


def test_unknown_object() -> None:
    """Code 100 with subcode 33 is about the number's id, not about the message."""
    outcome = outcome_of_error(100, subcode=33)
    assert (outcome.verdict, outcome.scope, outcome.code) == (HOLD, NUMBER, "number_unknown")


def test_wrong_proof() -> None:
    """Code 100 about the app secret's proof would fail every message: they wait instead."""
    outcome = outcome_of_error(100, details="Invalid appsecret_proof provided in the API argument")
    assert (outcome.verdict, outcome.scope, outcome.code) == (HOLD, APP, "app_secret_wrong")


@pytest.mark.parametrize(
    ("status", "transient", "verdict"),
    [(400, False, FAIL), (404, False, FAIL), (400, True, RETRY), (500, False, UNKNOWN), (503, True, UNKNOWN)],
)
def test_codes_of_tomorrow(status: int, transient: bool, verdict: Verdict) -> None:
    """A code that the table lacks: refused with a 4xx, unknown with a 5xx; believed when it calls itself transient."""
    outcome = outcome_of_error(999_001, http_status=status, transient=transient)
    assert outcome.verdict is verdict
    assert outcome.carrier_code == "999001"


def test_codes_of_tomorrow_are_logged_once() -> None:
    """The alarm on first sight, in answers and in reports alike."""
    codes.unknown_codes_logged.discard(999_002)
    with capture_logs() as logs:
        outcome_of_error(999_002, subcode=5)
        outcome_of_error(999_002)
        outcome_of_failed_status([{"code": 999_002}])
    (entry,) = logs
    assert (entry["event"], entry["carrier_code"], entry["subcode"]) == ("carrier_code_unknown", 999_002, 5)


@pytest.mark.parametrize(
    ("status", "verdict", "word"),
    [
        (429, SLOW, "throttled"),
        (401, HOLD, "access_refused"),
        (403, HOLD, "access_refused"),
        (407, HOLD, "access_refused"),
        (404, HOLD, "bad_base_url"),
        (405, HOLD, "bad_base_url"),
        (302, HOLD, "bad_base_url"),
        (400, FAIL, "carrier_refused"),
        (413, FAIL, "carrier_refused"),
        (408, UNKNOWN, "no_answer"),
        (303, UNKNOWN, "no_answer"),
        (500, UNKNOWN, "no_answer"),
        (502, UNKNOWN, "no_answer"),
        (504, UNKNOWN, "no_answer"),
        (599, UNKNOWN, "no_answer"),
    ],
)
def test_answers_without_a_code(status: int, verdict: Verdict, word: str) -> None:
    """Where nothing but the HTTP status is readable, a refusal is one, and the rest is unknown. No code is invented."""
    outcome = outcome_without_code(status, retry_after_s=9.0)
    assert (outcome.verdict, outcome.code, outcome.carrier_code) == (verdict, word, None)
    assert outcome.retry_after_s == (9.0 if verdict is SLOW else None)


@pytest.mark.parametrize(
    ("error", "details"),
    [
        ({"error_data": {"details": "D"}, "message": "M", "title": "T"}, "D"),
        ({"error_data": "plain", "message": "M"}, "plain"),
        ({"error_data": {"details": " "}, "message": "M", "title": "T"}, "M"),
        ({"error_user_msg": "U", "message": "M"}, "U"),
        ({"title": "T"}, "T"),
        ({"error_data": [1], "message": 5, "title": None}, ""),
        ({}, ""),
    ],
)
def test_details(error: dict[str, Any], details: str) -> None:
    """The most telling text that an error has, old shapes included (§6)."""
    assert details_of(error) == details


@pytest.mark.parametrize("errors", [[], [None], [5, "x"], [{}], [{"code": None}], [{"code": True}], [{"code": "x"}]])
def test_reports_without_a_code(errors: list[Any]) -> None:
    """A failure that does not say why is a failure all the same."""
    outcome = outcome_of_failed_status(errors)
    assert (outcome.verdict, outcome.code, outcome.carrier_code) == (FAIL, "carrier_refused", None)


@pytest.mark.parametrize("errors", [[{"code": "131026"}], [None, {"title": "x"}, {"code": 131026}]])
def test_reports_of_odd_shapes(errors: list[Any]) -> None:
    """A code as text, or in the second place, is found."""
    assert outcome_of_failed_status(errors).code == "not_on_whatsapp"


def test_descriptions() -> None:
    """What `explain` shows for a code as text; anything else gets the general sentence."""
    meaning, advice = describe_code("131047")
    assert "24 hours" in meaning
    assert "template" in advice
    general = describe_code("999001")
    assert {describe_code(odd) for odd in ("", "-404", "--5", "x", "²", "9" * 5000, "13 1047")} == {general}


def test_the_list_for_the_documentation() -> None:
    """Every row once, in order."""
    listed = list_codes()
    assert [one.carrier_code for one in listed] == sorted(CODES)
    assert {one.carrier_code: one.code for one in listed}[131026] == "not_on_whatsapp"


@pytest.mark.parametrize("code", sorted(CODES))
def test_never_sent_twice(code: int) -> None:
    """No code makes a 5xx that may hide an acceptance into another attempt."""
    assert {outcome_of_error(code, http_status=status).verdict for status in (500, 502, 503)} <= set(Verdict) - {RETRY}


@given(
    code=st.integers() | st.sampled_from(sorted(CODES)),
    subcode=st.none() | st.integers(),
    status=st.integers(100, 599),
    transient=st.booleans(),
    wait=st.none() | st.floats(0, 1e6),
)
def test_no_error_is_an_acceptance(
    code: int, subcode: int | None, status: int, transient: bool, wait: float | None
) -> None:
    """Any code with any status is a verdict other than accepted, with a sentence."""
    outcome: SendOutcome = outcome_of_error(
        code, subcode=subcode, http_status=status, transient=transient, retry_after_s=wait
    )
    assert outcome.verdict is not Verdict.ACCEPTED
    assert outcome.sentence
