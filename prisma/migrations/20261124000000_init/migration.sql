-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateTable
CREATE TABLE "project" (
    "name" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "project_pkey" PRIMARY KEY ("name")
);

-- CreateTable
CREATE TABLE "token" (
    "id" TEXT NOT NULL,
    "project" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "prefix" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "scopes" TEXT[],
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(6),
    "revoked_at" TIMESTAMPTZ(6),
    "last_used_at" TIMESTAMPTZ(6),

    CONSTRAINT "token_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "login_code" (
    "hash" TEXT NOT NULL,
    "project" TEXT NOT NULL,
    "scopes" TEXT[],
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "used_at" TIMESTAMPTZ(6),

    CONSTRAINT "login_code_pkey" PRIMARY KEY ("hash")
);

-- CreateTable
CREATE TABLE "audit_log" (
    "id" BIGSERIAL NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "project" TEXT,
    "actor" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "resource" TEXT NOT NULL,
    "request_id" TEXT NOT NULL,
    "detail" JSONB NOT NULL DEFAULT '{}',

    CONSTRAINT "audit_log_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "idempotency_key" (
    "scope" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "request_hash" TEXT NOT NULL,
    "status" INTEGER,
    "response" JSONB,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "idempotency_key_pkey" PRIMARY KEY ("scope","key")
);

-- CreateTable
CREATE TABLE "asset" (
    "project" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "digest" TEXT NOT NULL,
    "licence" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,

    CONSTRAINT "asset_pkey" PRIMARY KEY ("project","name")
);

-- CreateTable
CREATE TABLE "run" (
    "id" TEXT NOT NULL,
    "project" TEXT NOT NULL,
    "recipe" TEXT NOT NULL,
    "recipe_version" INTEGER NOT NULL,
    "recipe_digest" TEXT NOT NULL,
    "recipe_body" JSONB NOT NULL,
    "overrides" JSONB NOT NULL,
    "assets" JSONB NOT NULL,
    "label" TEXT NOT NULL,
    "priority" INTEGER NOT NULL,
    "cache" TEXT NOT NULL,
    "cache_salt" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "submitted_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(6),
    "ended_at" TIMESTAMPTZ(6),
    "cancel_requested_at" TIMESTAMPTZ(6),

    CONSTRAINT "run_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "stage" (
    "id" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "project" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "state" TEXT NOT NULL,
    "epoch" INTEGER NOT NULL DEFAULT 0,
    "cached" BOOLEAN NOT NULL DEFAULT false,
    "spec" JSONB NOT NULL,
    "inputs" JSONB NOT NULL,
    "needs" TEXT[],
    "resource_class" TEXT NOT NULL,
    "priority" INTEGER NOT NULL,
    "max_seconds" INTEGER NOT NULL,
    "stall_seconds" INTEGER NOT NULL,
    "code_digest" TEXT,
    "environment" JSONB,
    "environment_digest" TEXT,
    "input_digests" JSONB,
    "cache_key" TEXT,
    "lease_worker" TEXT,
    "lease_expires_at" TIMESTAMPTZ(6),
    "cancel_requested_at" TIMESTAMPTZ(6),
    "cancel_deadline" TIMESTAMPTZ(6),
    "failures_user" INTEGER NOT NULL DEFAULT 0,
    "failures_infrastructure" INTEGER NOT NULL DEFAULT 0,
    "failures_stall" INTEGER NOT NULL DEFAULT 0,
    "next_attempt_at" TIMESTAMPTZ(6),
    "output_digest" TEXT,
    "result" JSONB,
    "reason" TEXT,
    "message" TEXT,
    "last_log_lines" TEXT[],
    "progress" JSONB,
    "progress_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(6),
    "attempt_started_at" TIMESTAMPTZ(6),
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "stage_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "attempt" (
    "stage_id" TEXT NOT NULL,
    "epoch" INTEGER NOT NULL,
    "worker_id" TEXT NOT NULL,
    "code_digest" TEXT NOT NULL,
    "environment_digest" TEXT NOT NULL,
    "started_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(6),
    "outcome" TEXT,
    "reason" TEXT,
    "message" TEXT,
    "output_digest" TEXT,
    "resumed_from_step" INTEGER,
    "last_checkpoint_step" INTEGER,

    CONSTRAINT "attempt_pkey" PRIMARY KEY ("stage_id","epoch")
);

