import { transitionStatement } from '../transition.ts'

/** blocked -> queued. */
export const UNBLOCK = transitionStatement('unblock', 'next_attempt_at = now()')

/** queued -> running. $7 worker, $8 lease seconds, $9 code digest, $10 environment, $11 its digest, $12 input digests, $13 cache key. */
export const CLAIM = transitionStatement(
  'claim',
  `epoch = epoch + 1, lease_worker = $7, lease_expires_at = now() + make_interval(secs => $8),
   code_digest = $9, environment = $10, environment_digest = $11, input_digests = $12, cache_key = $13,
   started_at = coalesce(started_at, now()), attempt_started_at = now(), progress_at = now(), progress = NULL,
   next_attempt_at = NULL, reason = NULL, message = NULL`,
)

/** queued -> succeeded. $7 output, $8 result, $9 code digest, $10 environment, $11 its digest, $12 input digests, $13 cache key. */
export const CACHE_HIT = transitionStatement(
  'cache_hit',
  `cached = true, output_digest = $7, result = $8, code_digest = $9, environment = $10, environment_digest = $11,
   input_digests = $12, cache_key = $13, started_at = coalesce(started_at, now()), ended_at = now(),
   next_attempt_at = NULL, reason = NULL, message = NULL`,
)

/** queued -> succeeded by the control plane itself. $7 result. */
export const JUDGE = transitionStatement(
  'judge',
  'result = $7, started_at = coalesce(started_at, now()), ended_at = now(), next_attempt_at = NULL',
)

/** running -> verifying. $7 output, $8 result. */
export const COMPLETE = transitionStatement(
  'complete',
  'output_digest = $7, result = $8, lease_worker = NULL, lease_expires_at = NULL',
)

/** verifying -> succeeded. */
export const VERIFY_OK = transitionStatement('verify_ok', 'ended_at = now(), reason = NULL, message = NULL')

/**
 * An attempt ended without success: -> queued, failed or cancelled. $7 reason, $8 message, $9 last log lines,
 * $10 to $12 failures of user, infrastructure, stall, $13 delay in seconds, null where the stage ends.
 */
export const END_ATTEMPT = transitionStatement(
  'end_attempt',
  `reason = $7, message = $8, last_log_lines = $9, failures_user = $10, failures_infrastructure = $11,
   failures_stall = $12, next_attempt_at = now() + make_interval(secs => $13::float8),
   ended_at = CASE WHEN $13::float8 IS NULL THEN now() END, lease_worker = NULL, lease_expires_at = NULL,
   output_digest = NULL, result = NULL`,
)

/** blocked, queued -> cancelled. $7 message. */
export const CANCEL_WAITING = transitionStatement(
  'cancel_waiting',
  `cancel_requested_at = now(), next_attempt_at = NULL, reason = 'cancelled', message = $7, ended_at = now()`,
)

/** blocked -> skipped. $7 message. */
export const SKIP = transitionStatement('skip', "reason = 'upstream_failed', message = $7, ended_at = now()")

/**
 * failed, cancelled, skipped -> blocked, as if new but for its epoch and its checkpoints. The pins go too: the user may
 * have repaired the workers' code in between.
 */
export const REOPEN = transitionStatement(
  'reopen',
  `failures_user = 0, failures_infrastructure = 0, failures_stall = 0, reason = NULL, message = NULL,
   last_log_lines = '{}', cancel_requested_at = NULL, cancel_deadline = NULL, next_attempt_at = NULL,
   code_digest = NULL, environment = NULL, environment_digest = NULL, input_digests = NULL, cache_key = NULL,
   progress = NULL, progress_at = NULL, started_at = NULL, attempt_started_at = NULL, ended_at = NULL`,
)
