-- Records from outside: what devices measured, which pictures people prefer.

-- CreateTable
CREATE TABLE "measurement" (
    "id" TEXT NOT NULL,
    "project" TEXT NOT NULL,
    "token_name" TEXT NOT NULL,
    "program_sha256" TEXT NOT NULL,
    "signature" TEXT NOT NULL,
    "body" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "measurement_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "preference_vote" (
    "id" TEXT NOT NULL,
    "project" TEXT NOT NULL,
    "voter" TEXT NOT NULL,
    "first_evaluation" TEXT NOT NULL,
    "second_evaluation" TEXT NOT NULL,
    "place" INTEGER NOT NULL,
    "choice" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "preference_vote_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "measurement_project_program_sha256_idx" ON "measurement"("project", "program_sha256");

-- CreateIndex
CREATE UNIQUE INDEX "measurement_project_signature_key" ON "measurement"("project", "signature");

-- CreateIndex
CREATE UNIQUE INDEX "preference_vote_project_first_evaluation_second_evaluation__key" ON "preference_vote"("project", "first_evaluation", "second_evaluation", "voter", "place");

-- What the schema cannot say.
ALTER TABLE "preference_vote"
  ADD CONSTRAINT "preference_vote_choice_check" CHECK ("choice" IN ('first', 'second', 'tie')),
  -- A pair has one order, so that a voter cannot vote on it twice.
  ADD CONSTRAINT "preference_vote_pair_check" CHECK ("first_evaluation" < "second_evaluation");
CREATE TRIGGER "measurement_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "measurement"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
CREATE TRIGGER "preference_vote_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "preference_vote"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
