-- Whatever a grown schema may hold, most of it twice.
CREATE SCHEMA app;
CREATE SCHEMA "Mixed Case";
CREATE SCHEMA "select";
CREATE SCHEMA "größe";

CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"', 'back\slash', 'ünïcode', '');
CREATE TYPE app.state AS ENUM ('open', 'closed');
CREATE TYPE app."Mixed State" AS ENUM ('A', 'b');
CREATE TYPE app.pair AS (x integer, "Y" text);
CREATE DOMAIN app.email AS text CHECK (VALUE ~ '^[^@]+@[^@]+$');
CREATE DOMAIN app.quantity AS numeric(12,2) NOT NULL DEFAULT 0 CHECK (VALUE >= 0);
CREATE TYPE app.span AS RANGE (subtype = float8);

CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- NEW.nothing := 1 is a comment
  NEW.updated_at := now();
  NEW."Version" = OLD."Version" + 1;
  RETURN NEW;
END $$;
CREATE FUNCTION app.slug(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';

CREATE TABLE app.tenants (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL UNIQUE);

CREATE TABLE app.users (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES app.tenants ON DELETE CASCADE,
  email app.email,
  first_name text, "lastName" text, phone varchar(20), email_verified boolean NOT NULL DEFAULT false,
  birth_date date, last_ip inet, password_hash text, settings jsonb NOT NULL DEFAULT '{}',
  state app.state NOT NULL DEFAULT 'open', mood mood DEFAULT 'it''s "ok"', moods mood[],
  manager_id bigint REFERENCES app.users ON DELETE SET NULL,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamp(3) with time zone,
  "Version" integer NOT NULL DEFAULT 1,
  search tsvector GENERATED ALWAYS AS (to_tsvector('simple'::regconfig, coalesce(first_name, ''))) STORED,
  UNIQUE (tenant_id, email),
  CONSTRAINT users_manager_other CHECK (manager_id <> id)
);
CREATE INDEX users_search ON app.users USING gin (search);
CREATE INDEX users_settings ON app.users USING gin (settings jsonb_path_ops);
CREATE UNIQUE INDEX users_email_lower ON app.users (tenant_id, lower(email)) WHERE email IS NOT NULL;
CREATE INDEX users_recent ON app.users (tenant_id, created_at DESC NULLS LAST) INCLUDE (state);
CREATE INDEX users_name_c ON app.users ("lastName" COLLATE "C" text_pattern_ops);
CREATE UNIQUE INDEX users_version ON app.users (tenant_id, "Version", id);
CREATE TRIGGER users_touch BEFORE UPDATE OF email, phone ON app.users FOR EACH ROW EXECUTE FUNCTION app.touch();
ALTER TABLE app.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.users FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON app.users FOR SELECT USING (tenant_id = current_setting('app.tenant')::uuid);
ALTER TABLE app.users REPLICA IDENTITY FULL;

CREATE TABLE app.orders (
  tenant_id uuid NOT NULL, number bigserial NOT NULL, user_id bigint NOT NULL REFERENCES app.users ON UPDATE CASCADE,
  total numeric(12,2) NOT NULL DEFAULT 0.00, net app.quantity, currency char(3) NOT NULL DEFAULT 'EUR',
  note text DEFAULT 'it''s a "quoted" `note`', pattern text DEFAULT E'back\\slash\nand line', placed timestamp NOT NULL,
  parent bigint, duration interval, months interval year to month, seconds interval second(3), fine interval(2),
  PRIMARY KEY (tenant_id, number),
  CONSTRAINT orders_parent_fk FOREIGN KEY (tenant_id, parent) REFERENCES app.orders (tenant_id, number) ON DELETE SET NULL (parent)
) WITH (fillfactor = 80);
ALTER TABLE app.orders ADD CONSTRAINT orders_tenant FOREIGN KEY (tenant_id) REFERENCES app.tenants DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE app.orders ADD CHECK (total >= 0 AND currency ~ '^[A-Z]{3}$') NOT VALID;
ALTER TABLE app.orders ADD CONSTRAINT today CHECK (placed <= CURRENT_TIMESTAMP);
ALTER TABLE app.orders ADD CONSTRAINT "a ``tick``" CHECK (note <> '`');
CREATE INDEX orders_month ON app.orders (tenant_id, date_trunc('month', placed), (total * 2)) WHERE total > 0 AND note IS NOT NULL;

CREATE TABLE app.order_lines (
  tenant_id uuid NOT NULL, order_number bigint NOT NULL, line smallint NOT NULL, sku text NOT NULL, "index" integer,
  "key" text, "unique" text, "check" text, "rows" integer, tenant text, "global" boolean, "legacy" text, "sensitivity" text,
  allow text, exclude text, type text, enum text, "default" text, "order" integer, "on" date, "in" text, "as" text,
  PRIMARY KEY (tenant_id, order_number, line),
  FOREIGN KEY (tenant_id, order_number) REFERENCES app.orders ON DELETE CASCADE,
  UNIQUE NULLS NOT DISTINCT (tenant_id, "index")
);
CREATE INDEX ON app.order_lines ("key", "unique");
CREATE INDEX ON app.order_lines (lower("check"), upper("default"));

CREATE TABLE app.comments (id serial PRIMARY KEY, user_id bigint NOT NULL REFERENCES app.users ON DELETE CASCADE, body text);
CREATE TABLE app.reactions (
  id serial CONSTRAINT reactions_key PRIMARY KEY, comment_id integer NOT NULL REFERENCES app.comments, kind app."Mixed State"
);
CREATE TABLE app.countries (code char(2) PRIMARY KEY, name text NOT NULL, area box, shape polygon);
CREATE TABLE app.drafts (id uuid PRIMARY KEY, tenant_id uuid, body xml, data json);
CREATE TABLE app.imports (id bigint PRIMARY KEY, tenant_id text NOT NULL, raw bytea, mask bit varying(5), bits bit(3));

CREATE TABLE app.events (
  tenant_id uuid NOT NULL, id bigint NOT NULL, at timestamptz NOT NULL, payload jsonb, PRIMARY KEY (tenant_id, id, at)
) PARTITION BY RANGE (at);
CREATE TABLE app.events_2024 PARTITION OF app.events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE app.events_2025 PARTITION OF app.events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY HASH (id);
CREATE TABLE app.events_2025_0 PARTITION OF app.events_2025 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE INDEX events_at ON app.events USING brin (at);
CREATE TABLE app.event_notes (
  id bigint PRIMARY KEY, tenant_id uuid NOT NULL, event bigint NOT NULL, at timestamptz NOT NULL,
  FOREIGN KEY (tenant_id, event, at) REFERENCES app.events
);

CREATE TABLE app.bookings (
  id bigint PRIMARY KEY, tenant_id uuid NOT NULL, room int4range NOT NULL, during tstzrange NOT NULL,
  CONSTRAINT no_overlap EXCLUDE USING gist (room WITH &&, during WITH &&) WHERE (NOT isempty(during))
);
CREATE TABLE app.vehicles (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, wheels integer CHECK (wheels > 0) NO INHERIT);
CREATE TABLE app.cars (doors integer, PRIMARY KEY (id)) INHERITS (app.vehicles);
CREATE TABLE app.log (at timestamptz, line text);
CREATE UNLOGGED TABLE app.cache (key text PRIMARY KEY, value bytea NOT NULL, tenant_id uuid NOT NULL);
CREATE TABLE app.pairs OF app.pair (PRIMARY KEY (x));
CREATE TABLE app.amounts (
  id bigint PRIMARY KEY, tenant_id uuid NOT NULL, price money DEFAULT 12.5, p app.pair, ps app.pair[], s app.span, ints integer[][] DEFAULT '{}',
  neg integer DEFAULT -1, big bigint DEFAULT 9223372036854775807, real_ real DEFAULT 1.5, dbl double precision DEFAULT 'NaN',
  rounded numeric(3,-2), free numeric, c "char", n name, o oid, rc regclass DEFAULT 'app.users', x xid, bp bpchar, lsn pg_lsn,
  vb varbit, t time, tz timetz(2), cid cidr, mac macaddr8, pt point, mr int4multirange, jp jsonpath, qs tsquery, nn text DEFAULT NULL,
  arr text[] NOT NULL DEFAULT ARRAY['a', 'b,c', 'd"e'], dd date DEFAULT '2024-02-29', ts timestamptz DEFAULT '2024-01-01 00:00+02',
  iv interval DEFAULT '1 day 2 hours', u uuid DEFAULT gen_random_uuid(), seq bigint GENERATED BY DEFAULT AS IDENTITY (START 100 INCREMENT 10 CYCLE)
);
CREATE TABLE app.defaults_of_functions (
  id bigint PRIMARY KEY, tenant_id uuid NOT NULL, slug text DEFAULT app.slug('X'), body text,
  slugged text GENERATED ALWAYS AS (app.slug(body)) STORED,
  label text GENERATED ALWAYS AS (CASE WHEN body IS NULL THEN 'none' WHEN body LIKE 'a%' THEN 'a' ELSE body || '…' END) STORED
);
CREATE INDEX ON app.defaults_of_functions (app.slug(body));
CREATE INDEX ON app.defaults_of_functions (slugged);
CREATE STATISTICS app.more (dependencies) ON slug, body FROM app.defaults_of_functions;
CREATE RULE nothing AS ON DELETE TO app.defaults_of_functions DO INSTEAD NOTHING;

CREATE TABLE "Mixed Case"."Order Items" (
  "ID" bigint PRIMARY KEY, "Tenant Id" uuid, tenant_id uuid NOT NULL, "with ""quotes""" text DEFAULT 'a"b', "dotted.name" text,
  "ÜnïcödeName" text, "tab	name" integer, "back\slash" integer, "escape\""d" integer, "select" text, "123" integer, "a`b" text, "é" text,
  "new
line" integer,
  CHECK ("123" > 0 AND "with ""quotes""" <> 'x"y'), UNIQUE ("dotted.name"), UNIQUE ("ÜnïcödeName", "select"), UNIQUE ("tab	name")
);
CREATE INDEX "Index With ""Quotes""" ON "Mixed Case"."Order Items" ("ÜnïcödeName", lower("with ""quotes"""));
CREATE TABLE "Mixed Case"."order items" (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, "item" bigint NOT NULL REFERENCES "Mixed Case"."Order Items");
CREATE TABLE "select"."table" ("from" bigint PRIMARY KEY, tenant_id uuid NOT NULL, "where" text);
CREATE TABLE "größe"."straße" ("straßen_nr" integer PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE TABLE "größe"."名前" ("番号" integer PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE TABLE "select"."new
table" (id bigint PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE TABLE public.points_to_odd (id bigint PRIMARY KEY, odd bigint NOT NULL REFERENCES "select"."new
table");
CREATE TABLE public.odd_keys ("key
odd" bigint PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE TABLE public.a23456789_b23456789_c23456789_d23456789_e23456789_f23456789_abc (
  a23456789_b23456789_c23456789_d23456789_e23456789_f23456789_abc bigint PRIMARY KEY, tenant_id uuid NOT NULL,
  x text CONSTRAINT "u23456789_b23456789_c23456789_d23456789_e23456789_f23456789_abc" UNIQUE
);
CREATE TABLE public.users (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, "user" bigint REFERENCES app.users UNIQUE);
CREATE TABLE public.user (id bigint PRIMARY KEY, tenant_id uuid NOT NULL);
CREATE TABLE public."1st" (id bigint PRIMARY KEY, a bigint DEFAULT 1 REFERENCES public.users ON DELETE SET DEFAULT, b bigint REFERENCES public.user, CHECK (a IS NULL OR b IS NULL));
ALTER TABLE public."1st" ADD CONSTRAINT twice FOREIGN KEY (a) REFERENCES public.user NOT VALID;
CREATE TABLE public.row_refs (id bigint PRIMARY KEY, a integer, b integer, tenant_id uuid NOT NULL);
ALTER TABLE public.row_refs ADD CONSTRAINT whole CHECK (row_refs IS NOT NULL);
ALTER TABLE public.row_refs ADD CONSTRAINT between_ CHECK (a BETWEEN 1 AND 5 AND b IN (1, 2, 3) AND NOT a = b);
CREATE TABLE public.alembic_version (version_num varchar(32) PRIMARY KEY);
CREATE TABLE public.empty_table ();
CREATE TABLE public.failed_index (id bigint PRIMARY KEY, a integer, tenant_id uuid NOT NULL);
CREATE UNIQUE INDEX failed ON public.failed_index (a);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.failed'::regclass;

CREATE VIEW app.user_names AS SELECT id, first_name FROM app.users;
CREATE MATERIALIZED VIEW app.totals AS SELECT tenant_id, sum(total) FROM app.orders GROUP BY 1;
CREATE TABLE app.collated (id bigint PRIMARY KEY, tenant_id uuid NOT NULL, a text COLLATE "C" UNIQUE, b text NOT NULL DEFAULT 'x' || 'y');
CREATE INDEX ON app.collated USING hash (b);
CREATE TEMP TABLE gone (id integer);
