-- Procedures of a swap: a column's name, and all that stands on it, goes to another column of its table.
-- Each can be run again after a kill.
CREATE OR REPLACE PROCEDURE migdsl.swap_numbers(rel regclass, giver name, taker name, kept text, converted text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
-- A default, an identity or an owned sequence goes along. `converted`: a default as one of the new type; NULL on the way back.
DECLARE
  tops CONSTANT jsonb := '{"21": 32767, "23": 2147483647, "20": 9223372036854775807}';  -- by type: int2, int4, int8
  old pg_attribute;
  wanted oid := (SELECT atttypid FROM pg_attribute WHERE attrelid = rel AND attname = taker AND NOT attisdropped);
  expression text;
  saved text;
  numbers record;
  spot record;
  top numeric;
  bottom numeric;
BEGIN
  SELECT a.* INTO old FROM pg_attribute AS a WHERE a.attrelid = rel AND a.attname = giver AND NOT a.attisdropped;
  SELECT pg_get_expr(d.adbin, d.adrelid) INTO expression
    FROM pg_attrdef AS d WHERE d.adrelid = rel AND d.adnum = old.attnum;
  SELECT s.*, c.relname, n.nspname, c.relacl, c.relowner, obj_description(c.oid, 'pg_class') AS said INTO numbers
    FROM pg_depend AS d
    JOIN pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_sequence AS s ON s.seqrelid = c.oid
   WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
     AND d.refobjid = rel AND d.refobjsubid = old.attnum AND d.deptype IN ('a', 'i');
  IF numbers.seqrelid IS NOT NULL THEN
    top := numbers.seqmax;
    bottom := numbers.seqmin;
    IF numbers.seqtypid = old.atttypid AND tops ? wanted::text THEN
      -- The old type's own bounds become the new type's; bounds that somebody has set stay.
      top := CASE WHEN top = (tops ->> numbers.seqtypid::text)::numeric THEN (tops ->> wanted::text)::numeric ELSE top END;
      IF bottom = -(tops ->> numbers.seqtypid::text)::numeric - 1 THEN
        bottom := -(tops ->> wanted::text)::numeric - 1;
      END IF;
    ELSE
      wanted := numbers.seqtypid;
    END IF;
    -- The sequence's own lock: nobody draws a number after its state was read.
    EXECUTE format('ALTER SEQUENCE %s CACHE %s', numbers.seqrelid::regclass, numbers.seqcache);
    EXECUTE format('SELECT last_value, is_called FROM %s', numbers.seqrelid::regclass) INTO spot;
    IF spot.last_value NOT BETWEEN -(tops ->> wanted::text)::numeric - 1 AND (tops ->> wanted::text)::numeric
       OR spot.last_value NOT BETWEEN bottom AND top THEN
      RAISE EXCEPTION 'the sequence % stands at %, which % can not hold',
        numbers.seqrelid::regclass, spot.last_value, format_type(wanted, NULL) USING ERRCODE = '55000';
    END IF;
  END IF;
  IF old.attidentity <> '' THEN
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP IDENTITY', rel, giver);
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I ADD GENERATED %s AS IDENTITY (SEQUENCE NAME %I.%I INCREMENT BY %s '
                   'MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s)', rel, taker,
                   CASE old.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, numbers.nspname, numbers.relname,
                   numbers.seqincrement, bottom, top, numbers.seqstart, numbers.seqcache,
                   CASE WHEN numbers.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END);
    -- Not from max(id): that would hand out again what was handed out and deleted.
    PERFORM setval(format('%I.%I', numbers.nspname, numbers.relname)::regclass, spot.last_value, spot.is_called);
    FOR saved IN SELECT format('GRANT %s ON SEQUENCE %I.%I TO %s%s', g.privilege_type, numbers.nspname, numbers.relname,
                   CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END,
                   CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
                   FROM aclexplode(numbers.relacl) AS g WHERE g.grantee <> numbers.relowner LOOP
      EXECUTE saved;
    END LOOP;
    IF numbers.said IS NOT NULL THEN
      EXECUTE format('COMMENT ON SEQUENCE %I.%I IS %L', numbers.nspname, numbers.relname, numbers.said);
    END IF;
    RETURN;
  END IF;
  IF numbers.seqrelid IS NOT NULL THEN
    EXECUTE format('ALTER SEQUENCE %s AS %s MINVALUE %s MAXVALUE %s OWNED BY %s.%I', numbers.seqrelid::regclass,
                   format_type(wanted, NULL), bottom, top, rel, taker);
  END IF;
  IF expression IS NULL THEN
    RETURN;
  END IF;
  EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', rel, giver);
  -- A conversion names types and functions as the file does.
  PERFORM set_config('search_path', (SELECT format('pg_catalog, %I, public', n.nspname) FROM pg_class AS c
                                       JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = rel), true);
  IF converted IS NULL THEN
    DELETE FROM migdsl.snapshot AS s WHERE s.migration = kept AND s.revision = format('default %s.%I', rel, giver)
    RETURNING s.sql INTO saved;
    saved := coalesce(saved, expression);
  ELSE
    INSERT INTO migdsl.snapshot (migration, revision, seq, sql)
    VALUES (kept, format('default %s.%I', rel, giver), 1, expression)
        ON CONFLICT (migration, revision, seq) DO UPDATE SET sql = excluded.sql;
    saved := CASE WHEN numbers.seqrelid IS NULL THEN format(converted, expression) ELSE expression END;
  END IF;
  EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', rel, taker, saved);
END
$body$
-- ;
CREATE OR REPLACE PROCEDURE migdsl.swap_column(rel regclass, col name, incoming name, outgoing name, kept text, converted text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
-- `incoming` takes the name and all that belongs to the column; what had the name is left bare, as `outgoing`.
DECLARE
  old pg_attribute;
  new pg_attribute;
  bound name;
  own name;
  said text;
  part text;
  left_over text;
BEGIN
  SELECT a.* INTO new FROM pg_attribute AS a WHERE a.attrelid = rel AND a.attname = incoming AND NOT a.attisdropped;
  IF new.attnum IS NULL THEN
    RETURN;
  END IF;
  SELECT a.* INTO old FROM pg_attribute AS a WHERE a.attrelid = rel AND a.attname = col AND NOT a.attisdropped;
  CALL migdsl.swap_numbers(rel, col, incoming, kept, converted);
  -- From PostgreSQL 18 on a NOT NULL has a name, which stays the column's.
  SELECT c.conname INTO bound FROM pg_constraint AS c
   WHERE c.conrelid = rel AND c.contype = 'n' AND c.conkey = ARRAY[old.attnum];
  SELECT c.conname INTO own FROM pg_constraint AS c
   WHERE c.conrelid = rel AND c.contype = 'n' AND c.conkey = ARRAY[new.attnum];
  IF old.attnotnull AND NOT new.attnotnull THEN
    RAISE EXCEPTION 'column % of % is not proven to be filled', incoming, rel USING ERRCODE = '55000';
  END IF;
  EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', rel, col);
  EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO %I', rel, col, outgoing);
  EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO %I', rel, incoming, col);
  IF bound <> own THEN
    EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', rel, own, bound);
  END IF;
  said := col_description(rel, old.attnum);
  EXECUTE format('COMMENT ON COLUMN %s.%I IS NULL', rel, outgoing);
  EXECUTE format('COMMENT ON COLUMN %s.%I IS %s', rel, col, coalesce(quote_literal(said), 'NULL'));
  FOR part IN
    SELECT unnest(ARRAY[
             format('REVOKE %s (%I) ON %s FROM %s', g.privilege_type, outgoing, rel, g.who),
             format('GRANT %s (%I) ON %s TO %s%s', g.privilege_type, col, rel, g.who,
                    CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)])
      FROM (SELECT x.*, CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END AS who
              FROM aclexplode(old.attacl) AS x) AS g
     UNION ALL
    SELECT unnest(ARRAY[format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', rel, col, old.attstattarget),
                        format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS -1', rel, outgoing)])
     WHERE old.attstattarget >= 0
     UNION ALL
    SELECT unnest(ARRAY[format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', rel, col, array_to_string(old.attoptions, ', ')),
                        format('ALTER TABLE %s ALTER COLUMN %I RESET (%s)', rel, outgoing, (
                          SELECT string_agg(split_part(o, '=', 1), ', ') FROM unnest(old.attoptions) AS o))])
     WHERE old.attoptions IS NOT NULL
     UNION ALL
    SELECT format('ALTER TABLE %s ALTER COLUMN %I SET COMPRESSION %s', rel, k.name, k.method)
      FROM (VALUES (col::text, CASE old.attcompression WHEN 'p' THEN 'pglz' ELSE 'lz4' END, new.attlen),
                   (outgoing, 'default', old.attlen)) AS k (name, method, len)
     WHERE old.attcompression IN ('p', 'l') AND k.len = -1
     UNION ALL
    SELECT format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s', rel, k.name,
                  CASE k.storage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END)
      FROM pg_type AS y
     CROSS JOIN LATERAL (VALUES (col::text, old.attstorage, new.attlen), (outgoing, y.typstorage, old.attlen))
                AS k (name, storage, len)
     WHERE y.oid = old.atttypid AND old.attstorage <> y.typstorage AND k.len = -1
  LOOP
    EXECUTE part;
  END LOOP;
  SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), ', ') INTO left_over
    FROM pg_depend AS d
   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = rel AND d.refobjsubid = old.attnum
     AND NOT (d.classid = 'pg_proc'::regclass
              AND d.objid IN (SELECT p.oid FROM pg_proc AS p WHERE p.pronamespace = 'migdsl'::regnamespace));
  IF left_over IS NOT NULL THEN
    RAISE EXCEPTION 'what uses column % of % would stay behind: %', col, rel, left_over USING ERRCODE = '55000';
  END IF;
END
$body$
-- ;
CREATE OR REPLACE PROCEDURE migdsl.swap_standing(declared jsonb, incoming text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
-- The index or constraint `incoming` takes the place and the name of what is declared, which goes.
DECLARE
  rel regclass := (declared ->> 'of')::regclass;
  space text := (SELECT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = rel);
  old pg_constraint;
  traits pg_index;
  called text;
  said text;
  of_index text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conrelid = rel AND c.conname = incoming)
     AND to_regclass(format('%I.%I', space, incoming)) IS NULL THEN
    RETURN;
  END IF;
  IF declared ->> 'kind' = 'key' THEN
    SELECT c.* INTO old FROM pg_constraint AS c WHERE c.conrelid = rel AND c.contype = 'p';
  ELSE
    SELECT c.* INTO old FROM migdsl.standing(declared) AS s
      JOIN pg_constraint AS c ON s.class_id = 'pg_constraint'::regclass AND c.oid = s.object_id;
  END IF;
  SELECT i.* INTO traits FROM pg_index AS i
   WHERE i.indexrelid = CASE WHEN old.oid IS NULL THEN (SELECT s.index_id FROM migdsl.standing(declared) AS s)
                             WHEN old.contype IN ('p', 'u') THEN old.conindid END;
  IF old.oid IS NULL AND traits.indexrelid IS NULL THEN
    RAISE EXCEPTION '% has no % % any more, whose place % was to take', rel, declared ->> 'kind',
      coalesce(declared ->> 'name', declared ->> 'usual'), incoming USING ERRCODE = '55000';
  END IF;
  called := coalesce(old.conname, (SELECT c.relname FROM pg_class AS c WHERE c.oid = traits.indexrelid));
  said := obj_description(old.oid, 'pg_constraint');
  of_index := obj_description(traits.indexrelid, 'pg_class');
  IF old.oid IS NULL THEN
    EXECUTE format('DROP INDEX %s', traits.indexrelid::regclass);
    EXECUTE format('ALTER INDEX %I.%I RENAME TO %I', space, incoming, called);
  ELSE
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', rel, called);
    IF old.contype IN ('p', 'u') THEN
      EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s USING INDEX %I%s', rel, called,
                     CASE old.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, incoming,
                     CASE WHEN old.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED'
                          WHEN old.condeferrable THEN ' DEFERRABLE' ELSE '' END);
    ELSE
      EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', rel, incoming, called);
    END IF;
    IF said IS NOT NULL THEN
      EXECUTE format('COMMENT ON CONSTRAINT %I ON %s IS %L', called, rel, said);
    END IF;
  END IF;
  IF of_index IS NOT NULL THEN
    EXECUTE format('COMMENT ON INDEX %I.%I IS %L', space, called, of_index);
  END IF;
  IF traits.indisclustered THEN
    EXECUTE format('ALTER TABLE %s CLUSTER ON %I', rel, called);
  END IF;
  IF traits.indisreplident THEN
    EXECUTE format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', rel, called);
  END IF;
END
$body$
-- ;
CREATE OR REPLACE PROCEDURE migdsl.swap_refer(declared jsonb, incoming text, ours text[], parent text, theirs text[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
-- A foreign key like the one that is declared, over other columns; it binds new rows, and is not yet proven of the others.
DECLARE
  rel regclass := (declared ->> 'of')::regclass;
  old pg_constraint;
BEGIN
  SELECT c.* INTO old FROM migdsl.standing(declared) AS s JOIN pg_constraint AS c ON c.oid = s.object_id;
  IF old.oid IS NULL THEN
    RAISE EXCEPTION '% has no foreign key % any more', rel, coalesce(declared ->> 'name', declared ->> 'usual')
      USING ERRCODE = '55000';
  END IF;
  IF EXISTS (SELECT FROM pg_constraint AS c WHERE c.conrelid = rel AND c.conname = incoming) THEN
    RETURN;
  END IF;
  EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I FOREIGN KEY (%s) REFERENCES %s (%s)%s ON UPDATE %s ON DELETE %s%s NOT VALID',
    rel, incoming, (SELECT string_agg(quote_ident(c), ', ' ORDER BY n) FROM unnest(ours) WITH ORDINALITY AS u (c, n)),
    parent::regclass, (SELECT string_agg(quote_ident(c), ', ' ORDER BY n) FROM unnest(theirs) WITH ORDINALITY AS u (c, n)),
    CASE old.confmatchtype WHEN 'f' THEN ' MATCH FULL' ELSE '' END,
    (SELECT w FROM (VALUES ('a', 'NO ACTION'), ('r', 'RESTRICT'), ('c', 'CASCADE'), ('n', 'SET NULL'), ('d', 'SET DEFAULT'))
       AS k (letter, w) WHERE letter = old.confupdtype::text),
    (SELECT w FROM (VALUES ('a', 'NO ACTION'), ('r', 'RESTRICT'), ('c', 'CASCADE'), ('n', 'SET NULL'), ('d', 'SET DEFAULT'))
       AS k (letter, w) WHERE letter = old.confdeltype::text),
    CASE WHEN old.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED' WHEN old.condeferrable THEN ' DEFERRABLE' ELSE '' END);
END
$body$
-- ;
CREATE OR REPLACE PROCEDURE migdsl.swap_refuse(rel regclass, col name, type_ text, expected jsonb, in_place boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
-- Before anything changes: the column is what the file says, and whatever stands on it can go along to the other column.
-- In place PostgreSQL changes indexes and constraints itself, and nothing else.
DECLARE
  old pg_attribute;
  found text;
BEGIN
  SELECT a.* INTO old FROM pg_attribute AS a WHERE a.attrelid = rel AND a.attname = col AND NOT a.attisdropped;
  IF old.attnum IS NULL THEN
    RAISE EXCEPTION '% has no column %', rel, col USING ERRCODE = '55000';
  END IF;
  IF format_type(old.atttypid, NULL) <> format_type(type_::regtype, NULL) THEN
    RAISE EXCEPTION 'column % of % is of type %, and not %', col, rel, format_type(old.atttypid, old.atttypmod), type_
      USING ERRCODE = '55000', HINT = 'the entity says what is there before the migration';
  END IF;
  IF old.attinhcount > 0 OR EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = rel) THEN
    RAISE EXCEPTION 'column % of % is inherited, which retype can not follow', col, rel USING ERRCODE = '55000';
  END IF;
  SELECT string_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), ', ') INTO found
    FROM pg_depend AS d
    LEFT JOIN pg_constraint AS c ON d.classid = 'pg_constraint'::regclass AND c.oid = d.objid
    LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = rel AND d.refobjsubid = old.attnum
     -- Before PostgreSQL 15 a generated column depends itself, and not by its expression.
     AND NOT (d.classid = 'pg_class'::regclass AND d.objid = rel AND d.objsubid = 0)
     AND NOT EXISTS (SELECT FROM pg_attrdef AS f WHERE d.classid = 'pg_attrdef'::regclass
                        AND f.oid = d.objid AND f.adrelid = rel AND f.adnum = old.attnum)
     AND NOT EXISTS (SELECT FROM pg_class AS s WHERE d.classid = 'pg_class'::regclass AND s.oid = d.objid AND s.relkind = 'S')
     AND NOT EXISTS (SELECT FROM pg_proc AS p WHERE d.classid = 'pg_proc'::regclass AND p.oid = d.objid
                        AND p.pronamespace = 'migdsl'::regnamespace)
     AND c.contype IS DISTINCT FROM 'n' AND (c.contype IS DISTINCT FROM 'p' OR c.conrelid <> rel)
     AND NOT EXISTS (SELECT FROM jsonb_array_elements(expected) AS e CROSS JOIN LATERAL migdsl.standing(e) AS s
                      WHERE s.class_id = d.classid AND s.object_id = d.objid)
     AND (in_place OR NOT (
              d.classid IN ('pg_policy'::regclass, 'pg_statistic_ext'::regclass)
              OR EXISTS (SELECT FROM pg_class AS v WHERE v.oid = r.ev_class AND v.relkind = 'v'
                            AND NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = v.oid)
                            AND NOT EXISTS (SELECT FROM pg_attrdef AS f WHERE f.adrelid = v.oid)
                            AND NOT EXISTS (SELECT FROM pg_rewrite AS o WHERE o.ev_class = v.oid AND o.rulename <> '_RETURN'))))
     AND NOT (in_place AND d.classid = 'pg_statistic_ext'::regclass);
  IF found IS NOT NULL THEN
    RAISE EXCEPTION 'column % of % is used by what retype can not take along: %', col, rel, found
      USING ERRCODE = '55000', HINT = 'declare constraints and indexes in their entities, with their names; drop the rest first,'
        ' and make it again afterwards';
  END IF;
  SELECT string_agg(pg_describe_object('pg_class'::regclass, d.objid, 0) || ', used by '
                    || pg_describe_object(d2.classid, d2.objid, d2.objsubid), ', ') INTO found
    FROM pg_depend AS d
    JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
    JOIN pg_depend AS d2 ON d2.refclassid = 'pg_class'::regclass AND d2.refobjid = s.oid
   WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = rel
     AND d.refobjsubid = old.attnum AND d.deptype = 'i'
     AND NOT in_place;
  IF found IS NOT NULL THEN
    RAISE EXCEPTION 'the sequence of column % of % is used elsewhere: %', col, rel, found USING ERRCODE = '55000';
  END IF;