-- CreateTable
CREATE TABLE "claim" (
    "id" TEXT NOT NULL,
    "worker_id" TEXT NOT NULL,
    "stage_id" TEXT NOT NULL,
    "epoch" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "claim_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "checkpoint" (
    "stage_id" TEXT NOT NULL,
    "epoch" INTEGER NOT NULL,
    "step" INTEGER NOT NULL,
    "digest" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "checkpoint_pkey" PRIMARY KEY ("stage_id","epoch","step")
);

-- CreateTable
CREATE TABLE "event" (
    "id" BIGSERIAL NOT NULL,
    "xid" xid8 NOT NULL DEFAULT pg_current_xact_id(),
    "project" TEXT NOT NULL,
    "run_id" TEXT,
    "stage_id" TEXT,
    "type" TEXT NOT NULL,
    "payload" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "delivered_at" TIMESTAMPTZ(6),

    CONSTRAINT "event_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "artifact" (
    "digest" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "object_key" TEXT NOT NULL,
    "size" BIGINT NOT NULL,
    "verified_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "manifest" JSONB,

    CONSTRAINT "artifact_pkey" PRIMARY KEY ("digest")
);

-- CreateTable
CREATE TABLE "upload" (
    "id" TEXT NOT NULL,
    "project" TEXT NOT NULL,
    "sha256" TEXT NOT NULL,
    "size" BIGINT NOT NULL,
    "kind" TEXT NOT NULL,
    "object_key" TEXT NOT NULL,
    "multipart_id" TEXT NOT NULL,
    "part_size" INTEGER NOT NULL,
    "state" TEXT NOT NULL,
    "owner" TEXT NOT NULL,
    "message" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "upload_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "cache_entry" (
    "key" TEXT NOT NULL,
    "project" TEXT NOT NULL,
    "output_digest" TEXT NOT NULL,
    "result" JSONB NOT NULL,
    "stage_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "cache_entry_pkey" PRIMARY KEY ("key")
);

