"""The statements over permits. What forbids a permit stands here once, as an SQL expression, and mirrors
`domain.permits.block_of`; every statement that uses or ends an unused permit goes through it.

Parameters common to those: $1 the SMS provider's name, $2 the voice provider's name.
"""

from __future__ import annotations

from typing import Final

_PROVIDER: Final = "(CASE p.channel WHEN 'sms' THEN $1::text WHEN 'voice' THEN $2::text END)"

_USABLE: Final = (
    "(c.active AND c.holder <> 'third_party' AND k.wrapped_key IS NOT NULL AND CASE p.channel "
    "WHEN 'sms' THEN c.kind = 'mobile' WHEN 'voice' THEN c.kind IN ('mobile', 'landline') ELSE true END)"
)

_WIDE_STOPS: Final = (
    "(SELECT coalesce(array_agg(CASE s.kind WHEN 'all' THEN 'all' ELSE s.kind || ':' || s.value END), '{}') "
    "FROM operator_stop s WHERE NOT s.lifted AND s.kind <> 'borrower')"
)
"""Few, and the same for every row: read once for a statement."""

_UNUSED: Final = "{0}.sent_at IS NULL AND {0}.ended_at IS NULL"
"""The state `permitted` in other words (the table's checks say so): a row that its key names is looked up by its key,
never by the index of everything that is open, however small statistics take that to be."""


def in_hand(borrowers: str) -> str:
    """A common table expression that waits for the claims in hand of `borrowers` (an array) and keeps further ones off.

    In one order everywhere, so that no two who hold permits wait for each other.
    """
    return f"""in_hand AS MATERIALIZED (
  SELECT found.* FROM (SELECT DISTINCT borrower_id FROM unnest({borrowers}::text[]) AS u(borrower_id) ORDER BY 1) g
  CROSS JOIN LATERAL (
    SELECT 1 FROM permit o WHERE o.borrower_id = g.borrower_id AND {_UNUSED.format("o")}
    ORDER BY o.attempt_id, o.submission_number FOR UPDATE) found
)"""


REVOKE: Final = f"""
WITH given AS MATERIALIZED (
  SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
    AS g(borrower_id, borrower_sequence, revocation_id, channel, contact_point_id, loans, strategy, provider)
), {in_hand("$9")}
INSERT INTO revocation (borrower_id, borrower_sequence, revocation_id, channel, contact_point_id, loans, strategy,
  provider, recorded_at)
SELECT g.borrower_id, g.borrower_sequence, g.revocation_id, g.channel, g.contact_point_id,
  CASE WHEN g.loans IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(g.loans::jsonb)) END,
  g.strategy, g.provider, clock_timestamp()
FROM (SELECT count(*) FROM in_hand) locked CROSS JOIN given g
ORDER BY g.borrower_id, g.borrower_sequence, g.revocation_id
ON CONFLICT DO NOTHING"""
"""The columns of the revocations, loans as JSON, and $9 whose permits are held: it first waits for the claims in hand
of those and keeps further ones off, so that `recorded_at` is later than every claim that the revocation didn't prevent:
which of a claim and a revocation came first is told by their two instants, for good."""

_BLOCK: Final = f"""(CASE
  WHEN EXISTS (SELECT 1 FROM revocation r
       WHERE r.borrower_id = p.borrower_id AND r.borrower_sequence > p.borrower_sequence
         AND (r.channel IS NULL OR r.channel = p.channel)
         AND (r.contact_point_id IS NULL OR r.contact_point_id = p.contact_point_id)
         AND (r.strategy IS NULL OR r.strategy = p.strategy)
         AND (r.provider IS NULL OR r.provider = {_PROVIDER})
         AND (r.loans IS NULL OR r.loans && p.loans)) THEN 'revoked'
  WHEN {_WIDE_STOPS} && ARRAY['all', 'channel:' || p.channel, 'provider:' || {_PROVIDER}, 'strategy:' || p.strategy]
    THEN 'stopped'
  WHEN EXISTS (SELECT 1 FROM operator_stop s
       WHERE NOT s.lifted AND s.kind = 'borrower' AND s.value = p.borrower_id) THEN 'stopped'
  WHEN p.purpose <> 'opt_out_confirmation' AND EXISTS (SELECT 1 FROM suppression x
       WHERE x.number_hash = c.number_hash AND x.channel = p.channel) THEN 'stopped'
  WHEN EXISTS (SELECT 1 FROM permit o
       WHERE o.borrower_id = p.borrower_id AND o.attempt_id = p.attempt_id AND o.sent_at IS NOT NULL OFFSET 0)
    THEN 'rejected'
  WHEN c.contact_point_id IS NOT NULL AND NOT {_USABLE} THEN 'no_contact_point'
  WHEN {_PROVIDER} IS NULL THEN 'no_provider'
END)"""
"""`OFFSET 0` has it asked of each permit by its key; without it everything that was ever sent is read, to be kept."""

