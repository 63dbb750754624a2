CREATE SCHEMA IF NOT EXISTS migdsl;
-- ;
CREATE TABLE IF NOT EXISTS migdsl.slice (
    migration    text        NOT NULL,
    backfill     text        NOT NULL,
    tenant       text        NOT NULL,
    part         bigint      NOT NULL DEFAULT 0,
    lower_key    jsonb,
    upper_key    jsonb,
    watermark    jsonb,
    state        text        NOT NULL DEFAULT 'pending',
    attempts     bigint      NOT NULL DEFAULT 0,
    rows_planned bigint      NOT NULL DEFAULT 0,
    rows_scanned bigint      NOT NULL DEFAULT 0,
    rows_changed bigint      NOT NULL DEFAULT 0,
    lease_until  timestamptz,
    worker       text,
    backend      bigint,
    fence        bigint      NOT NULL DEFAULT 0,
    error        text,
    held         text,
    planned_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (migration, backfill, tenant, part),
    CONSTRAINT slice_state CHECK (state IN ('pending', 'running', 'succeeded', 'failed', 'paused', 'cancelled')),
    CONSTRAINT slice_lease CHECK ((state = 'running') = (lease_until IS NOT NULL AND worker IS NOT NULL))
);
-- ;
-- Columns that ledgers of earlier releases lack.
ALTER TABLE migdsl.slice ADD COLUMN IF NOT EXISTS held text;
-- ;
COMMENT ON TABLE migdsl.slice IS
    'One key range of one tenant in one backfill: (lower_key, upper_key], done up to watermark. Keys are JSON arrays of text.';
-- ;
CREATE OR REPLACE FUNCTION migdsl.slice_moves() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state NOT IN ('pending', 'succeeded') THEN
            RAISE EXCEPTION 'a slice begins as pending or succeeded, not as %', NEW.state USING ERRCODE = '23514';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.fence < OLD.fence THEN
        RAISE EXCEPTION 'the fence of a slice only grows' USING ERRCODE = '23514';
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('pending', 'running'), ('pending', 'paused'), ('pending', 'cancelled'),
        ('running', 'succeeded'), ('running', 'failed'), ('running', 'paused'), ('running', 'pending'), ('running', 'cancelled'),
        ('failed', 'pending'), ('failed', 'cancelled'),
        ('paused', 'pending'), ('paused', 'cancelled'),
        ('succeeded', 'pending'),
        ('cancelled', 'pending')
    ) THEN
        RAISE EXCEPTION 'a slice does not go from % to %', OLD.state, NEW.state USING ERRCODE = '23514';
    END IF;
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$body$;
-- ;
CREATE OR REPLACE TRIGGER slice_moves BEFORE INSERT OR UPDATE ON migdsl.slice
    FOR EACH ROW EXECUTE FUNCTION migdsl.slice_moves();
-- ;
CREATE TABLE IF NOT EXISTS migdsl.quarantine (
    migration   text        NOT NULL,
    backfill    text        NOT NULL,
    tenant      text        NOT NULL,
    row_key     jsonb       NOT NULL,
    error_class text        NOT NULL,
    template    text        NOT NULL,
    after_key   jsonb,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (migration, backfill, tenant, row_key)
);
-- ;
ALTER TABLE migdsl.quarantine ADD COLUMN IF NOT EXISTS after_key jsonb;
-- ;
COMMENT ON TABLE migdsl.quarantine IS
    'Rows that a backfill set aside: their key, the class of the error and its template, never a value of the row.';
-- ;
CREATE TABLE IF NOT EXISTS migdsl.reconciliation (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    migration  text        NOT NULL,
    entity     text        NOT NULL,
    tenant     text        NOT NULL,
    rows       bigint      NOT NULL,
    hash_left  numeric,
    hash_right numeric,
    mismatched bigint      NOT NULL DEFAULT 0,
    violations bigint      NOT NULL DEFAULT 0,
    lossy      bigint      NOT NULL DEFAULT 0,
    missing    bigint      NOT NULL DEFAULT 0,
    extra      bigint      NOT NULL DEFAULT 0,
    truth      text        NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    run        text,
    found      jsonb,
    PRIMARY KEY (migration, entity, tenant, id),
    CONSTRAINT reconciliation_truth CHECK (truth IN ('old', 'new'))
);
-- ;
ALTER TABLE migdsl.reconciliation ADD COLUMN IF NOT EXISTS run text, ADD COLUMN IF NOT EXISTS found jsonb;
-- ;
COMMENT ON TABLE migdsl.reconciliation IS
    'One tenant of one reconciliation. "run" is that of all tenants it belongs to, "found" are keys of rows, never their values.';
-- ;
CREATE TABLE IF NOT EXISTS migdsl.event (
    id        bigint      GENERATED ALWAYS AS IDENTITY,
    migration text        NOT NULL,
    kind      text        NOT NULL,
    subject   text        NOT NULL,
    value     text        NOT NULL,
    actor     text        NOT NULL DEFAULT current_user,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (migration, kind, subject, id)
);
-- ;
COMMENT ON TABLE migdsl.event IS
    'Who moved which phase, flag or job when (stage, job), and the readings that gates look at (reading). Append-only.';
-- ;
CREATE OR REPLACE FUNCTION migdsl.append_only() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    RAISE EXCEPTION 'migdsl.% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = '55000';
END
$body$;
-- ;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON migdsl.reconciliation
    FOR EACH STATEMENT EXECUTE FUNCTION migdsl.append_only();
-- ;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON migdsl.event
    FOR EACH STATEMENT EXECUTE FUNCTION migdsl.append_only();
-- ;
CREATE TABLE IF NOT EXISTS migdsl.snapshot (
    migration text   NOT NULL,
    revision  text   NOT NULL,
    seq       bigint NOT NULL,
    sql       text   NOT NULL,
    before    text,
    undo      text,
    PRIMARY KEY (migration, revision, seq)
);
-- ;
COMMENT ON TABLE migdsl.snapshot IS
    'DDL that a downgrade replays, saved when its upgrade ran; what takes long runs after "before", and "undo" clears a failed try.';