-- CreateTable
CREATE TABLE "worker" (
    "id" TEXT NOT NULL,
    "project" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "boot_id" TEXT NOT NULL,
    "resource_classes" TEXT[],
    "memory_gb" DOUBLE PRECISION NOT NULL,
    "gpu_count" INTEGER NOT NULL,
    "labels" JSONB NOT NULL,
    "code_digest" TEXT NOT NULL,
    "environment" JSONB NOT NULL,
    "environment_digest" TEXT NOT NULL,
    "registered_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_seen_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "drain_requested_at" TIMESTAMPTZ(6),

    CONSTRAINT "worker_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_liveness" (
    "replica" TEXT NOT NULL,
    "up_since" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "seen_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "api_liveness_pkey" PRIMARY KEY ("replica")
);

-- CreateTable
CREATE TABLE "leader" (
    "name" TEXT NOT NULL,
    "holder" TEXT NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "leader_pkey" PRIMARY KEY ("name")
);

-- CreateTable
CREATE TABLE "series" (
    "id" SERIAL NOT NULL,
    "stage_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "last_epoch" INTEGER NOT NULL,
    "last_step" INTEGER NOT NULL,
    "last_value" DOUBLE PRECISION,

    CONSTRAINT "series_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "metric_scalar" (
    "series_id" INTEGER NOT NULL,
    "step" INTEGER NOT NULL,
    "epoch" INTEGER NOT NULL,
    "value" DOUBLE PRECISION NOT NULL,

    CONSTRAINT "metric_scalar_pkey" PRIMARY KEY ("series_id","step")
);

-- CreateTable
CREATE TABLE "metric_array" (
    "series_id" INTEGER NOT NULL,
    "step" INTEGER NOT NULL,
    "epoch" INTEGER NOT NULL,
    "values" REAL[],

    CONSTRAINT "metric_array_pkey" PRIMARY KEY ("series_id","step")
);

-- CreateTable
CREATE TABLE "batch_receipt" (
    "stage_id" TEXT NOT NULL,
    "epoch" INTEGER NOT NULL,
    "kind" TEXT NOT NULL,
    "sequence" INTEGER NOT NULL,
    "accepted" INTEGER NOT NULL,
    "superseded" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "batch_receipt_pkey" PRIMARY KEY ("stage_id","epoch","kind","sequence")
);

-- CreateTable
CREATE TABLE "log_line" (
    "stage_id" TEXT NOT NULL,
    "number" INTEGER NOT NULL,
    "epoch" INTEGER NOT NULL,
    "time" TIMESTAMPTZ(3) NOT NULL,
    "stream" TEXT NOT NULL,
    "text" TEXT NOT NULL,

    CONSTRAINT "log_line_pkey" PRIMARY KEY ("stage_id","number")
);

-- CreateTable
CREATE TABLE "log_counter" (
    "stage_id" TEXT NOT NULL,
    "lines" INTEGER NOT NULL,

    CONSTRAINT "log_counter_pkey" PRIMARY KEY ("stage_id")
);

-- CreateTable
CREATE TABLE "evaluation" (
    "id" TEXT NOT NULL,
    "project" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "stage_id" TEXT NOT NULL,
    "stage_name" TEXT NOT NULL,
    "model" TEXT,
    "role" TEXT NOT NULL,
    "protocol_hash" TEXT NOT NULL,
    "body" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "evaluation_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "model_version" (
    "id" TEXT NOT NULL,
    "project" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "run_id" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "decoder" TEXT NOT NULL,
    "package" TEXT NOT NULL,
    "gates" JSONB NOT NULL,
    "promotable" BOOLEAN NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "model_version_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "alias" (
    "project" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "model_version_id" TEXT NOT NULL,
    "promotion_id" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "alias_pkey" PRIMARY KEY ("project","name")
);

-- CreateTable
CREATE TABLE "promotion" (
    "id" TEXT NOT NULL,
    "project" TEXT NOT NULL,
    "alias" TEXT NOT NULL,
    "model_version_id" TEXT NOT NULL,
    "previous_id" TEXT,
    "manifest_digest" TEXT NOT NULL,
    "manifest" JSONB NOT NULL,
    "promoted_by" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "promotion_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "token_hash_key" ON "token"("hash");

-- CreateIndex
CREATE INDEX "token_project_created_at_idx" ON "token"("project", "created_at");

-- CreateIndex
CREATE INDEX "audit_log_project_id_idx" ON "audit_log"("project", "id");

-- CreateIndex
CREATE INDEX "run_project_id_idx" ON "run"("project", "id");

-- CreateIndex
CREATE INDEX "run_project_state_id_idx" ON "run"("project", "state", "id");

-- CreateIndex
CREATE UNIQUE INDEX "stage_run_id_name_key" ON "stage"("run_id", "name");

-- CreateIndex
CREATE INDEX "attempt_worker_id_idx" ON "attempt"("worker_id");

-- CreateIndex
CREATE INDEX "event_xid_id_idx" ON "event"("xid", "id");

-- CreateIndex
CREATE INDEX "event_run_id_xid_id_idx" ON "event"("run_id", "xid", "id");

-- CreateIndex
CREATE UNIQUE INDEX "artifact_object_key_key" ON "artifact"("object_key");

-- CreateIndex
CREATE UNIQUE INDEX "upload_object_key_key" ON "upload"("object_key");

-- CreateIndex
CREATE INDEX "upload_state_updated_at_idx" ON "upload"("state", "updated_at");

-- CreateIndex
CREATE INDEX "upload_sha256_idx" ON "upload"("sha256");

-- CreateIndex
CREATE INDEX "worker_project_last_seen_at_idx" ON "worker"("project", "last_seen_at");

-- CreateIndex
CREATE UNIQUE INDEX "worker_project_name_boot_id_key" ON "worker"("project", "name", "boot_id");

-- CreateIndex
CREATE UNIQUE INDEX "series_stage_id_kind_name_key" ON "series"("stage_id", "kind", "name");

-- CreateIndex
CREATE INDEX "evaluation_run_id_idx" ON "evaluation"("run_id");

-- CreateIndex
CREATE INDEX "evaluation_project_protocol_hash_idx" ON "evaluation"("project", "protocol_hash");

-- CreateIndex
CREATE UNIQUE INDEX "model_version_run_id_key" ON "model_version"("run_id");

-- CreateIndex
CREATE UNIQUE INDEX "model_version_project_name_version_key" ON "model_version"("project", "name", "version");

-- CreateIndex
CREATE INDEX "promotion_project_alias_id_idx" ON "promotion"("project", "alias", "id");

-- AddForeignKey
ALTER TABLE "stage" ADD CONSTRAINT "stage_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "run"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "attempt" ADD CONSTRAINT "attempt_stage_id_fkey" FOREIGN KEY ("stage_id") REFERENCES "stage"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
