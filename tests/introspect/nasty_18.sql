-- What PostgreSQL 18 brought.
CREATE TABLE app.virtual (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, a integer, doubled integer GENERATED ALWAYS AS (a * 2) VIRTUAL);
CREATE TABLE app.prices (
  tenant_id uuid NOT NULL, sku int4range NOT NULL, valid daterange NOT NULL, PRIMARY KEY (sku, valid WITHOUT OVERLAPS)
);
CREATE TABLE app.price_notes (
  id bigint PRIMARY KEY, tenant_id uuid NOT NULL, sku int4range NOT NULL, valid daterange NOT NULL,
  FOREIGN KEY (sku, PERIOD valid) REFERENCES app.prices
);
CREATE TABLE app.lax (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, a integer, b integer, CONSTRAINT lax_a CHECK (a > 0) NOT ENFORCED);
ALTER TABLE app.lax ADD CONSTRAINT b_there NOT NULL b NOT VALID;
