"""What schemathesis must be told of this API beside its description."""

import re

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

# Codes of refusals that rest on what is there, on settings, or on what was asked before.
CODES_BEYOND_A_SCHEMA = {"amount_out_of_range", "idempotency_key_reused", "payment_declined", "unknown_seat"}

# Details of `invalid_request` that rest on what is there, or on how members fit together.
DETAILS_BEYOND_A_SCHEMA = (
    "a complimentary order costs nothing",
    "a reservation of this schedule has at most [0-9]+ seats",
    "a seat of the row would be more than 1000000 away from the origin",
    "a price type is not sold in the grade of its place",
    "a seat id has 1 to 128 printable characters",
    "a schedule has at most .*",
    "a venue has at least one seat, or an area",
    "a venue has at most 250,000 seats",
    "a vector has every seat: leave it out",
    "at least one seat is needed",
    "comes twice",
    "either bestAvailable or seats and areas, not both",
    "is needed with (amount|at|step|x|y)",
    "is read only: leave it out, or send what GET gives now",
    "must be earlier than salesCloseAt \\(startsAt if absent\\)",
    "must add up to count",
    "must be later than (now|opensAt|startsAt|validFrom)",
    "must be the id that the path names, or be left out",
    "must have at least as many places as are held and sold of it",
    "must be the unused token of a mail of the last hour; sign up again",
    "names a price type that the concert doesn't have",
    "must name another seat of the venue that is accessible",
    "must not be later than (endsAt|salesOpenAt|salesCloseAt \\(startsAt if absent\\))",
    "must not overlap the phase .*",
    "must have either percent or amountPerSeat",
    "not the name of an IANA time zone",
    "seats, areas or bestAvailable is needed",
    "the area is named twice",
    "the concert has no price for a grade of its venue",
    "the concert has no such price types?( for these seats)?",
    "the (fee|grade|price type) comes twice",
    "the first price type is the default: it costs the grade's price",
    "the schedule has no such allotment",
    "the schedule's policy has no such phase",
    "the venue has no seats of this grade",
    "the venue has an area of the same id",
    "the venue has no such (area|floor, or the section is on another|grade|section)",
    "the venue has rows or areas of a grade without a price here: .*",
    "the venue has a seat of the same id",
    "there is no such (concert|user|venue)",
    "this (floor has a section|section has a row) of the same id",
    # The description says that they are unique: schemathesis takes a word of a dictionary twice all the same.
    "the seat is named twice",
)


LETTERS = {
    r"[^\x00-,/;-@\[-^`{-\x9f]": "[A-Za-z0-9_.:\u00e0-\u00f6\uac00-\ud7a3-]",
    r"[^\x00-/:-@\[-`{-\x9f]": "[A-Za-z0-9\u00e0-\u00f6\uac00-\ud7a3]",
    r"[^\x00-,./:-@\[-`{-\x9f]": "[A-Za-z0-9\u00e0-\u00f6\uac00-\ud7a3-]",
}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Has letters made where a pattern leaves what is not ASCII to its words, since no class of every engine says which characters are letters."""
    for schema in within(raw_schema):
        if isinstance(schema.get("pattern"), str):
            for wide, letters in LETTERS.items():
                schema["pattern"] = schema["pattern"].replace(wide, letters)


def within(value):
    """Finds all objects."""
    if isinstance(value, dict):
        yield value
    for inside in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from within(inside)


@schemathesis.hook
def map_body(context, body):
    """Writes whole numbers as such: to JSON Schema 7.0 is one, too, but money has no fractions here, not even of zero."""
    return whole(body)


def whole(value):
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: whole(inside) for name, inside in value.items()}
    if isinstance(value, list):
        return [whole(inside) for inside in value]
    return value


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Lets requests be refused that are as described, where no schema can say why they can't be carried out; and lets ids be taken that are
    as described, where schemathesis doesn't know their letters."""
    if isinstance(failure, RejectedPositiveData):
        return not is_beyond_a_schema(case, response)
    if isinstance(failure, AcceptedNegativeData):
        return not any(is_of_other_letters(text) for text in ids(case))
    return True


def ids(case):
    """Finds the ids of a request that are texts."""
    members = [*case.path_parameters.items(), *case.query.items(), *(pair for inside in within(case.body) for pair in inside.items())]
    return [text for name, text in members if name.endswith("Id") and isinstance(text, str)]


def is_of_other_letters(text):
    """Tells whether an id is one of which schemathesis thinks otherwise: of its letters it knows the Latin ones alone."""
    return all(letter.isalnum() or letter in "_.:-" for letter in text) and any(letter > "\u024f" for letter in text)


def is_beyond_a_schema(case, response):
    # A schema bounds each text and list, and no document.
    if response.status_code == 413:
        return True
    problem = response.json()
    if problem["code"] == "malformed_request":
        # A cursor's text is the list's own.
        return "cursor" in case.query and "cursor" in problem["detail"]
    if problem["code"] == "invalid_request":
        return all(any(re.fullmatch(known, error["detail"]) for known in DETAILS_BEYOND_A_SCHEMA) for error in problem["errors"])
    return problem["code"] in CODES_BEYOND_A_SCHEMA
