"""Reading facts: one statement for all borrowers of a batch, each borrower's facts as one JSON text.

The database writes the JSON in the shape of the domain's structs, so that each borrower costs one decode.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from compliance_gate.adapters import tables
from compliance_gate.adapters.merging import UNCOUNTED, UNPOSTED
from compliance_gate.adapters.shared_numbers import COUNTS, STATE
from compliance_gate.domain.facts import OptOut, PastContact, Stop
from compliance_gate.domain.kept_facts import LoadedFacts, NumberFacts, Profile
from compliance_gate.ports import LockedBorrower, Tx
from shared.postgres.rows import lock_borrowers

_NUMBER: Final = """COALESCE(c.number_key, CASE WHEN c.contact_point_id IS NOT NULL THEN (
    SELECT h.number_key FROM number_holder h
    WHERE h.borrower_id = c.borrower_id AND h.contact_point_id = c.contact_point_id
    ORDER BY h.last_at DESC, h.number_key LIMIT 1) END)"""

_CONTACTS: Final = f"""
    SELECT string_agg(
        '{{"contact_id":"' || c.contact_id || '","at":' || to_json(c.at) || ',"channel":"' || c.channel
        || '","direction":"' || c.direction || '","state":"' || {STATE} || '","by":"' || c.made_by
        || COALESCE('","party":"' || NULLIF(c.party, ''), '') || COALESCE('","purpose":"' || NULLIF(c.purpose, ''), '')
        || COALESCE('","result":"' || c.result, '') || COALESCE('","number_key":"' || {_NUMBER}, '')
        || COALESCE('","reply_to":"' || c.reply_to, '') || '","loans":' || c.loans::text
        || COALESCE(',"discussed":' || c.discussed::text, '') || '}}', ',' ORDER BY c.at DESC, c.contact_id)
    FROM contact c
    WHERE c.borrower_id = b.borrower_id AND {COUNTS}
      AND (c.at >= $3 OR c.party NOT IN ('', 'borrower') OR c.result = 'wrong_person')
"""
"""Put together as text, which takes half the time of json_agg: every value is an identifier or from a closed set."""

_FACTS: Final = f"""
SELECT b.borrower_id,
  (SELECT json_agg(json_build_object('kind', kind, 'since', since, 'until', until, 'loans', loans)
                   ORDER BY since, restriction_id)::text FROM restriction r
   WHERE r.borrower_id = b.borrower_id AND active AND (until IS NULL OR until > $2)),
  (SELECT json_agg(json_build_object('kind', kind, 'since', since, 'until', until, 'channel', channel, 'loans', loans)
                   ORDER BY since, consent_id)::text FROM consent c
   WHERE c.borrower_id = b.borrower_id AND in_force AND kind IN ('call_back', 'outside_hours', 'channel')
     AND (until IS NULL OR until > $2)),
  (SELECT json_agg(DISTINCT jsonb_build_object('channel', channel, 'since', since, 'number_key', h.number_key))::text
   FROM consent c LEFT JOIN number_holder h
     ON h.borrower_id = c.borrower_id AND h.contact_point_id = c.contact_point_id
   WHERE c.borrower_id = b.borrower_id AND in_force AND kind IN ('opt_out', 'wrong_number')
     AND (until IS NULL OR until > $2)),
  (SELECT json_agg(json_build_object('days', days, 'start_minute', start_minute, 'end_minute', end_minute,
                                     'place', place, 'since', since, 'until', until) ORDER BY since, consent_id)::text
   FROM consent c WHERE c.borrower_id = b.borrower_id AND in_force AND kind = 'inconvenient'
     AND (until IS NULL OR until > $2)),
  '[' || ({_CONTACTS}) || ']',
  (SELECT json_agg(json_build_object('loan_id', loan_id, 'overdue_minor', overdue_minor,
                                     'outstanding_minor', outstanding_minor, 'currency', currency,
                                     'balance_version', balance_version,
                                     'closed', closed_in_book OR closed_by_lender) ORDER BY loan_id)::text FROM loan l
   WHERE l.borrower_id = b.borrower_id AND balance_version IS NOT NULL),
  (SELECT json_agg(json_build_object('payment_id', payment_id, 'loan_id', loan_id,
                                     'until', CASE WHEN NOT ({UNPOSTED}) THEN uncounted_at + $4::interval END,
                                     'balance_version', uncounted_version,
                                     'snapshot_version', CASE WHEN uncounted_at IS NOT NULL THEN (
                                       SELECT snapshot_version FROM loan l
                                       WHERE l.borrower_id = p.borrower_id AND l.loan_id = p.loan_id) END
                                    ) ORDER BY payment_id, loan_id)::text
   FROM payment p WHERE p.borrower_id = b.borrower_id
     AND ({UNPOSTED} OR ({UNCOUNTED} AND uncounted_at + $4::interval > $2)))
FROM unnest($1::text[]) AS b(borrower_id)
"""
_FIELDS: Final = (
    "restrictions",
    "consents",
    "opt_outs",
    "inconveniences",
    "history",
    "loans",
    "unposted_payments",
)

_NUMBER_CONTACTS: Final = """
WITH shared AS (
    SELECT number_key FROM number_holder WHERE number_key = ANY($1::text[])
    GROUP BY number_key HAVING count(DISTINCT borrower_id) > 1
)
SELECT number_key, borrower_id, json_build_object('contact_id', contact_id, 'at', at, 'channel', channel,
    'state', state, 'result', result, 'number_key', number_key, 'by', made_by, 'party', party,
    'purpose', purpose)::text AS contact