END
$body$
-- ;
CREATE OR REPLACE PROCEDURE migdsl.swap_set_aside(kept text, rels regclass[], cols name[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
-- Views, policies and statistics that read the columns hold on to the column itself, not to its name: they go, and what
-- makes them again stands in the snapshot until they are put back.
DECLARE
  one record;
  gone text[] := '{}';
BEGIN
  FOR one IN
    WITH RECURSIVE used AS (
      SELECT d.classid, d.objid
        FROM unnest(rels, cols) AS u (rel, col)
        JOIN pg_attribute AS a ON a.attrelid = u.rel AND a.attname = u.col AND NOT a.attisdropped
        JOIN pg_depend AS d
          ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
    ), readers (id, level) AS (
      SELECT r.ev_class, 1
        FROM used AS u JOIN pg_rewrite AS r ON u.classid = 'pg_rewrite'::regclass AND r.oid = u.objid
       WHERE r.ev_class <> ALL (rels::oid[])
       UNION
      SELECT r.ev_class, v.level + 1
        FROM readers AS v
        JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = v.id
        JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.ev_class <> v.id
    ), things (level, id, odd, gone, wanted) AS (
      SELECT v.level, c.oid,
             c.relkind <> 'v' OR EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = c.oid)
             OR EXISTS (SELECT FROM pg_attrdef AS f WHERE f.adrelid = c.oid)
             OR EXISTS (SELECT FROM pg_rewrite AS o WHERE o.ev_class = c.oid AND o.rulename <> '_RETURN'),
             format('DROP VIEW %s', c.oid::regclass),
             format('CREATE VIEW %s%s AS %s; ALTER VIEW %s OWNER TO %s', c.oid::regclass,
                    ' WITH (' || array_to_string(c.reloptions, ', ') || ')', rtrim(pg_get_viewdef(c.oid), ';'),
                    c.oid::regclass, c.relowner::regrole)
             || coalesce((SELECT string_agg(format('; GRANT %s%s ON %s TO %s%s', g.privilege_type, g.part, c.oid::regclass,
                                 CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END,
                                 CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), '')
                            FROM (SELECT '' AS part, x.* FROM aclexplode(c.relacl) AS x
                                   UNION ALL
                                  SELECT format(' (%I)', a.attname), x.* FROM pg_attribute AS a, aclexplode(a.attacl) AS x
                                   WHERE a.attrelid = c.oid) AS g
                           WHERE g.grantee <> c.relowner), '')
             || CASE WHEN obj_description(c.oid, 'pg_class') IS NULL THEN '' ELSE
                  format('; COMMENT ON VIEW %s IS %L', c.oid::regclass, obj_description(c.oid, 'pg_class')) END
             || coalesce((SELECT string_agg(format('; COMMENT ON COLUMN %s.%I IS %L', c.oid::regclass, a.attname,
                                 col_description(c.oid, a.attnum)), '')
                            FROM pg_attribute AS a
                           WHERE a.attrelid = c.oid AND col_description(c.oid, a.attnum) IS NOT NULL), '')
        FROM (SELECT id, max(level) AS level FROM readers GROUP BY id) AS v JOIN pg_class AS c ON c.oid = v.id
       UNION ALL
      SELECT 1000, p.oid, FALSE, format('DROP POLICY %I ON %s', p.polname, p.polrelid::regclass),
             format('CREATE POLICY %I ON %s AS %s FOR %s TO %s', p.polname, p.polrelid::regclass,
                    CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                    CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                                  WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                    (SELECT string_agg(CASE WHEN o = 0 THEN 'PUBLIC' ELSE o::regrole::text END, ', ')
                       FROM unnest(p.polroles) AS o))
             || coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '')
             || coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')
             || CASE WHEN obj_description(p.oid, 'pg_policy') IS NULL THEN '' ELSE
                  format('; COMMENT ON POLICY %I ON %s IS %L', p.polname, p.polrelid::regclass,
                         obj_description(p.oid, 'pg_policy')) END
        FROM pg_policy AS p WHERE p.oid IN (SELECT objid FROM used WHERE classid = 'pg_policy'::regclass)
       UNION ALL
      SELECT 1000, s.oid, FALSE, format('DROP STATISTICS %I.%I', n.nspname, s.stxname),
             pg_get_statisticsobjdef(s.oid)
             || format('; ALTER STATISTICS %I.%I OWNER TO %s', n.nspname, s.stxname, s.stxowner::regrole)
             || CASE WHEN s.stxstattarget >= 0
                     THEN format('; ALTER STATISTICS %I.%I SET STATISTICS %s', n.nspname, s.stxname, s.stxstattarget)
                     ELSE '' END
             || CASE WHEN obj_description(s.oid, 'pg_statistic_ext') IS NULL THEN '' ELSE
                  format('; COMMENT ON STATISTICS %I.%I IS %L', n.nspname, s.stxname,
                         obj_description(s.oid, 'pg_statistic_ext')) END
        FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace
       WHERE s.oid IN (SELECT objid FROM used WHERE classid = 'pg_statistic_ext'::regclass)
    )
    SELECT t.gone, t.wanted, t.odd, row_number() OVER (ORDER BY t.level, t.id) AS place FROM things AS t ORDER BY t.level, t.id
  LOOP
    IF one.odd THEN
      RAISE EXCEPTION 'a view with triggers, rules or defaults of its own, or one that is materialized, can not be made again: %',
        one.gone USING ERRCODE = '55000';
    END IF;
    INSERT INTO migdsl.snapshot (migration, revision, seq, sql) VALUES (kept, 'set aside', one.place, one.wanted)
        ON CONFLICT (migration, revision, seq) DO UPDATE SET sql = excluded.sql;
    gone := one.gone || gone;
  END LOOP;
  FOR place IN 1 .. cardinality(gone) LOOP
    EXECUTE gone[place];
  END LOOP;
