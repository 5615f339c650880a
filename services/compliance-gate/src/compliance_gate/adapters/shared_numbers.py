"""What is kept under a number's keyed hash: contacts and refusals, mirrored from the rows of the number's holders.

A contact that names only a contact point counts on every number that the contact point ever had.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from compliance_gate.ports import Tx
from shared.contracts import STANDINGS_RISING

ContactKey = tuple[str, str]
"""Borrower and contact."""

COUNTS: Final = "(c.proof > 0 OR c.reserved_submission > c.ended_submission)"
_STATES: Final = ("reserved", *STANDINGS_RISING[1:], "external")
"""By how sure it is that a contact was made: what isn't made at all counts, if it does, by the slot that it has."""
STATE: Final = f"(ARRAY{list(_STATES)})[c.proof + 1]"

_DERIVED_CONTACTS: Final = f"""
    SELECT k.number_key, c.borrower_id, c.contact_id, c.at, c.channel,
           COALESCE(NULLIF(c.party, ''), 'borrower') AS party, COALESCE(NULLIF(c.purpose, ''), 'demand') AS purpose,
           c.made_by, {STATE} AS state, c.result, {COUNTS} AS counts
    FROM touched t
    JOIN contact c ON c.borrower_id = t.borrower_id AND c.contact_id = t.contact_id AND c.direction = 'outbound'
    CROSS JOIN LATERAL (
        SELECT c.number_key WHERE c.number_key IS NOT NULL
        UNION
        SELECT h.number_key FROM number_holder h
        WHERE c.number_key IS NULL AND h.borrower_id = c.borrower_id AND h.contact_point_id = c.contact_point_id
    ) k
"""
_TOUCHED: Final = "touched AS (SELECT * FROM unnest($1::text[], $2::text[]) AS u(borrower_id, contact_id))"
_RENUMBERED: Final = """touched AS (
    SELECT c.borrower_id, c.contact_id FROM contact c
    WHERE c.borrower_id = ANY($1::text[]) AND c.number_key IS NULL AND c.contact_point_id IS NOT NULL)"""
_INSERT_CONTACTS: Final = f"""
INSERT INTO number_contact AS n (number_key, borrower_id, contact_id, at, channel, party, purpose, made_by, state,
                                 result, counts)
{_DERIVED_CONTACTS}
ON CONFLICT (number_key, borrower_id, contact_id) DO UPDATE SET
    at = excluded.at, channel = excluded.channel, party = excluded.party, purpose = excluded.purpose,
    made_by = excluded.made_by, state = excluded.state, result = excluded.result, counts = excluded.counts
WHERE (n.at, n.channel, n.party, n.purpose, n.made_by, n.state, n.result, n.counts) IS DISTINCT FROM
      (excluded.at, excluded.channel, excluded.party, excluded.purpose, excluded.made_by, excluded.state,
       excluded.result, excluded.counts)
"""
_DELETE_CONTACTS: Final = f"""
WITH {_TOUCHED}
DELETE FROM number_contact n USING touched t, number_holder h
WHERE n.borrower_id = t.borrower_id AND n.contact_id = t.contact_id AND h.borrower_id = t.borrower_id
  AND n.number_key = h.number_key
  AND NOT EXISTS (SELECT 1 FROM ({_DERIVED_CONTACTS}) d
                  WHERE (d.number_key, d.borrower_id, d.contact_id) = (n.number_key, n.borrower_id, n.contact_id))
"""

_DERIVED_SUPPRESSIONS: Final = """
    SELECT h.number_key, c.borrower_id, c.consent_id AS suppression_id, COALESCE(c.channel, '') AS channel, c.since,
           c.until, (c.in_force AND c.kind = 'opt_out') AS in_force
    FROM consent c
    JOIN number_holder h ON h.borrower_id = c.borrower_id AND h.contact_point_id = c.contact_point_id
    WHERE c.borrower_id = ANY($1::text[])
"""
_INSERT_SUPPRESSIONS: Final = f"""
INSERT INTO number_suppression AS n (number_key, borrower_id, suppression_id, channel, since, until, in_force)
{_DERIVED_SUPPRESSIONS}
ON CONFLICT (number_key, borrower_id, suppression_id) DO UPDATE SET
    channel = excluded.channel, since = excluded.since, until = excluded.until, in_force = excluded.in_force
WHERE (n.channel, n.since, n.until, n.in_force) IS DISTINCT FROM
      (excluded.channel, excluded.since, excluded.until, excluded.in_force)
RETURNING number_key, channel, suppression_id, in_force
"""
_DELETE_SUPPRESSIONS: Final = f"""
DELETE FROM number_suppression n USING number_holder h
WHERE h.borrower_id = ANY($1::text[]) AND n.number_key = h.number_key AND n.borrower_id = h.borrower_id
  AND NOT EXISTS (SELECT 1 FROM ({_DERIVED_SUPPRESSIONS}) d WHERE
                  (d.number_key, d.borrower_id, d.suppression_id) = (n.number_key, n.borrower_id, n.suppression_id))
"""


async def mirror_contacts(
    tx: Tx, keys: Sequence[ContactKey], *, replaced: Sequence[ContactKey], renumbered: Collection[str]
) -> None:
    """Bring the numbers' contacts in line with these contacts, and with those of `renumbered` borrowers.

    Only those of `replaced` may have been on another number, or none, before.
    """
    if replaced:
        await tx.exec_driver_sql(_DELETE_CONTACTS, _arrays(replaced))
    if keys or replaced:
        await tx.exec_driver_sql(f"WITH {_TOUCHED_ONCE} {_INSERT_CONTACTS}", _arrays([*keys, *replaced]))
    if renumbered:
        await tx.exec_driver_sql(f"WITH {_RENUMBERED} {_INSERT_CONTACTS}", (sorted(renumbered),))


_TOUCHED_ONCE: Final = _TOUCHED.replace("SELECT *", "SELECT DISTINCT *")


def _arrays(keys: Sequence[ContactKey]) -> tuple[list[str], list[str]]:
    return [borrower_id for borrower_id, _ in keys], [contact_id for _, contact_id in keys]


async def mirror_suppressions(tx: Tx, borrower_ids: Collection[str]) -> list[tuple[str, str, str]]:
    """Bring the numbers' refusals in line with these borrowers' wishes; those that came into force are returned."""
    arrays = (sorted(borrower_ids),)
    await tx.exec_driver_sql(_DELETE_SUPPRESSIONS, arrays)
    result = await tx.exec_driver_sql(_INSERT_SUPPRESSIONS, arrays)
    return [(row.number_key, row.channel, row.suppression_id) for row in result if row.in_force]