FROM shared JOIN number_contact USING (number_key)
WHERE counts AND (at >= $2 OR party <> 'borrower') ORDER BY at DESC, contact_id
"""
"""Only of numbers that several borrowers have: what one's own contacts are is read with the borrower."""

_NUMBER_SUPPRESSIONS: Final = """
SELECT number_key, borrower_id, channel, since FROM number_suppression
WHERE number_key = ANY($1::text[]) AND in_force AND (until IS NULL OR until > $2)
ORDER BY since, suppression_id
"""
_HOLDERS: Final = """
WITH wanted AS (
    SELECT unnest($1::text[]) AS number_key
    UNION
    SELECT h.number_key FROM unnest($2::text[], $3::text[]) AS p(borrower_id, contact_point_id)
    JOIN number_holder h USING (borrower_id, contact_point_id)
)
SELECT number_key, borrower_id FROM wanted LEFT JOIN number_holder USING (number_key)
"""

_facts_decoder: Final = msgspec.json.Decoder(LoadedFacts)
_contact_decoder: Final = msgspec.json.Decoder(PastContact)
_profile_decoder: Final = msgspec.json.Decoder(Profile)


class FactReads:
    """The reading half of `ports.GateStore`."""

    async def holders(
        self, tx: Tx, *, number_keys: Collection[str], contact_points: Collection[tuple[str, str]]
    ) -> Mapping[str, frozenset[str]]:
        """Who holds each of these numbers, and each number of these (borrower, contact point)s."""
        if not number_keys and not contact_points:
            return {}
        points = sorted(contact_points)
        arrays = (sorted(number_keys), [point[0] for point in points], [point[1] for point in points])
        holders: defaultdict[str, set[str]] = defaultdict(set)
        for row in await tx.exec_driver_sql(_HOLDERS, arrays):
            holders[row.number_key].update([row.borrower_id] if row.borrower_id is not None else ())
        return {number_key: frozenset(borrower_ids) for number_key, borrower_ids in holders.items()}

    async def lock_borrowers(self, tx: Tx, borrower_ids: Collection[str]) -> dict[str, LockedBorrower]:
        """Insert the missing rows, lock all in id order."""
        columns = ("sequence", "profile::text AS profile", "event_at", "event_source", "event_id")
        rows = await lock_borrowers(tx, tables.borrower, borrower_ids, columns=columns)
        return {
            borrower_id: LockedBorrower(
                sequence=row.sequence,
                profile=None if row.profile is None else _profile_decoder.decode(row.profile),
                order_key=None if row.profile is None else (row.event_at, row.event_source, row.event_id),
            )
            for borrower_id, row in rows.items()
        }

    async def lock_numbers(self, tx: Tx, number_keys: Collection[str]) -> None:
        """The same for numbers; always after the borrowers."""
        if not number_keys:
            return
        ordered = (sorted(number_keys),)
        await tx.exec_driver_sql(
            "INSERT INTO number (number_key) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING", ordered
        )
        await tx.exec_driver_sql(
            "SELECT 1 FROM number WHERE number_key = ANY($1::text[]) ORDER BY number_key FOR UPDATE", ordered
        )

    async def load_facts(
        self, tx: Tx, borrower_ids: Collection[str], *, now: datetime, since: datetime, late_for: timedelta
    ) -> Mapping[str, LoadedFacts]:
        """The facts of every borrower; contacts from `since` on, payments not in the balance for `late_for`."""
        result = await tx.exec_driver_sql(_FACTS, (list(borrower_ids), now, since, late_for))
        loaded = {}
        for row in result:
            borrower_id, *texts = tuple(row)
            parts = [f'"{name}":{text}' for name, text in zip(_FIELDS, texts, strict=True) if text is not None]
            loaded[borrower_id] = _facts_decoder.decode("{" + ",".join(parts) + "}")
        return loaded

    async def load_numbers(
        self, tx: Tx, number_keys: Collection[str], *, now: datetime, since: datetime
    ) -> Mapping[str, NumberFacts]:
        """What is kept under these numbers; a number that nothing is kept under may be missing."""
        keys = list(number_keys)
        contacts: defaultdict[str, list[tuple[str, PastContact]]] = defaultdict(list)
        for row in await tx.exec_driver_sql(_NUMBER_CONTACTS, (keys, since)):
            contacts[row.number_key].append((row.borrower_id, _contact_decoder.decode(row.contact)))
        refused: defaultdict[str, list[tuple[str, OptOut]]] = defaultdict(list)
        for row in await tx.exec_driver_sql(_NUMBER_SUPPRESSIONS, (keys, now)):
            opt_out = OptOut(channel=row.channel, since=row.since, number_key=row.number_key)
            refused[row.number_key].append((row.borrower_id, opt_out))
        return {
            number_key: NumberFacts(contacts=contacts[number_key], suppressions=refused[number_key])
            for number_key in {*contacts, *refused}
        }

    async def stops(self, tx: Tx) -> tuple[Stop, ...]:
        """The operators' stops in force."""
        rows = await tx.exec_driver_sql("SELECT kind, value, reason FROM stop WHERE in_force ORDER BY stop_id")
        return tuple(
            Stop(scope=row.kind, reason=row.reason, value=None if row.kind == "all" else row.value) for row in rows
        )