END
$body$
-- ;
CREATE OR REPLACE PROCEDURE migdsl.swap_put_back(kept text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
-- Makes again what was set aside: the definitions name the columns, and so mean the ones that have the names now.
DECLARE
  saved text;
BEGIN
  FOR saved IN SELECT s.sql FROM migdsl.snapshot AS s WHERE s.migration = kept AND s.revision = 'set aside' ORDER BY s.seq LOOP
    EXECUTE saved;
  END LOOP;
  DELETE FROM migdsl.snapshot AS s WHERE s.migration = kept AND s.revision = 'set aside';
END
$body$
-- ;
CREATE OR REPLACE PROCEDURE migdsl.swap_in_place(rel regclass, col name, type_ text, checks jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
-- Another type for a column whose rows stay as they are. A CHECK would be proven again under the lock, so that it is made
-- anew, and proven later.
DECLARE
  one record;
  again text[] := '{}';
  place text := (SELECT format('pg_catalog, %I, public', n.nspname) FROM pg_class AS c
                   JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = rel);
BEGIN
  FOR one IN SELECT c.conname, pg_get_constraintdef(c.oid) AS definition, obj_description(c.oid, 'pg_constraint') AS said
               FROM jsonb_array_elements(checks) AS e CROSS JOIN LATERAL migdsl.standing(e) AS s
               JOIN pg_constraint AS c ON s.class_id = 'pg_constraint'::regclass AND c.oid = s.object_id
  LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', rel, one.conname);
    again := again || (format('ALTER TABLE %s ADD CONSTRAINT %I ', rel, one.conname)
             || regexp_replace(one.definition, ' NOT VALID$', '') || ' NOT VALID');
    IF one.said IS NOT NULL THEN
      again := again || format('COMMENT ON CONSTRAINT %I ON %s IS %L', one.conname, rel, one.said);
    END IF;
  END LOOP;
  PERFORM set_config('search_path', place, true);
  EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', rel, col, type_);
  PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
  FOR part IN 1 .. cardinality(again) LOOP
    EXECUTE again[part];
  END LOOP;
END
$body$
-- ;
CREATE OR REPLACE PROCEDURE migdsl.swap_prove(checks jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  one record;
BEGIN
  FOR one IN SELECT c.conrelid::regclass AS rel, c.conname
               FROM jsonb_array_elements(checks) AS e CROSS JOIN LATERAL migdsl.standing(e) AS s
               JOIN pg_constraint AS c ON s.class_id = 'pg_constraint'::regclass AND c.oid = s.object_id
  LOOP
    EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', one.rel, one.conname);
  END LOOP;
END
$body$
-- ;
CREATE OR REPLACE FUNCTION migdsl.swap_key_is(rel regclass, cols text[]) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $body$
  SELECT EXISTS (
    SELECT FROM pg_constraint AS c
     WHERE c.conrelid = rel AND c.contype = 'p'
       AND cols = ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k (num, place)
                          JOIN pg_attribute AS a ON a.attrelid = rel AND a.attnum = k.num ORDER BY k.place))
$body$
-- ;
CREATE OR REPLACE PROCEDURE migdsl.swap_key_refuse(rel regclass, cols text[], expected jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  found text;
BEGIN
  IF NOT migdsl.swap_key_is(rel, cols) THEN
    RAISE EXCEPTION 'the key of % is not (%)', rel, array_to_string(cols, ', ')
      USING ERRCODE = '55000', HINT = 'the entity says what is there before the migration';
  END IF;
  SELECT string_agg(pg_describe_object('pg_constraint'::regclass, f.oid, 0), ', ') INTO found
    FROM pg_constraint AS p JOIN pg_constraint AS f ON f.contype = 'f' AND f.conindid = p.conindid
   WHERE p.conrelid = rel AND p.contype = 'p'
     AND NOT EXISTS (SELECT FROM jsonb_array_elements(expected) AS e CROSS JOIN LATERAL migdsl.standing(e) AS s
                      WHERE s.object_id = f.oid);
  IF found IS NOT NULL THEN
    RAISE EXCEPTION 'what no entity declares points at the key of %: %', rel, found
      USING ERRCODE = '55000', HINT = 'declare the foreign keys in the entities of their tables';
  END IF;
  IF EXISTS (SELECT FROM pg_constraint AS p JOIN pg_index AS i ON i.indexrelid = p.conindid
              WHERE p.conrelid = rel AND p.contype = 'p' AND i.indisreplident) THEN
    RAISE EXCEPTION 'logical replication tells the rows of % apart by the index of its key', rel
      USING ERRCODE = '55000', HINT = 'ALTER TABLE ... REPLICA IDENTITY DEFAULT goes by whatever is the key';
  END IF;
END
$body$
-- ;
CREATE OR REPLACE PROCEDURE migdsl.swap_key_unique(rel regclass, called text, incoming text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conrelid = rel AND c.conname = called) THEN
    EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I UNIQUE USING INDEX %I', rel, called, incoming);
  END IF;
END
$body$
-- ;
CREATE OR REPLACE PROCEDURE migdsl.swap_key(rel regclass, incoming text, kept text, kept_index text, expected jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
-- The index `incoming` becomes the key. What points at the old one is made anew, to be proven afterwards; `kept` is the unique
-- constraint of the old columns, made of `kept_index`, or where there is none taken away.
DECLARE
  space text := (SELECT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = rel);
  old pg_constraint;
  one record;
  again text[] := '{}';
  said text;
  of_index text;
  clustered boolean;
BEGIN
  IF to_regclass(format('%I.%I', space, incoming)) IS NULL THEN
    RETURN;
  END IF;
  SELECT c.* INTO old FROM pg_constraint AS c WHERE c.conrelid = rel AND c.contype = 'p';
  said := obj_description(old.oid, 'pg_constraint');
  of_index := obj_description(old.conindid, 'pg_class');
  clustered := (SELECT i.indisclustered FROM pg_index AS i WHERE i.indexrelid = old.conindid);
  FOR one IN SELECT f.oid, f.conrelid::regclass AS child, f.conname, pg_get_constraintdef(f.oid) AS definition,
                    obj_description(f.oid, 'pg_constraint') AS said
               FROM jsonb_array_elements(expected) AS e CROSS JOIN LATERAL migdsl.standing(e) AS s
               JOIN pg_constraint AS f ON s.class_id = 'pg_constraint'::regclass AND f.oid = s.object_id
  LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', one.child, one.conname);
    again := again || (format('ALTER TABLE %s ADD CONSTRAINT %I ', one.child, one.conname)
                       || regexp_replace(one.definition, ' NOT VALID$', '') || ' NOT VALID');
    IF one.said IS NOT NULL THEN
      again := again || format('COMMENT ON CONSTRAINT %I ON %s IS %L', one.conname, one.child, one.said);
    END IF;
  END LOOP;
  EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', rel, old.conname);
  IF kept_index IS NOT NULL THEN
    CALL migdsl.swap_key_unique(rel, kept, kept_index);
  ELSIF kept IS NOT NULL THEN
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', rel, kept);
  END IF;
  EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I PRIMARY KEY USING INDEX %I', rel, old.conname, incoming);
  IF said IS NOT NULL THEN
    EXECUTE format('COMMENT ON CONSTRAINT %I ON %s IS %L', old.conname, rel, said);
  END IF;
  IF of_index IS NOT NULL THEN
    EXECUTE format('COMMENT ON INDEX %I.%I IS %L', space, old.conname, of_index);
  END IF;
  IF clustered THEN
    EXECUTE format('ALTER TABLE %s CLUSTER ON %I', rel, old.conname);
  END IF;
  FOR part IN 1 .. cardinality(again) LOOP
    EXECUTE again[part];
  END LOOP;
END
$body$
