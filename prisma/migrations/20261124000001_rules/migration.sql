-- What schema.prisma cannot say: checks, partial indexes, and the rules that hold even for a wrong statement.

ALTER TABLE "stage"
  ADD CONSTRAINT "stage_state_check" CHECK ("state" IN
    ('blocked', 'queued', 'running', 'verifying', 'succeeded', 'failed', 'cancelled', 'skipped')),
  ADD CONSTRAINT "stage_epoch_check" CHECK ("epoch" >= 0),
  -- A lease belongs to a running stage and to no other.
  ADD CONSTRAINT "stage_lease_check" CHECK
    (("state" = 'running') = ("lease_expires_at" IS NOT NULL) AND ("state" = 'running') = ("lease_worker" IS NOT NULL));

ALTER TABLE "run"
  ADD CONSTRAINT "run_state_check" CHECK ("state" IN
    ('queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled')),
  ADD CONSTRAINT "run_cache_check" CHECK ("cache" IN ('use', 'refresh', 'off'));

ALTER TABLE "upload"
  ADD CONSTRAINT "upload_state_check" CHECK ("state" IN
    ('pending', 'completed', 'verified', 'mismatch', 'aborted')),
  ADD CONSTRAINT "upload_kind_check" CHECK ("kind" IN ('blob', 'tree'));

ALTER TABLE "artifact"
  ADD CONSTRAINT "artifact_digest_check" CHECK ("digest" ~ '^[0-9a-f]{64}$'),
  ADD CONSTRAINT "artifact_kind_check" CHECK (("kind" = 'tree') = ("manifest" IS NOT NULL));

-- The claim: due stages of a class in their order.
CREATE INDEX "stage_queued_partial" ON "stage" ("resource_class", "priority" DESC, "created_at", "position")
  WHERE "state" = 'queued';
-- The reconciler's sweeps; few rows, and a heartbeat touches no indexed column, so it stays a HOT update.
CREATE INDEX "stage_running_partial" ON "stage" ("id") WHERE "state" = 'running';
CREATE INDEX "stage_verifying_partial" ON "stage" ("id") WHERE "state" = 'verifying';
CREATE INDEX "stage_blocked_partial" ON "stage" ("run_id") WHERE "state" = 'blocked';
-- Identical stages in flight.
CREATE INDEX "stage_in_flight_partial" ON "stage" ("cache_key") WHERE "state" IN ('running', 'verifying');
-- The relay.
CREATE INDEX "event_undelivered_partial" ON "event" ("id") WHERE "delivered_at" IS NULL;

CREATE FUNCTION "refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "audit_log_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "audit_log"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
CREATE TRIGGER "promotion_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "promotion"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();

-- A succeeded stage never changes, and an epoch never falls.
CREATE FUNCTION "guard_stage"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD."state" = 'succeeded' THEN
    RAISE EXCEPTION 'stage % has succeeded and does not change', OLD."id" USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW."epoch" < OLD."epoch" THEN
    RAISE EXCEPTION 'epoch of stage % falls from % to %', OLD."id", OLD."epoch", NEW."epoch"
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER "stage_guard" BEFORE UPDATE ON "stage" FOR EACH ROW EXECUTE FUNCTION "guard_stage"();

-- An attempt's row does not change after its end.
CREATE FUNCTION "guard_attempt"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD."ended_at" IS NOT NULL THEN
    RAISE EXCEPTION 'attempt % of stage % has ended and does not change', OLD."epoch", OLD."stage_id"
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER "attempt_guard" BEFORE UPDATE ON "attempt" FOR EACH ROW EXECUTE FUNCTION "guard_attempt"();