_JOINED: Final = (
    "permit p LEFT JOIN contact_point c ON c.borrower_id = p.borrower_id AND c.contact_point_id = p.contact_point_id "
    "LEFT JOIN borrower_key k ON k.borrower_id = p.borrower_id"
)

ENDED_COLUMNS: Final = (
    "p.borrower_id, p.attempt_id, p.submission_number, p.decision_id, p.channel, p.contact_point_id, p.loans, "
    "p.provider, p.state, p.reason, p.sent_at, p.ended_at"
)


_END: Final = f"""
UPDATE permit p SET state = 'not_made', reason = e.reason, provider = e.provider, ended_at = $3::timestamptz
FROM ending e
WHERE p.borrower_id = e.borrower_id AND p.attempt_id = e.attempt_id AND p.submission_number = e.submission_number
  AND {_UNUSED.format("p")}
RETURNING {ENDED_COLUMNS}"""


def _ending(condition: str, reason: str, tail: str) -> str:
    return f"""
WITH ending AS MATERIALIZED (
  SELECT p.borrower_id, p.attempt_id, p.submission_number, {reason} AS reason, {_PROVIDER} AS provider
  FROM {_JOINED} WHERE p.state = 'permitted' AND {condition} {tail}
){_END}"""


END_BLOCKED_OF: Final = f"""
WITH unused AS MATERIALIZED (
  SELECT found.* FROM (SELECT DISTINCT borrower_id FROM unnest($5::text[]) AS u(borrower_id) ORDER BY 1) wanted
  CROSS JOIN LATERAL (
    SELECT * FROM permit o WHERE o.borrower_id = wanted.borrower_id AND {_UNUSED.format("o")}
    ORDER BY o.attempt_id, o.submission_number LIMIT $4::bigint FOR UPDATE) found
), ending AS MATERIALIZED (
  SELECT p.borrower_id, p.attempt_id, p.submission_number, {_BLOCK} AS reason, {_PROVIDER} AS provider
  FROM {_JOINED.replace("permit p", "unused p")} WHERE {_BLOCK} IS NOT NULL
){_END}"""
"""$3 now, $4 limit for each borrower, $5 borrowers. It goes by the key of each borrower, whatever statistics
say, and waits for a claim in hand: what that has taken is no longer unused."""

END_BLOCKED: Final = _ending(f"{_BLOCK} IS NOT NULL", _BLOCK, "LIMIT $4::bigint FOR UPDATE OF p SKIP LOCKED")
"""$3 now, $4 limit."""

END_EXPIRED: Final = _ending(
    "p.expires_at <= $3::timestamptz",
    f"coalesce({_BLOCK}, CASE WHEN c.contact_point_id IS NULL THEN 'no_contact_point' ELSE 'permit_expired' END)",
    "ORDER BY p.expires_at LIMIT $4::bigint FOR UPDATE OF p SKIP LOCKED",
)
"""$3 now, $4 limit."""

CLAIM: Final = f"""
WITH ready AS MATERIALIZED (
  SELECT p.borrower_id, p.attempt_id, p.submission_number, c.value_sealed, c.number_hash, k.wrapped_key,
    b.name_sealed, b.region, b.zones, {_PROVIDER} AS provider
  FROM permit p
  JOIN contact_point c ON c.borrower_id = p.borrower_id AND c.contact_point_id = p.contact_point_id
  JOIN borrower_key k ON k.borrower_id = p.borrower_id
  JOIN borrower b ON b.borrower_id = p.borrower_id
  WHERE p.state = 'permitted' AND p.channel = $4::text AND p.expires_at > $3::timestamptz
    AND CASE WHEN {_BLOCK} IS NULL THEN true ELSE false END
    AND NOT EXISTS (SELECT 1 FROM permit o WHERE o.borrower_id = p.borrower_id AND o.attempt_id = p.attempt_id
         AND o.submission_number < p.submission_number AND {_UNUSED.format("o")})
  ORDER BY p.expires_at LIMIT $5::bigint FOR UPDATE OF p SKIP LOCKED
)
UPDATE permit p SET state = 'sending', owner = $6::text, lease_until = clock_timestamp() + $7::float8 * interval '1 s',
  claimed_at = clock_timestamp(), sent_at = $3::timestamptz, provider = r.provider, number_hash = r.number_hash
FROM ready r
WHERE p.borrower_id = r.borrower_id AND p.attempt_id = r.attempt_id AND p.submission_number = r.submission_number
  AND {_UNUSED.format("p")}
RETURNING p.borrower_id, p.attempt_id, p.submission_number, p.attempt_json, p.expires_at, r.value_sealed,
  r.wrapped_key, r.name_sealed, r.region, r.zones,
  EXISTS (SELECT 1 FROM permit o WHERE o.borrower_id = p.borrower_id AND o.sent_at IS NOT NULL
    AND o.channel = 'sms' AND o.state = 'made') AS contacted_before"""
"""$3 now, $4 channel, $5 limit, $6 owner, $7 lease in seconds of wall time. Soonest end first.

What forbids a permit is asked in a `CASE`, which the planner takes to let half of them pass. A bare `IS NULL` it takes
for one in two hundred, and then asks it of every permit that waits, to sort the few that it expects.
"""

RECORD: Final = f"""
WITH given AS (
  SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::text[])
    AS g(borrower_id, attempt_id, submission_number, outcome, message_id, reason)
), held AS MATERIALIZED (
  SELECT p.borrower_id, p.attempt_id, p.submission_number, g.outcome, g.message_id, g.reason
  FROM permit p JOIN given g USING (borrower_id, attempt_id, submission_number)
  WHERE CASE g.outcome
      WHEN 'made' THEN p.state IN ('sending', 'unknown')
      WHEN 'rejected' THEN p.state = 'sending'
      WHEN 'released' THEN p.state = 'sending' AND p.owner = $7::text AND p.lease_until > clock_timestamp()
      ELSE p.state = 'sending' AND p.owner = $7::text END
  ORDER BY p.borrower_id, p.attempt_id, p.submission_number FOR UPDATE OF p
)
UPDATE permit p SET
  state = CASE h.outcome WHEN 'made' THEN 'made' WHEN 'released' THEN 'permitted' WHEN 'uncertain' THEN 'sending'
    WHEN 'unknown' THEN 'unknown' ELSE 'not_made' END,
  reason = CASE h.outcome WHEN 'rejected' THEN 'rejected' WHEN 'shadowed' THEN 'shadow'
    WHEN 'not_used' THEN h.reason END,
  message_id = coalesce(h.message_id, p.message_id),
  sent_at = CASE WHEN h.outcome IN ('released', 'not_used') THEN NULL ELSE p.sent_at END,
  owner = CASE WHEN h.outcome = 'released' THEN NULL ELSE p.owner END,
  lease_until = CASE h.outcome WHEN 'uncertain' THEN clock_timestamp() WHEN 'released' THEN NULL ELSE p.lease_until END,
  ended_at = CASE WHEN h.outcome IN ('released', 'uncertain') THEN NULL ELSE $8::timestamptz END
FROM held h
WHERE p.borrower_id = h.borrower_id AND p.attempt_id = h.attempt_id AND p.submission_number = h.submission_number
RETURNING {ENDED_COLUMNS}"""
"""$1–$6 the results, $7 owner, $8 now."""

TAKE_LAPSED: Final = """
UPDATE permit p SET owner = $1::text, lease_until = clock_timestamp() + $2::float8 * interval '1 s'
WHERE (p.borrower_id, p.attempt_id, p.submission_number) IN (
  SELECT o.borrower_id, o.attempt_id, o.submission_number FROM permit o
  WHERE o.state = 'sending' AND o.lease_until <= clock_timestamp()
  ORDER BY o.lease_until LIMIT $3::bigint FOR UPDATE SKIP LOCKED)
RETURNING p.borrower_id, p.attempt_id, p.submission_number, p.channel"""
"""$1 owner, $2 lease in seconds of wall time, $3 limit."""
